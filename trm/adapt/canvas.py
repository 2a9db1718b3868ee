"""How large an ARC answer is and what of the question lies under it, by rules that hold on all demonstrations.

A canvas is a board for question and answer together. On it lie planes: the question, mirrored and turned, or pieces
of it, so that what many tasks ask for becomes a choice among a cell's own planes. A rule that holds on the
demonstrations may be wrong on the test all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from trm.adapt.objects import around, background, boxes, objects
from trm.tasks.arc.augment import turn
from trm.tasks.arc.text import SIDE, ArcTask, Grid

Size = tuple[int, int]  # height, width
Planes = list[Grid]  # at the top left of the canvas
Lay = Callable[[Grid], tuple[Size, Planes] | None]  # question -> the answer's size, planes; None: the rule says nothing

SAME_SHAPE, TRANSPOSED = (0, 2, 4, 5), (1, 3, 6, 7)  # of the symmetries of `trm.tasks.arc.augment`
PANELS = 9  # planes of a question cut into pieces, at most
CANVASES = 3


@dataclass(frozen=True)
class Canvas:
    """A rule: `lay` says for any question of the task how large its answer is, and its planes, always as many."""

    name: str
    lay: Lay


def canvases(task: ArcTask) -> list[Canvas]:
    """Those that give every demonstration's answer its size and every test's some size, best first; may be none.

    Nothing is asked of test answers.
    """
    found: list[Canvas] = []
    for canvas in _candidates(task):
        if _holds(canvas.lay, task):
            found.append(canvas)
            if len(found) == CANVASES or canvas.name == "the question's size":
                break
    return found


def _holds(lay: Lay, task: ArcTask) -> bool:
    for pair in (*task.train, *task.test):
        laid = lay(pair.question)
        if laid is None or not all(1 <= length <= SIDE for length in laid[0]):
            return False
        if pair in task.train and (pair.answer is None or laid[0] != pair.answer.shape):
            return False
    return True


def _candidates(task: ArcTask) -> Iterator[Canvas]:
    square = all(pair.question.shape[0] == pair.question.shape[1] for pair in (*task.train, *task.test))
    ways = (*SAME_SHAPE, *TRANSPOSED) if square else SAME_SHAPE
    yield Canvas("the question's size", lambda q: (q.shape, versions(q, ways)))
    yield Canvas("the question's size, transposed", lambda q: (q.shape[::-1], versions(q, TRANSPOSED)))
    first = task.train[0]
    assert first.answer is not None
    yield from _panels(first.question.shape, first.answer.shape, 1)
    yield from _repeated(first.question.shape, first.answer.shape, ways)
    yield from _panels(first.question.shape, first.answer.shape, 0)
    likely, unlikely = _crops(task)
    yield from likely
    yield from _corners(task)
    yield from unlikely


def versions(grid: Grid, ways: Sequence[int]) -> Planes:
    return [turn(grid, way) for way in ways]


# The answer is a multiple of the question, or a part


def _repeated(question: Size, answer: Size, ways: Sequence[int]) -> Iterator[Canvas]:
    (down, low), (across, narrow) = (divmod(a, q) for a, q in zip(answer, question, strict=True))
    if low or narrow or not down or not across:
        return

    def lay(grid: Grid) -> tuple[Size, Planes]:
        size = (grid.shape[0] * down, grid.shape[1] * across)
        return size, [
            np.kron(grid, np.ones((down, across), np.uint8)),
            *(np.tile(v, (down, across)) for v in views(grid)),
        ]

    def views(grid: Grid) -> Planes:
        return versions(grid, ways)

    yield Canvas(f"{down}x{across} times the question", lay)


def _panels(question: Size, answer: Size, gap: int) -> Iterator[Canvas]:
    """The question is a board of pieces of the answer's size, with lines between them if `gap` is 1."""
    (down, low), (across, narrow) = (divmod(q + gap, a + gap) for q, a in zip(question, answer, strict=True))
    if low or narrow or not 1 < down * across <= PANELS:
        return

    def lay(grid: Grid) -> tuple[Size, Planes] | None:
        (h, low), (w, narrow) = divmod(grid.shape[0] + gap, down), divmod(grid.shape[1] + gap, across)
        if low or narrow or h <= gap or w <= gap:
            return None
        lines = [grid[at * h - 1] for at in range(1, down)] + [grid[:, at * w - 1] for at in range(1, across)]
        if gap and any(len(np.unique(line)) > 1 for line in lines):
            return None
        at = list(product(range(down), range(across)))
        pieces = [grid[i * h : (i + 1) * h - gap, j * w : (j + 1) * w - gap] for i, j in at]
        spread = [] if gap else [grid[i::down, j::across] for i, j in at]
        return (h - gap, w - gap), pieces + spread

    yield Canvas(f"one of {down}x{across} panels" + (" between lines" if gap else ""), lay)


