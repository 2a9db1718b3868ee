"""How large an ARC answer is, and which part of the question lies under it, by rules that hold on all demonstrations.

A canvas is a board that holds question and answer. On it lie planes: the question, mirrored and turned, or pieces of
it. In many tasks a cell of the answer is then a choice among the cells of the planes at the same place. A rule that
holds on the demonstrations may still be wrong on the test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from trm.adapt.marks import marks, sights
from trm.adapt.objects import Box, Mask, background, bounding_box, named_boxes, objects
from trm.adapt.symmetry import mirrored, repaired
from trm.tasks.arc.augment import turn
from trm.tasks.arc.text import SIDE, ArcTask, Grid

Size = tuple[int, int]  # height, width

SAME_SHAPE, TRANSPOSED = (0, 2, 4, 5), (1, 3, 6, 7)  # of the symmetries of `trm.tasks.arc.augment`
PANELS = 9  # at most so many panels of a question become planes
CANVASES = 3  # at most so many for a task
LIKELY = 0.6  # share of the answer's cells that a box must have right to be tried early
FACTORS = (2, 3, 4, 5)  # by which a number is multiplied or divided to give a length
QUESTION_SIZE, DRAWN = "the question's size", "drawn"


class Layout(NamedTuple):
    """What a canvas makes of one question."""

    size: Size  # of the answer
    planes: list[Grid]  # they lie at the top left of the canvas
    marks: Sequence[Mask] = ()  # they lie there too: what is read off the question, see `trm.adapt.marks`
    derived: Sequence[Grid] = ()  # planes that are


Rule = Callable[[Grid], Layout | None]  # None: the rule does not apply to the question


@dataclass(frozen=True)
class Canvas:
    """A rule for all questions of a task. It gives each of them the same number of planes."""

    name: str
    rule: Rule
    drawn: bool = False  # whether the model draws the border of the answer, on a board that may be larger


def canvases(task: ArcTask) -> list[Canvas]:
    """The canvases that give every demonstration's answer its size and every test some size.

    Test answers are not looked at.

    Returns:
        At most `CANVASES`, the most likely first; where no rule holds, one on which the size is drawn.
    """
    found: list[Canvas] = []
    for canvas in _candidates(task):
        if _holds(canvas.rule, task):
            found.append(canvas)
            if len(found) == CANVASES or canvas.name == QUESTION_SIZE:
                break
    return found or [_drawn(task)]


def _holds(rule: Rule, task: ArcTask) -> bool:
    for pair in (*task.train, *task.test):
        layout = rule(pair.question)
        if layout is None or not all(1 <= length <= SIDE for length in layout.size):
            return False
        if pair in task.train and (pair.answer is None or layout.size != pair.answer.shape):
            return False
    return True


def _candidates(task: ArcTask) -> Iterator[Canvas]:
    square = all(pair.question.shape[0] == pair.question.shape[1] for pair in (*task.train, *task.test))
    ways = _ways(square)
    yield Canvas(QUESTION_SIZE, lambda q: Layout(q.shape, turned(q, ways), _marks(q), _derived(q)))
    yield Canvas(f"{QUESTION_SIZE}, transposed", lambda q: Layout(q.shape[::-1], turned(q, TRANSPOSED)))
    first = task.train[0]
    assert first.answer is not None
    yield from _panels(first.question.shape, first.answer.shape, 1)
    yield from _multiples(first.question.shape, first.answer.shape, ways)
    yield from _panels(first.question.shape, first.answer.shape, 0)
    agreement, crop_ways = _crop_agreement(task)
    ranked = sorted(agreement, key=lambda name: -agreement[name])
    yield from (_crop(name, crop_ways) for name in ranked if agreement[name] > LIKELY)
    yield from _corners(task)
    yield from (_crop(name, crop_ways) for name in ranked if agreement[name] <= LIKELY)


def _ways(square: bool) -> tuple[int, ...]:
    """The symmetries that leave a board's shape as it is."""
    return (*SAME_SHAPE, *TRANSPOSED) if square else SAME_SHAPE


