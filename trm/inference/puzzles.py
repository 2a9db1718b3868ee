"""Puzzles that a user gives: in Python as text or grids, on the command line as text, a file or standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from trm.errors import BadInput
from trm.tasks import find_family, resizable
from trm.tasks.base import Task, Tokens
from trm.tasks.family import HOMES
from trm.tasks.text import decode, read_file

Puzzle: TypeAlias = str | Sequence[Sequence[str]] | Sequence[Sequence[int]] | npt.NDArray[Any]  # a str is a line, too


def read_puzzle(puzzle: Puzzle, task_name: str) -> tuple[Task, Tokens]:
    """Puzzles given in Python. -> the task of their size, [rows, cells]

    Args:
        puzzle: text, lines of text, or [height, width] whole numbers: digits of a Sudoku (0: blank), tokens of a task
            that has no `from_grid` of its own.
        task_name: `sudoku`, `maze`, or the name of a registered task.

    Raises:
        BadInput: no such task, or no puzzle of it.
    """
    family = find_family(task_name)
    if isinstance(puzzle, str):
        task = family.task_for(puzzle) if family.any_size else family.task(task_name)
        return task, task.read(puzzle).question
    try:
        grid = np.asarray(puzzle)
    except ValueError:
        raise BadInput("the rows of the puzzle are of different lengths") from None
    if grid.dtype.kind == "U":
        return read_puzzle("\n".join("".join(row) for row in grid.tolist()), task_name)
    if grid.dtype.kind not in "iu" or grid.ndim != 2:
        what = f"{grid.dtype} of shape {grid.shape}"
        raise BadInput(f"a puzzle is text, lines of text, or rows of whole numbers (0: blank), not {what}")
    task = family.task_of_shape(grid.shape) if family.any_size else family.task(task_name)
    return task, task.from_grid(grid)[None]


def read_argument(argument: str, family: str = "sudoku", weights: str | None = None) -> tuple[Task, Tokens]:
    """A puzzle on the command line, a file of them, or `-` for standard input. -> the task, [rows, cells]

    Args:
        argument: what the user wrote.
        family: `sudoku`, `maze` or `custom`.
        weights: the model; a custom task is defined by it.
    """
    # Not `resizable()`, which imports every family: a cold answer to one puzzle should not wait for the others.
    if family != "custom" and not (family in HOMES and find_family(family).any_size):
        raise BadInput(f"task {family!r} is unknown; choose {', '.join(resizable())} or custom")
    if argument == "-":
        text = decode(sys.stdin.buffer.read(), "standard input")
    elif looks_like_path(argument):
        text = read_file(argument)
    else:
        text = argument
    task = custom_task(weights) if family == "custom" else find_family(family).task_for(text)
    return task, task.read(text).question


def custom_task(weights: str | None) -> Task:
    """The custom task that a stored model was trained for. Raises BadInput unless it is one."""
    from trm import store
    from trm.inference.defaults import default_weights
    from trm.tasks.custom.task import FAMILY

    stored = store.load(weights or default_weights(FAMILY))
    store.check_family(stored.name, stored.spec, FAMILY)
    return find_family(FAMILY).task(stored.spec.name)


def looks_like_path(argument: str) -> bool:
    """Whether it is a file that exists, or something that can only have been meant as one."""
    try:
        if Path(argument).exists():
            return True
    except (OSError, ValueError):  # too long for a name, or a NUL byte: a puzzle then
        return False
    return "\n" not in argument and (os.sep in argument or argument.lower().endswith((".txt", ".csv", ".sdk")))
