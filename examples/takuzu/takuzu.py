"""Make pairs for `trm train custom`: Takuzu, a binary puzzle. This script has its own solver and does not use trm.

    python examples/takuzu/takuzu.py takuzu              # takuzu/train.npz and test.npz (8x8), large.npz (10x10)
    trm train custom --data takuzu/train.npz --structure examples/takuzu/structure.json --out runs/takuzu
    trm eval runs/takuzu --data takuzu/test.npz

Cells hold 1 or 2, and 0 is an unknown cell. In every row and column there are as many ones as twos, and no three equal
numbers stand side by side. (The rule of some makers that no two rows are alike is left out.) Every question has one
solution, and no answer occurs twice.
"""

from __future__ import annotations

import random
import sys
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np

Line = tuple[int, ...]
Grid = tuple[Line, ...]


@cache
def allowed(side: int) -> list[Line]:
    """All lines that obey the rules."""
    balanced = (line for line in product((1, 2), repeat=side) if 2 * line.count(1) == side)
    return [line for line in balanced if all(len({*line[at : at + 3]}) > 1 for at in range(side - 2))]


@cache
def narrowed(line: Line) -> Line | None:
    """The line with every cell filled in that has one value in all lines which fit; None if no line fits."""
    fitting = [
        other for other in allowed(len(line)) if all(one in (0, two) for one, two in zip(line, other, strict=True))
    ]
    return tuple(values[0] if len({*values}) == 1 else 0 for values in zip(*fitting, strict=True)) if fitting else None


def solution(grid: Grid, rng: random.Random) -> Grid | None:
    """A random solution; None if there is none."""
    before = None
    while grid != before:  # rows, then columns
        before = grid
        for _ in range(2):
            lines = [narrowed(line) for line in grid]
            if None in lines:
                return None
            grid = tuple(zip(*lines, strict=True))
    blanks = [(y, x) for y, line in enumerate(grid) for x, value in enumerate(line) if not value]
    if not blanks:
        return grid
    place = rng.choice(blanks)
    tries = (solution(changed(grid, place, value), rng) for value in rng.sample((1, 2), 2))
    return next((found for found in tries if found), None)


def changed(grid: Grid, place: tuple[int, int], value: int) -> Grid:
    y, x = place
    line = grid[y]
    return (*grid[:y], (*line[:x], value, *line[x + 1 :]), *grid[y + 1 :])


def puzzle(side: int, rng: random.Random) -> tuple[Grid, Grid]:
    """A question from which no number can be taken away, and its solution."""
    answer = solution(((0,) * side,) * side, rng)
    assert answer is not None
    question = answer
    for cell in rng.sample(range(side * side), side * side):
        y, x = place = divmod(cell, side)
        if solution(changed(question, place, 3 - answer[y][x]), rng) is None:  # a second solution would differ here
            question = changed(question, place, 0)
    return question, answer


def main(folder: str, train: str = "1000", test: str = "500", seed: str = "0") -> None:
    rng = random.Random(int(seed))
    Path(folder).mkdir(parents=True, exist_ok=True)
    for side, rows in ((8, int(train) + int(test)), (10, int(test))):
        made = dict[Grid, Grid]()
        while len(made) < rows:
            question, answer = puzzle(side, rng)
            made[answer] = question
        questions, answers = np.array([*made.values()], np.uint8), np.array([*made], np.uint8)
        parts = (
            {"train": slice(0, int(train)), "test": slice(int(train), None)} if side == 8 else {"large": slice(None)}
        )
        for name, some in parts.items():
            np.savez_compressed(Path(folder) / f"{name}.npz", question=questions[some], answer=answers[some])
    print(f"{train} pairs in {folder}/train.npz, {test} in {folder}/test.npz and {folder}/large.npz")


if __name__ == "__main__":
    main(*sys.argv[1:])
