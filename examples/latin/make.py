"""Make pairs for `trm train custom`: Latin squares to complete. This script has its own solver and does not use trm.

    python examples/latin/make.py latin               # latin/train.npz and latin/test.npz
    trm train custom --data latin/train.npz --structure examples/latin/structure.json --out runs/latin
    trm eval runs/latin --data latin/test.npz

Every question has one solution. No two answers are equal, so no test square occurs in training.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

N = 7
HIDDEN = 31  # cells, out of 49; fewer if hiding any other would allow a second solution


def solutions(square: Sequence[int], limit: int, rng: random.Random) -> list[list[int]]:
    """Up to `limit` completions of a square of N * N numbers, 0 for unknown. Digits are tried in random order."""
    square, found = list(square), []
    rows = [set(range(1, N + 1)) - set(square[at : at + N]) for at in range(0, N * N, N)]
    columns = [set(range(1, N + 1)) - set(square[at::N]) for at in range(N)]

    def search(blanks: list[int]) -> None:
        if not blanks:
            found.append(list(square))
            return
        cell = min(blanks, key=lambda cell: len(rows[cell // N] & columns[cell % N]))
        row, column, rest = rows[cell // N], columns[cell % N], [blank for blank in blanks if blank != cell]
        for digit in rng.sample(sorted(row & column), len(row & column)):
            square[cell] = digit
            row.remove(digit)
            column.remove(digit)
            search(rest)
            row.add(digit)
            column.add(digit)
            if len(found) >= limit:
                return
        square[cell] = 0

    search([cell for cell in range(N * N) if not square[cell]])
    return found


def puzzle(rng: random.Random) -> tuple[list[int], list[int]]:
    """A random square, in which cells are hidden one by one as long as it has one solution, and that solution."""
    [answer] = solutions([0] * (N * N), 1, rng)
    question = list(answer)
    for cell in rng.sample(range(N * N), N * N):
        question[cell] = 0
        if len(solutions(question, 2, rng)) > 1:
            question[cell] = answer[cell]
        if question.count(0) == HIDDEN:
            break
    return question, answer


def main(folder: str, train: str = "1000", test: str = "500", seed: str = "0") -> None:
    rng = random.Random(int(seed))
    made: dict[tuple[int, ...], list[int]] = {}
    while len(made) < int(train) + int(test):
        question, answer = puzzle(rng)
        made[tuple(answer)] = question
    pairs = np.array([(question, answer) for answer, question in made.items()], np.uint8).reshape(-1, 2, N, N)
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, part in (("train", pairs[: int(train)]), ("test", pairs[int(train) :])):
        np.savez_compressed(Path(folder) / f"{name}.npz", question=part[:, 0], answer=part[:, 1])
    print(f"{train} pairs in {folder}/train.npz and {test} in {folder}/test.npz")


if __name__ == "__main__":
    main(*sys.argv[1:])
