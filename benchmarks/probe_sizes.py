"""How many small mazes a model solves with the default settings of `trm solve`.

    python benchmarks/probe_sizes.py [WEIGHTS ...] [--rows 200] [--seed 0] [--sizes 2 3 ... 12] [--show]

For each size, mazes with few walls (up to 15 %) and with many (30 to 50 %) are drawn. S and G are any two cells that a
path joins, so paths begin at one move. The table shows the share solved, and the most steps that a maze took. With
--show, the mazes that are not solved are printed. Without WEIGHTS: every maze model that ships.
"""

from __future__ import annotations

import argparse

import numpy as np
from rich.console import Console
from rich.table import Table

import trm
from trm import store
from trm.store.shipped import shipped_names
from trm.tasks.base import Tokens
from trm.tasks.maze.paths import distances
from trm.tasks.maze.task import GOAL, OPEN, START, WALL, Maze

SHARES = {"open": (0.0, 0.15), "dense": (0.3, 0.5)}  # of walls
SIZES = tuple(range(2, 13))


def draw(size: int, rows: int, walls: tuple[float, float], seed: int) -> Tokens:
    """Random mazes, [rows, size * size]."""
    rng = np.random.default_rng([seed, size, round(100 * walls[0])])
    found: list[Tokens] = []
    while len(found) < rows:
        question = np.where(rng.random(size * size) < rng.uniform(*walls), WALL, OPEN).astype(np.uint8)
        if (question == OPEN).sum() < 2:
            continue
        start = int(rng.choice(np.flatnonzero(question == OPEN)))
        goals = np.flatnonzero(distances(question[None] == OPEN, np.array([start]), size, size)[0] > 0)
        if len(goals):
            question[[start, rng.choice(goals)]] = START, GOAL
            found.append(question)
    return np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="*")
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    parser.add_argument("--show", action="store_true")
    asked = parser.parse_args()
    for name in asked.weights or [name for name in shipped_names() if store.load(name).spec.name == "maze"]:
        solver = trm.Solver("maze", weights=name)
        table = Table("size", "open", "most steps", "dense", "most steps", title=f"{name}, {asked.rows} mazes each")
        for size in asked.sizes:
            cells = []
            for walls in SHARES.values():
                question = draw(size, asked.rows, walls, asked.seed)
                answers = solver.solve_tokens(Maze(size, size), question)
                cells += [f"{np.mean([one.solved for one in answers]):.1%}", str(max(one.steps for one in answers))]
                for row, one in zip(question, answers, strict=True):
                    if asked.show and not one.solved:
                        print(Maze(size, size).draw(row), end="\n\n")
            table.add_row(f"{size}x{size}", *cells)
        Console().print(table)


if __name__ == "__main__":
    main()
