"""Why a maze model fails: wrong distances to the goal, or a wrong path from right distances.

    python benchmarks/probe_maze.py WEIGHTS MAZES.csv [ROWS] [STEPS] [SKIP]

The model must have been trained with hints. After every eighth step the table shows the share of mazes that are
exact, the share of cells whose distance to G (modulo 3) and first move towards G are read correctly from z, the
share of mazes in which all cells are read correctly, and the share of mazes that are wrong although all cells are:
there the path is at fault.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from trm import store
from trm.models import State
from trm.tasks.maze.sets import complete
from trm.tasks.maze.task import Maze, maze_for
from trm.tasks.text import read_file

BATCH = 16


def probe(weights: str, file: str, rows: int, steps: int, skip: int) -> dict[int, np.ndarray]:
    """-> step: [mazes, 3], exact, share of cells that are right, all of them right"""
    text = read_file(file)
    task = maze_for(text, Maze())
    puzzles = complete(task.read(text), task).take(slice(skip, skip + rows))
    model = store.load(weights, task.spec).model
    found: dict[int, list[torch.Tensor]] = {}
    for start in range(0, len(puzzles), BATCH):
        part = puzzles.take(slice(start, start + BATCH))
        question, answer = torch.from_numpy(part.question).long(), torch.from_numpy(part.answer).long()
        hints = [task.hint(*pair).kind for pair in zip(part.question, part.answer, strict=True)]
        kind = torch.from_numpy(np.stack(hints))
        state: State = model.start(len(part))
        for step in range(1, steps + 1):
            with torch.inference_mode():
                output = model(state, question)
            state = output.state
            if step % 8 and step != steps:
                continue
            assert output.hints is not None, f"{weights} was trained without hints"
            exact = ((output.logits.argmax(-1) + model.first_token == answer) | (answer == 0)).all(1)
            right = (output.hints.argmax(-1) % task.hints == kind - 1) & (kind > 0)
            share = right.sum(1) / (kind > 0).sum(1)
            found.setdefault(step, []).append(torch.stack((exact, share, share == 1), dim=1))
    return {step: torch.cat(parts).numpy() for step, parts in found.items()}


def main(weights: str, file: str, rows: str = "100", steps: str = "64", skip: str = "0") -> None:
    table = Table("step", "exact", "cells right", "all right", "wrong, all right")
    for step, mazes in probe(weights, file, int(rows), int(steps), int(skip)).items():
        exact, share, every = mazes.T
        values = (exact.mean(), share.mean(), every.mean(), ((exact == 0) & (every == 1)).mean())
        table.add_row(str(step), *(f"{value:.1%}" for value in values))
    Console().print(table)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
