"""Puzzles given in Python, as text or as grids."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from trm.errors import BadInput
from trm.inference.defaults import SIZES, default_weights
from trm.tasks import get_task
from trm.tasks.base import Task, Tokens
from trm.tasks.custom.task import Custom
from trm.tasks.maze.task import Maze
from trm.tasks.sudoku import task as sudoku
from trm.tasks.sudoku.task import Sudoku
from trm.tasks.text import decode, read_file

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


def read_question(
    argument: str, family: str = "sudoku", weights: str | None = None
) -> tuple[Sudoku | Maze | Custom, Tokens]:
    """A puzzle on the command line, a file of them, or `-` for standard input. -> the task, [rows, cells]

    `weights`: of a custom task, which is defined by them.
    """
    if family not in (*SIZES, "custom"):
        raise BadInput(f"task {family!r} is unknown; choose {', '.join(SIZES)} or custom")
    if argument == "-":
        text = decode(sys.stdin.buffer.read(), "standard input")
    elif looks_like_path(argument):
        text = read_file(argument)
    else:
        text = argument
    task = SIZES[family](text) if family in SIZES else custom_task(weights or default_weights(family))
    return task, task.read(text).question


def custom_task(weights: str) -> Custom:
    """The task that a stored model was trained for. Raises BadInput unless it is a custom one."""
    from trm import store
    from trm.tasks import get_task
    from trm.tasks.custom.task import FAMILY

    stored = store.load(weights)
    store.check_family(stored.name, stored.spec, FAMILY)
    task = get_task(stored.spec.name)
    assert isinstance(task, Custom)
    return task


def looks_like_path(argument: str) -> bool:
    """A file that exists, or something that can only have been meant as one."""
    try:
        if Path(argument).exists():
            return True
    except (OSError, ValueError):  # too long for a name, or a NUL byte: a puzzle then
        return False
    return "\n" not in argument and (os.sep in argument or argument.lower().endswith((".txt", ".csv", ".sdk")))
