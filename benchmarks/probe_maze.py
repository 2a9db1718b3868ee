"""Why a maze model fails: wrong distances to the goal, or a wrong path from right distances.

    python benchmarks/probe_maze.py WEIGHTS MAZES.csv [ROWS] [STEPS] [SKIP]

The model must have been trained with hints. After every eighth step the table shows the share of mazes that are
exact, the share of cells whose distance to G (modulo 3) and first move towards G are read correctly from z, the
share of mazes in which all cells are read correctly, and the share of mazes that are wrong although all cells are:
there the path is at fault.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from trm import store
from trm.inference.loop import SearchState, Thinking, think
from trm.inference.torch_step import TorchBackend, TorchOutcome
from trm.tasks.base import Bools
from trm.tasks.maze.sets import complete
from trm.tasks.maze.task import Maze, maze_for
from trm.tasks.text import read_file

BATCH = 16


class Probed(NamedTuple):
    """What one step came to, for each maze of a batch."""

    exact: Bools
    share: np.ndarray  # of cells with the right hint

    @property
    def every(self) -> Bools:
        return np.asarray(self.share == 1)


def probe(weights: str, file: str, rows: int, steps: int, skip: int) -> dict[int, list[Probed]]:
    """-> by step, a `Probed` for each batch"""
    text = read_file(file)
    task = maze_for(text, Maze())
    puzzles = complete(task.read(text), task).take(slice(skip, skip + rows))
    backend = TorchBackend(store.load(weights, task.spec).model)
    hints = [task.hint(*pair).kind for pair in zip(puzzles.question, puzzles.answer, strict=True)]
    kind = torch.from_numpy(np.stack(hints))
    found: dict[int, list[Probed]] = {}
    searches = [SearchState() for _ in hints]
    for step in think(backend, task, puzzles.question, searches, Thinking(steps, until="end"), BATCH, keep_given=False):
        number = int(step.steps[0])  # all mazes of a batch begin together
        if number % 8 and number != steps:
            continue
        assert isinstance(step.outcome, TorchOutcome)
        read = step.outcome.output.hints
        assert read is not None, f"{weights} was trained without hints"
        answer, wanted = puzzles.answer[step.rows], kind[step.rows]
        exact = ((step.tokens == answer) | (answer == 0)).all(1)
        right = (read.argmax(-1) % task.hints == wanted - 1) & (wanted > 0)
        share = right.sum(1) / (wanted > 0).sum(1)
        found.setdefault(number, []).append(Probed(exact, share.numpy()))
    return found


def main(weights: str, file: str, rows: str = "100", steps: str = "64", skip: str = "0") -> None:
    table = Table("step", "exact", "cells right", "all right", "wrong, all right")
    for step, batches in probe(weights, file, int(rows), int(steps), int(skip)).items():
        exact, share, every = (
            np.concatenate([getattr(one, name) for one in batches]) for name in ("exact", "share", "every")
        )
        values = (exact.mean(), share.mean(), every.mean(), (~exact & every).mean())
        table.add_row(str(step), *(f"{value:.1%}" for value in values))
    Console().print(table)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