def turned(grid: Grid, ways: Sequence[int]) -> list[Grid]:
    """The grid under each of these symmetries."""
    return [turn(grid, way) for way in ways]


def _marks(grid: Grid) -> list[Mask]:
    return list(marks(grid).values())


def _derived(grid: Grid) -> list[Grid]:
    return [*sights(grid), repaired(grid), *mirrored(grid)]


def _drawn(task: ArcTask) -> Canvas:
    """The answer lies at the top left of a board that holds the question and the largest answer."""
    answers = [pair.answer.shape for pair in task.train if pair.answer is not None]
    height, width = (max(lengths) for lengths in zip(*answers, strict=True))

    def rule(grid: Grid) -> Layout:
        size = (max(height, grid.shape[0]), max(width, grid.shape[1]))
        return Layout(size, turned(grid, SAME_SHAPE), _marks(grid), _derived(grid))

    return Canvas(DRAWN, rule, drawn=True)


# The answer is a multiple of the question, or a part of it


def _multiples(question: Size, answer: Size, ways: Sequence[int]) -> Iterator[Canvas]:
    """The answer's sides are multiples of the question's."""
    (down, rest_down), (across, rest_across) = (divmod(a, q) for a, q in zip(answer, question, strict=True))
    if rest_down or rest_across or not down or not across:
        return

    def rule(grid: Grid) -> Layout:
        enlarged = np.kron(grid, np.ones((down, across), np.uint8))
        tiled = [np.tile(view, (down, across)) for view in turned(grid, ways)]
        return Layout((grid.shape[0] * down, grid.shape[1] * across), [enlarged, *tiled])

    yield Canvas(f"{down}x{across} times the question", rule)


def _panels(question: Size, answer: Size, gap: int) -> Iterator[Canvas]:
    """The question consists of panels of the answer's size, with lines between them if `gap` is 1."""
    (down, rest_down), (across, rest_across) = (divmod(q + gap, a + gap) for q, a in zip(question, answer, strict=True))
    if rest_down or rest_across or not 1 < down * across <= PANELS:
        return

    def rule(grid: Grid) -> Layout | None:
        (h, rest_h), (w, rest_w) = divmod(grid.shape[0] + gap, down), divmod(grid.shape[1] + gap, across)
        if rest_h or rest_w or h <= gap or w <= gap:
            return None
        lines = [grid[at * h - 1] for at in range(1, down)] + [grid[:, at * w - 1] for at in range(1, across)]
        if gap and any(len(np.unique(line)) > 1 for line in lines):
            return None
        at = list(product(range(down), range(across)))
        pieces = [grid[i * h : (i + 1) * h - gap, j * w : (j + 1) * w - gap] for i, j in at]
        interleaved = [] if gap else [grid[i::down, j::across] for i, j in at]
        return Layout((h - gap, w - gap), pieces + interleaved)

    yield Canvas(f"one of {down}x{across} panels" + (" between lines" if gap else ""), rule)


def _crop(name: str, ways: Sequence[int]) -> Canvas:
    """The answer is the content of the question's box of this name."""

    def rule(grid: Grid) -> Layout | None:
        box = named_boxes(grid).get(name)
        if box is None:
            return None
        marked, derived = [box.crop(mark) for mark in _marks(grid)], [box.crop(plane) for plane in _derived(grid)]
        return Layout((box.height, box.width), turned(box.crop(grid), ways), marked, derived)

    return Canvas(f"cut out: {name}", rule)