def _crops(task: ArcTask) -> tuple[list[Canvas], list[Canvas]]:
    """Of boxes that have the answer's size: those where most cells agree with it, best first, and the others."""
    pairs = [(pair.question, pair.answer, boxes(pair.question)) for pair in task.train]
    tests = [boxes(pair.question) for pair in task.test]
    scored: list[tuple[float, str]] = []
    seen = set[bytes]()
    for name in pairs[0][2]:
        if not all(name in found for *_, found in pairs) or not all(name in found for found in tests):
            continue
        crops = [found[name].of(question) for question, _, found in pairs]
        if any(answer is None or answer.shape != crop.shape for crop, (_, answer, _) in zip(crops, pairs, strict=True)):
            continue
        key = repr([found[name] for found in [*(found for *_, found in pairs), *tests]]).encode()
        if key not in seen:
            agree = [float((crop == answer).mean()) for crop, (_, answer, _) in zip(crops, pairs, strict=True)]
            scored.append((-float(np.mean(agree)), name))
        seen.add(key)
    square = all(found[name].height == found[name].width for _, name in scored for *_, found in pairs)
    square = square and all(found[name].height == found[name].width for _, name in scored for found in tests)
    ways = (*SAME_SHAPE, *TRANSPOSED) if square else SAME_SHAPE

    def crop(name: str) -> Canvas:
        def lay(grid: Grid) -> tuple[Size, Planes] | None:
            box = boxes(grid).get(name)
            return None if box is None else ((box.height, box.width), versions(box.of(grid), ways))

        return Canvas(f"cut out: {name}", lay)

    ranked = sorted(scored, key=lambda one: one[0])
    return [crop(name) for agree, name in ranked if agree < -0.6], [
        crop(name) for agree, name in ranked if agree >= -0.6
    ]


# The answer has another size: it lies at the top left, over the question


def _corners(task: ArcTask) -> Iterator[Canvas]:
    """Height and width, each by the simplest rule: a constant, or from a number read off the question."""
    numbers = [readings(pair.question) for pair in task.train]
    sizes = [np.shape(pair.answer) for pair in task.train if pair.answer is not None]
    height, width = (_length(numbers, [size[axis] for size in sizes], axis) for axis in (0, 1))
    if height is None or width is None:
        return

    def lay(grid: Grid) -> tuple[Size, Planes] | None:
        read = readings(grid)
        size = (height[1](read), width[1](read))
        return (size, versions(grid, SAME_SHAPE)) if min(size) > 0 else None

    yield Canvas(f"over the question: {height[0]} x {width[0]}", lay)


def readings(grid: Grid) -> dict[str, int]:
    """Numbers that an answer's height or width may depend on."""
    ground = background(grid)
    counts = np.sort(np.bincount(grid[grid != ground], minlength=1))
    box = around(grid != ground)
    return {
        "height": grid.shape[0],
        "width": grid.shape[1],
        "colours": len(np.unique(grid[grid != ground])),
        "all colours": len(np.unique(grid)),
        "coloured cells": int((grid != ground).sum()),
        "commonest colour's cells": int(counts[-1]),
        "objects": sum(1 for _ in objects(grid, ground, False)),
        "objects of one colour": sum(1 for _ in objects(grid, ground, True)),
        "coloured height": box.height if box else 0,
        "coloured width": box.width if box else 0,
    }


def _length(
    numbers: list[dict[str, int]], lengths: list[int], axis: int
) -> tuple[str, Callable[[dict[str, int]], int]] | None:
    if len(set(lengths)) == 1:
        constant = lengths[0]
        return str(constant), lambda read: constant
    names = sorted(numbers[0], key=lambda name: (name not in ("height", "width"), name != ("height", "width")[axis]))
    first = lengths[0]
    for name in names:
        known = numbers[0][name]
        rules: list[tuple[int, int, int]] = [(1, 1, first - known)]  # times, divided by, plus
        rules += [(k, 1, first - k * known) for k in (2, 3, 4, 5)] + [(1, k, first - known // k) for k in (2, 3, 4, 5)]
        for times, by, plus in rules:
            if all(read[name] * times // by + plus == length for read, length in zip(numbers, lengths, strict=True)):
                said = f"{name}{f' * {times}' if times > 1 else ''}{f' / {by}' if by > 1 else ''}"
                return said + (
                    f" {plus:+d}" if plus else ""
                ), lambda read, rule=(name, times, by, plus): read[rule[0]] * rule[1] // rule[2] + rule[3]
    return None
