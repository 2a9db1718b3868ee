"""Puzzles given in Python, as text or as grids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from trm.errors import BadInput
from trm.solving import SIZES
from trm.tasks import get_task
from trm.tasks.base import Task, Tokens
from trm.tasks.maze.task import Maze
from trm.tasks.sudoku import task as sudoku

Puzzle: TypeAlias = str | Sequence[Sequence[str]] | Sequence[Sequence[int]] | npt.NDArray[Any]  # a str is a line, too


def read_puzzle(puzzle: Puzzle, family: str) -> tuple[Task, Tokens]:
    """Puzzles given in Python. -> the task of their size, [rows, cells]

    Args:
        puzzle: text, lines of text, or [height, width] whole numbers: digits of a Sudoku (0: blank), tokens of a task
            that has no `from_grid`.
        family: `sudoku`, `maze`, or the name of a registered task.

    Raises:
        BadInput: no such task, or no puzzle of it.
    """
    if isinstance(puzzle, str):
        task = SIZES[family](puzzle) if family in SIZES else get_task(family)
        return task, task.read(puzzle).question
    try:
        grid = np.asarray(puzzle)
    except ValueError:
        raise BadInput("the rows of the puzzle are of different lengths") from None
    if grid.dtype.kind == "U":
        return read_puzzle("\n".join("".join(row) for row in grid.tolist()), family)
    if grid.dtype.kind not in "iu" or grid.ndim != 2:
        what = f"{grid.dtype} of shape {grid.shape}"
        raise BadInput(f"a puzzle is text, lines of text, or rows of whole numbers (0: blank), not {what}")
    task = task_of_shape(family, grid.shape)
    if from_grid := getattr(task, "from_grid", None):
        return task, from_grid(grid)[None]
    if grid.shape != (task.spec.height, task.spec.width) or not (0 <= grid.min() <= grid.max() < task.spec.vocab):
        wanted = f"{task.spec.height}x{task.spec.width} tokens from 0 to {task.spec.vocab - 1}"
        raise BadInput(f"a puzzle of {family} is {wanted}, not {grid.min()} to {grid.max()} of shape {grid.shape}")
    return task, grid.reshape(1, -1).astype(np.uint8)


def task_of_shape(family: str, shape: tuple[int, ...]) -> Task:
    """The task for a grid of numbers. Raises BadInput for a shape that it cannot have."""
    task = sudoku.SIZES.get(shape[0] * shape[1]) if family == "sudoku" else get_task(family)
    if isinstance(task, Maze):
        raise BadInput("a maze is text, or lines of the characters #.SG, not numbers")
    if task is None:
        raise BadInput(f"a Sudoku has 4, 6, 9 or 16 rows and columns, not the shape {shape}")
    return task