def _crop_agreement(task: ArcTask) -> tuple[dict[str, float], tuple[int, ...]]:
    """The boxes that have the answer's size in every demonstration, and are in every test.

    Returns:
        By the box's name, the mean share of cells in which its content equals the answer, repaired or not; names of the
        same boxes are there once. Then the symmetries for all of these boxes.
    """
    trains = [named_boxes(pair.question) for pair in task.train]
    tests = [named_boxes(pair.question) for pair in task.test]
    repairs = [repaired(pair.question) for pair in task.train]
    agreement: dict[str, float] = {}
    seen = set[tuple[Box, ...]]()
    for name in trains[0]:
        if not all(name in boxes for boxes in (*trains, *tests)):
            continue
        same = []
        for pair, boxes, repair in zip(task.train, trains, repairs, strict=True):
            crops = [boxes[name].crop(board) for board in (pair.question, repair)]
            if pair.answer is not None and pair.answer.shape == crops[0].shape:
                same.append(max(float((crop == pair.answer).mean()) for crop in crops))
        key = tuple(boxes[name] for boxes in (*trains, *tests))
        if len(same) == len(trains) and key not in seen:
            agreement[name] = float(np.mean(same))
            seen.add(key)
    used = [boxes[name] for name in agreement for boxes in (*trains, *tests)]
    return agreement, _ways(all(box.height == box.width for box in used))


# The answer has another size: it lies at the top left, over the question


@dataclass(frozen=True)
class LengthRule:
    """An answer's height or width: reading * times // divided_by + plus, or `plus` alone without a reading."""

    reading: str  # of `readings`; empty: the length is constant
    plus: int
    times: int = 1
    divided_by: int = 1

    def __call__(self, read: Mapping[str, int]) -> int:
        if not self.reading:
            return self.plus
        return read[self.reading] * self.times // self.divided_by + self.plus

    def __str__(self) -> str:
        if not self.reading:
            return str(self.plus)
        times = f" * {self.times}" if self.times > 1 else ""
        divided = f" / {self.divided_by}" if self.divided_by > 1 else ""
        return self.reading + times + divided + (f" {self.plus:+d}" if self.plus else "")


def _corners(task: ArcTask) -> Iterator[Canvas]:
    """Height and width each follow the simplest rule: a constant, or a number read off the question."""
    numbers = [readings(pair.question) for pair in task.train]
    answers = [pair.answer for pair in task.train if pair.answer is not None]
    height = _length_rule(numbers, [answer.shape[0] for answer in answers], ("height", "width"))
    width = _length_rule(numbers, [answer.shape[1] for answer in answers], ("width", "height"))
    if height is None or width is None:
        return

    def rule(grid: Grid) -> Layout | None:
        read = readings(grid)
        size = (height(read), width(read))
        return Layout(size, turned(grid, SAME_SHAPE), _marks(grid), _derived(grid)) if min(size) > 0 else None

    yield Canvas(f"over the question: {height} x {width}", rule)


def readings(grid: Grid) -> dict[str, int]:
    """Numbers that an answer's height or width may depend on."""
    ground = background(grid)
    counts = np.sort(np.bincount(grid[grid != ground], minlength=1))
    box = bounding_box(grid != ground)
    return {
        "height": grid.shape[0],
        "width": grid.shape[1],
        "colours": len(np.unique(grid[grid != ground])),
        "all colours": len(np.unique(grid)),
        "coloured cells": int((grid != ground).sum()),
        "commonest colour's cells": int(counts[-1]),
        "objects": len(objects(grid, ground, False)),
        "objects of one colour": len(objects(grid, ground, True)),
        "coloured height": box.height if box else 0,
        "coloured width": box.width if box else 0,
    }


def _length_rule(numbers: list[dict[str, int]], lengths: list[int], preferred: tuple[str, ...]) -> LengthRule | None:
    """The first rule that gives every demonstration its length.

    Args:
        numbers: the readings of each demonstration's question.
        lengths: the height, or the width, of each demonstration's answer.
        preferred: the readings to try first.
    """
    if len(set(lengths)) == 1:
        return LengthRule("", lengths[0])
    first = lengths[0]
    for name in dict.fromkeys((*preferred, *numbers[0])):
        known = numbers[0][name]
        rules = [LengthRule(name, first - known)]
        rules += [LengthRule(name, first - k * known, times=k) for k in FACTORS]
        rules += [LengthRule(name, first - known // k, divided_by=k) for k in FACTORS]
        for rule in rules:
            if all(rule(read) == length for read, length in zip(numbers, lengths, strict=True)):
                return rule
    return None
