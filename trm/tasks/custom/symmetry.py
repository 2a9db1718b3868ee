"""Which symmetries a set of pairs has: a randomisation test for each.

A symmetry turns pairs into pairs that could as well have been in the set. So if it holds, it does not matter whether it
is applied to a pair before the set is looked at. The test compares the set with its image by the mean of many features,
and does the same with sets in which every pair was replaced by an image of its own, drawn at random. If the symmetry
holds, all of these comparisons come out alike, and the share of those that differ by as much as the first one is a
p-value, exactly so for any features (a randomisation test over the group that the symmetry generates). This takes pairs
that were drawn independently, so of pairs with one question or one answer only the first is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from trm.tasks.base import Ints
from trm.tasks.custom.structure import Turn

DRAWS, SEED = 399, 0  # sets of images that are compared, so p is 0.0025 or more
CELLS = 30_000  # of all pairs that are looked at
MOVED = 2_000_000  # of all images in a test of translation
MOST, LEAST = 400, 10  # pairs; fewer for a translation, but so many
FEWEST = 20  # pairs, or nothing is looked for: fewer could contradict nothing
MOST_CELLS = 200_000  # of FEWEST pairs
BUCKETS = 2048  # into which features are hashed
REACH = 3  # rows and columns between two cells whose equality is a feature
LEVEL = 0.01  # a symmetry with a smaller p does not hold
MATCHINGS = 3  # ways in which numbers are exchanged in pairs

Floats: TypeAlias = npt.NDArray[np.float32]
Move: TypeAlias = Callable[[Ints], Ints]  # of grids [rows, height, width]


class Symmetry(NamedTuple):
    """A symmetry and how probable the pairs are if it holds."""

    name: str
    p: float

    @property
    def holds(self) -> bool:
        """Whether the pairs do not contradict it."""
        return self.p >= LEVEL


# The eight symmetries of a square but the identity, by name; a turn to the right is one to the left, undone.
TURNS: dict[Turn, Move] = {
    "turned by half": lambda grids: grids[:, ::-1, ::-1],
    "mirrored left to right": lambda grids: grids[:, :, ::-1],
    "mirrored top to bottom": lambda grids: grids[:, ::-1],
    "turned by a quarter": lambda grids: np.rot90(grids, axes=(1, 2)),
    "rows and columns exchanged": lambda grids: grids.transpose(0, 2, 1),
    "exchanged along the other diagonal": lambda grids: grids[:, ::-1, ::-1].transpose(0, 2, 1),
}
SHIFTS: dict[str, Move] = {
    "moved by a row, around the edge": lambda grids: np.roll(grids, 1, 1),
    "moved by a column, around the edge": lambda grids: np.roll(grids, 1, 2),
}


def symmetries_of(question: Ints, answer: Ints, symbols: Ints, unit: int = 0) -> list[Symmetry]:
    """Test the symmetries of a square, translation, and whether numbers may be renamed.

    Args:
        question, answer: the pairs, [rows, height, width] each.
        symbols: the numbers that may be interchangeable.
        unit: of questions with several layers, of which the first holds those numbers; 0: there are none.
    """
    rows = independent(question, answer)[: max(FEWEST, min(MOST, CELLS // question[0].size))]
    question, answer = question[rows], answer[rows]
    if len(question) < FEWEST or question.size > MOST_CELLS:
        return []
    rng = np.random.default_rng(SEED)
    found = []
    for turn, move in TURNS.items():
        if move(question[:1]).shape == question[:1].shape:
            found.append(Symmetry(turn, p_value(question, answer, move, rng)))
    for (name, move), order in zip(SHIFTS.items(), question.shape[1:], strict=True):
        few = MOVED // (order * question[0].size)  # each pair has as many images as there are rows, or columns
        if few >= LEAST:
            found.append(Symmetry(name, p_value(question[:few], answer[:few], move, rng)))
    if len(symbols) > 1:
        ps = [p_value(question, answer, exchange(symbols, rng, unit), rng) for _ in range(MATCHINGS)]
        found.append(Symmetry("numbers renamed", min(1.0, MATCHINGS * min(ps))))
    return found


def images(shape: tuple[int, int], names: Sequence[Turn]) -> Ints:
    """The cells that the images of a board take their content from, [images, cells]: the board itself, then every
    composition of the named moves, which must suit the shape.
    """
    board = np.arange(shape[0] * shape[1]).reshape(1, *shape)
    found = {board.tobytes(): board}
    new = [board]
    while new:
        made = [np.ascontiguousarray(TURNS[name](one)) for one in new for name in names]
        new = [one for one in {one.tobytes(): one for one in made}.values() if one.tobytes() not in found]
        found |= {one.tobytes(): one for one in new}
    return np.concatenate([one.reshape(1, -1) for one in found.values()])


def independent(question: Ints, answer: Ints) -> Ints:
    """The numbers of pairs of which no two have the same question or the same answer: the tests draw for each pair by
    itself, so pairs must not come in families.
    """
    seen, rows = set[bytes](), list[int]()
    for row, pair in enumerate(zip(question, answer, strict=True)):
        keys = [kind + part.tobytes() for kind, part in zip((b"q", b"a"), pair, strict=True)]
        if not seen & {*keys}:
            seen |= {*keys}
            rows.append(row)
    return np.array(rows, np.int64)


def exchange(symbols: Ints, rng: np.random.Generator, unit: int = 0) -> Move:
    """The renaming that exchanges the numbers in pairs drawn at random; `unit`: see `symmetries_of`."""
    drawn = rng.permutation(symbols)
    half = len(drawn) // 2
    first, second = drawn[:half], drawn[half : 2 * half]

    def renamed(grids: Ints) -> Ints:
        layer = grids % unit if unit else grids
        image: Ints = grids.copy()
        for one, other in zip(first.tolist(), second.tolist(), strict=True):
            image[layer == one] += other - one
            image[layer == other] += one - other
        return image

    return renamed


def p_value(question: Ints, answer: Ints, move: Move, rng: np.random.Generator) -> float:
    """The probability of a difference as large as that between the pairs and their images, if the symmetry holds."""
    orbit = np.stack([features(*images) for images in powers(question, answer, move)])  # [order, rows, buckets]
    order, rows, _ = orbit.shape
    steps = np.roll(orbit, -1, 0) - orbit  # what the move changes in each image
    drawn = rng.integers(order, size=(DRAWS, rows))
    drawn = np.concatenate([np.zeros((1, rows), np.int64), drawn])
    gaps = [float((steps[images, np.arange(rows)].mean(0) ** 2).sum()) for images in drawn]
    # Rounding must not tell equal sets from each other.
    return sum(gap >= gaps[0] * (1 - 1e-4) - 1e-12 for gap in gaps) / len(gaps)


def powers(question: Ints, answer: Ints, move: Move) -> Iterator[tuple[Ints, Ints]]:
    """The pairs, their images, the images of these, and so on, until the pairs come back."""
    first = (question, answer)
    while True:
        yield question, answer
        question, answer = move(question), move(answer)
        if (question == first[0]).all() and (answer == first[1]).all():
            return


def features(question: Ints, answer: Ints) -> Floats:
    """Counts of many simple patterns in each pair, hashed with signs. -> [rows, BUCKETS]

    The patterns: a number at a place in the question or the answer, numbers side by side in the answer, numbers of the
    question with those of the answer at and around their places, also with a third beside them, and equal numbers of
    the answer in two places.
    """
    rows, height, width = answer.shape
    total = np.zeros(rows * BUCKETS)
    kind = 0

    def add(*parts: Ints | int) -> None:
        """Add the patterns of one kind, which numbers of equal shape [rows, ...] tell apart."""
        nonlocal kind
        code = np.full(np.broadcast_shapes(*(np.shape(part) for part in parts)), kind, np.uint64)
        for part in parts:
            code = mixed(code ^ np.asarray(part).astype(np.uint64))
        kind += 1
        sign = np.where(code >> np.uint64(60) & np.uint64(1), 1.0, -1.0)
        bucket = (code % np.uint64(BUCKETS)).astype(np.int64).reshape(rows, -1)
        bucket += np.arange(rows)[:, None] * BUCKETS
        total[:] += np.bincount(bucket.reshape(-1), sign.reshape(-1), rows * BUCKETS)

    place = np.arange(height * width).reshape(1, height, width)
    add(place, answer)
    add(place, question)
    for dy in range(-REACH, REACH + 1):
        for dx in range(-REACH, REACH + 1):
            here, there = window(height, dy), window(height, -dy)
            over, under = window(width, dx), window(width, -dx)
            if min(height - abs(dy), width - abs(dx)) < 1:
                continue
            near, far = answer[:, here, over], answer[:, there, under]
            asked = question[:, here, over]
            if abs(dy) + abs(dx) <= 1:
                add(asked, far)
            if abs(dy) + abs(dx) == 1:  # two of three may say nothing, as in sums
                add(asked, near, far)
                add(asked, question[:, there, under], near)
            if (dy, dx) > (0, 0):
                add(place[:, here, over], (near == far).astype(np.int64))
                if max(dy, abs(dx)) <= 1:
                    add(near, far)
    return total.reshape(rows, BUCKETS).astype(np.float32)


def window(side: int, shift: int) -> slice:
    """The cells of a side that have a cell of the board `shift` after them."""
    return slice(max(0, -shift), side - max(0, shift))


def mixed(code: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """A hash of 64 bits (the finaliser of splitmix64)."""
    with np.errstate(over="ignore"):
        code = (code + np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
        code = (code ^ (code >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        code = (code ^ (code >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        code ^= code >> np.uint64(31)
    return code
