"""Make pairs for `trm train custom`: Futoshiki. This script has its own solver and does not use trm.

    python examples/futoshiki/futoshiki.py futoshiki     # futoshiki/train.npz and futoshiki/test.npz
    trm train custom --data futoshiki/train.npz --structure examples/futoshiki/structure.json --out runs/futoshiki
    trm eval runs/futoshiki --data futoshiki/test.npz

A Latin square of 5x5 with signs between neighbours: the number on the open side is larger. So a question has three
layers: the number (0: unknown), the sign to its right (0: none, 1: <, 2: >), and the sign below it (1: the number above
is smaller, 2: larger). Every question has one solution, and no two have the same.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np

N = 5
CELLS = N * N
SIGNS = 16  # between neighbours, of 40 places
Signs = dict[tuple[int, int], int]  # from a cell to its right or lower neighbour: 1 smaller, 2 larger


def neighbours() -> list[tuple[int, int]]:
    right = [(cell, cell + 1) for cell in range(CELLS) if cell % N < N - 1]
    return right + [(cell, cell + N) for cell in range(CELLS - N)]


def solutions(numbers: list[int], signs: Signs, limit: int, rng: random.Random) -> list[list[int]]:
    """Up to `limit` completions of `numbers` [cells], 0 for unknown. Numbers are tried in random order."""
    numbers, found = list(numbers), list[list[int]]()
    bounds: list[list[tuple[int, bool]]] = [
        [] for _ in range(CELLS)
    ]  # of each cell: another one, whether that is larger
    for (one, other), sign in signs.items():
        bounds[one].append((other, sign == 1))
        bounds[other].append((one, sign == 2))

    def choices(cell: int) -> list[int]:
        row, column = cell - cell % N, cell % N
        used = {*numbers[row : row + N], *numbers[column::N]}
        low, high = 1, N
        for other, larger in bounds[cell]:
            if larger:
                high = min(high, (numbers[other] or N) - 1)
            else:
                low = max(low, numbers[other] + 1 if numbers[other] else 2)
        return [number for number in range(low, high + 1) if number not in used]

    def search() -> None:
        blanks = {cell: choices(cell) for cell in range(CELLS) if not numbers[cell]}
        if not blanks:
            found.append(list(numbers))
            return
        cell = min(blanks, key=lambda one: len(blanks[one]))
        for number in rng.sample(blanks[cell], len(blanks[cell])):
            numbers[cell] = number
            search()
            if len(found) >= limit:
                break
        numbers[cell] = 0

    search()
    return found


def puzzle(rng: random.Random) -> tuple[list[int], Signs, list[int]]:
    """Numbers of which none can be taken away, some signs, and the solution."""
    [answer] = solutions([0] * CELLS, {}, 1, rng)
    numbers = list(answer)
    signs = {(one, other): 1 if answer[one] < answer[other] else 2 for one, other in rng.sample(neighbours(), SIGNS)}
    for cell in rng.sample(range(CELLS), CELLS):
        numbers[cell] = 0
        if len(solutions(numbers, signs, 2, rng)) > 1:
            numbers[cell] = answer[cell]
    return numbers, signs, answer


def main(folder: str, train: str = "4000", test: str = "500", seed: str = "0") -> None:
    rng = random.Random(int(seed))
    made: dict[tuple[int, ...], np.ndarray] = {}
    while len(made) < int(train) + int(test):
        numbers, signs, answer = puzzle(rng)
        layers = np.zeros((3, CELLS), np.uint8)
        layers[0] = numbers
        for (one, other), sign in signs.items():
            layers[1 if other == one + 1 else 2, one] = sign
        made[tuple(answer)] = layers.reshape(3, N, N)
    question, answers = np.array([*made.values()]), np.array([*made], np.uint8).reshape(-1, N, N)
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, rows in (("train", slice(0, int(train))), ("test", slice(int(train), None))):
        np.savez_compressed(Path(folder) / f"{name}.npz", question=question[rows], answer=answers[rows])
    print(f"{train} pairs in {folder}/train.npz and {test} in {folder}/test.npz")


if __name__ == "__main__":
    main(*sys.argv[1:])
