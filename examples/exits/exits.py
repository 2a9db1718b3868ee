"""Make pairs for `trm train custom`: from every free cell of a floor plan, the direction of the nearest exit.

    python examples/exits/exits.py exits               # exits/train.npz and test.npz (12x12), large.npz (40x40)
    trm train custom --data exits/train.npz --structure examples/exits/structure.json --out runs/exits
    trm eval runs/exits --data exits/large.npz --steps 64

A question has 0 for a wall, 1 for a free cell and 2 for an exit. In the answer every free cell holds the direction of
its first move: 3 up, 4 left, 5 right, 6 down. Where several are as short, the smallest number. This script finds the
distances by search and does not use trm.
"""

from __future__ import annotations

import random
import sys
from collections import deque
from pathlib import Path

import numpy as np

WALL, FREE, EXIT = 0, 1, 2
MOVES = {3: (-1, 0), 4: (0, -1), 5: (0, 1), 6: (1, 0)}
Grid = list[list[int]]


def distances(plan: Grid) -> dict[tuple[int, int], int]:
    """Of every cell from which an exit can be reached, moves to the nearest one."""
    found = {(y, x): 0 for y, row in enumerate(plan) for x, cell in enumerate(row) if cell == EXIT}
    queue = deque(found)
    while queue:
        y, x = queue.popleft()
        for down, right in MOVES.values():
            at = (y + down, x + right)
            inside = 0 <= at[0] < len(plan) and 0 <= at[1] < len(plan[0])
            if inside and at not in found and plan[at[0]][at[1]] != WALL:
                found[at] = found[y, x] + 1
                queue.append(at)
    return found


def pair(side: int, rng: random.Random) -> tuple[Grid, Grid]:
    """A plan of random walls, rooms and exits, and the directions. Cells without a way out become walls."""
    plan = [[WALL if rng.random() < 0.25 else FREE for _ in range(side)] for _ in range(side)]
    for _ in range(side // 6):  # long walls with a door
        at, door, across = rng.randrange(side), rng.randrange(side), rng.random() < 0.5
        for place in range(side):
            y, x = (at, place) if across else (place, at)
            plan[y][x] = FREE if place == door else WALL
    for _ in range(rng.randint(1, max(1, side // 6))):
        plan[rng.randrange(side)][rng.randrange(side)] = EXIT
    far = distances(plan)
    answer = [row[:] for row in plan]
    for y, row in enumerate(plan):
        for x, cell in enumerate(row):
            if cell == FREE and (y, x) not in far:
                plan[y][x] = answer[y][x] = WALL
            elif cell == FREE:
                ways = [way for way, (down, right) in MOVES.items() if far.get((y + down, x + right)) == far[y, x] - 1]
                answer[y][x] = min(ways)
    return plan, answer


def main(folder: str, train: str = "1000", test: str = "500", seed: str = "0") -> None:
    rng = random.Random(int(seed))
    Path(folder).mkdir(parents=True, exist_ok=True)
    seen = set[bytes]()
    for name, rows, side in (("train", int(train), 12), ("test", int(test), 12), ("large", int(test), 40)):
        pairs = list[np.ndarray]()
        while len(pairs) < rows:
            made = np.array(pair(side, rng), np.uint8)
            if made[0].tobytes() not in seen and (made[0] == FREE).sum() > side:  # no plan twice, and no empty one
                seen.add(made[0].tobytes())
                pairs.append(made)
        both = np.stack(pairs, axis=1)
        np.savez_compressed(Path(folder) / f"{name}.npz", question=both[0], answer=both[1])
    print(f"{train} pairs in {folder}/train.npz, {test} in {folder}/test.npz and {folder}/large.npz")


if __name__ == "__main__":
    main(*sys.argv[1:])
