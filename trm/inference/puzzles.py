"""Puzzles that a user gives: in Python as text or grids, on the command line as text, a file or standard input."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence, Set
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from trm.errors import BadInput
from trm.inference.sizes import PuzzlesRead, SizedPuzzle, read_sizes
from trm.store.shipped import check_is_task
from trm.tasks import find_family, resizable
from trm.tasks.family import HOMES, REGISTERED, registered
from trm.tasks.text import TwoReadings, decode, naming, quoted, read_file

__all__ = [
    "Puzzle",
    "PuzzlesRead",
    "SizedPuzzle",
    "looks_like_path",
    "read_argument",
    "read_array",
    "read_puzzle",
    "read_text",
]

FOREIGN = re.compile(r"[h-nq-rt-wyzH-NP-RT-WYZ]")  # letters that no puzzle is written with
SUFFIX = re.compile(r"\.[A-Za-z][\w-]{1,15}$")  # of a file
NPZ = ".npz"
SUFFIXES = (".txt", ".csv", ".tsv", ".json", ".sdk", ".sdm", ".ss", ".opensudoku")
# A str is a line, too.
Puzzle: TypeAlias = str | Sequence[Sequence[str]] | Sequence[Sequence[int]] | Sequence[int] | npt.NDArray[Any]


def read_text(text: str, task_name: str) -> PuzzlesRead:
    """The puzzles of a text. They may be of several sizes where it is certain where each of them ends.

    Raises BadInput: no such task, or no puzzle of it.
    """
    family = find_family(task_name)
    task = family.task_for(text, None if family.any_size else family.task(task_name))
    try:
        puzzles = task.read(text)
    except TwoReadings:
        raise
    except BadInput:
        if family.any_size and (mixed := read_sizes(text, family)):
            return mixed
        raise
    return PuzzlesRead([SizedPuzzle(task, row) for row in puzzles.question], puzzles.remarks)


def read_puzzle(puzzle: Puzzle, task_name: str) -> list[SizedPuzzle]:
    """Puzzles given in Python.

    Args:
        puzzle: text, lines of text, or [height, width] whole numbers: digits of a Sudoku (0: blank), tokens of a task
            that has no `from_grid` of its own. Whole numbers may be floats, and the array may be flat where only one
            shape has so many cells.
        task_name: `sudoku`, `maze`, or the name of a registered task.

    Raises:
        BadInput: no such task, or no puzzle of it.
    """
    if not isinstance(puzzle, str):
        return read_array(puzzle, task_name)
    try:
        boards, remarks = read_text(puzzle, task_name)
    except TwoReadings:
        raise
    except BadInput as error:
        if "\n" not in puzzle and puzzle.lower().endswith((*SUFFIXES, NPZ)):
            raise BadInput(f"{quoted(puzzle)} is taken for a puzzle; of a file give what is in it") from error
        raise
    return [board._replace(remarks=remarks) for board in boards]


def read_array(puzzle: Any, task_name: str) -> list[SizedPuzzle]:
    """Puzzles given as lines of text or as numbers: see `read_puzzle`."""
    family = find_family(task_name)
    if isinstance(puzzle, Set | Mapping | bytes | Path) or not hasattr(puzzle, "__len__"):
        raise BadInput(f"a puzzle is text, lines of text, or rows of whole numbers (0: blank), not {described(puzzle)}")
    try:
        grid = np.asarray(puzzle)
    except ValueError:
        raise BadInput("the rows of the puzzle are of different lengths") from None
    if not grid.size:
        raise BadInput("no puzzle found: there are no cells in it")
    if grid.dtype.kind == "U":
        if grid.ndim == 1 and grid.dtype.itemsize == np.dtype("U1").itemsize and (shape := flat(grid, task_name)):
            grid = grid.reshape(shape)
        return read_puzzle("\n".join("".join(row) for row in grid.tolist()), task_name)
    if grid.dtype.kind == "f":
        grid = whole(grid)
    if grid.dtype.kind in "iu" and grid.ndim == 1 and (shape := flat(grid, task_name)):
        grid = grid.reshape(shape)
    most = 2 if family.any_size else 3  # layers of a question
    if grid.dtype.kind not in "iu" or not 2 <= grid.ndim <= most:
        raise BadInput(f"a puzzle is text, lines of text, or rows of whole numbers (0: blank), not {described(grid)}")
    task = family.sized(task_name, grid.shape[-2:])
    return [SizedPuzzle(task, task.from_grid(grid))]


def flat(grid: npt.NDArray[Any], task_name: str) -> tuple[int, int] | None:
    """The shape of the only board with as many cells as the flat `grid` has; None if there is none, or several."""
    family = find_family(task_name)
    if family.any_size:
        return family.shape_of(len(grid))
    spec = family.task(task_name).spec
    return (spec.height, spec.width) if spec.height * spec.width == len(grid) else None


def whole(grid: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """A grid of floats as whole numbers. Raises BadInput that names the first cell which is none."""
    wrong = ~(np.isfinite(grid) & (np.abs(grid) < 1e9)) | (grid != np.round(grid))
    if wrong.any():
        place = tuple(int(one) + 1 for one in np.argwhere(wrong)[0])
        where = f"row {place[0]}, column {place[1]}" if grid.ndim == 2 else f"cell {', '.join(map(str, place))}"
        raise BadInput(f"{where} of the puzzle is {grid[wrong][0]}; cells are whole numbers (0: blank)")
    return grid.astype(np.int64)


def described(puzzle: Any) -> str:
    """What was given in place of a puzzle, in a few words."""
    if isinstance(puzzle, np.ndarray):
        return f"{puzzle.dtype} of shape {puzzle.shape}"
    return f"an object of type {type(puzzle).__name__}"


def read_argument(
    argument: str, family: str = "sudoku", weights: str | None = None, exported: bool = False
) -> PuzzlesRead:
    """A puzzle on the command line, a file of them, or `-` for standard input.

    Args:
        argument: what the user wrote.
        family: `sudoku`, `maze`, `custom`, or a task from outside this package.
        weights: the model; a custom task is defined by it.
        exported: whether the weights are an exported file.
    """
    # Not `resizable()`, which imports every family: a cold answer to one puzzle should not wait for the others.
    check_is_task(family)
    if not (family == "custom" or (family in HOMES and find_family(family).any_size) or registered(family)):
        there = ", ".join([*resizable(), *REGISTERED])
        raise BadInput(f"task {family!r} is unknown; choose {there} or custom")
    is_file = argument != "-" and looks_like_path(argument)
    if is_file and argument.lower().endswith(NPZ):
        return questions_of_npz(argument, family, weights, exported)
    if argument == "-":
        text = decode(sys.stdin.buffer.read(), "standard input")
    else:
        text = read_file(argument) if is_file else argument
    name = custom_task(weights, exported) if family == "custom" else family
    with naming(argument) if is_file else nullcontext():
        return read_text(text, name)


def questions_of_npz(path: str, family: str, weights: str | None, exported: bool) -> PuzzlesRead:
    """The questions of an .npz file for a custom task. Raises BadInput, also for any other task."""
    found = find_family(family)
    if family != "custom":
        raise BadInput(f"{quoted(path)} is an .npz file, which only custom tasks have; give text, CSV or JSON")
    task = found.sized_by_file(found.task(custom_task(weights, exported)), path)
    puzzles = task.read_file(path)
    return PuzzlesRead([SizedPuzzle(task, row) for row in puzzles.question], puzzles.remarks)


def custom_task(weights: str | None, exported: bool) -> str:
    """The full name of the custom task that a model was trained for. Raises BadInput unless it is one."""
    from trm.inference.backends import Backends
    from trm.tasks.custom.task import FAMILY

    return Backends("onnx" if exported else "torch", FAMILY, weights, 0).task_name()


def looks_like_path(argument: str) -> bool:
    """Whether it is a file that exists, or something that can only have been meant as one."""
    if not argument or os.path.lexists(argument):
        return True
    if "\n" in argument or "://" in argument:
        return False
    if argument.lower().endswith((*SUFFIXES, NPZ)):
        return True
    foreign, cells = FOREIGN.search(argument), sum(letter in "0123456789._*" for letter in argument)
    if os.sep in argument:
        return foreign is not None or cells < 16
    if foreign is None or argument.count(".") > 3 or argument.lstrip().startswith(("[", "{")):  # blanks, or JSON
        return False
    letters = sum(map(str.isalpha, argument))
    return SUFFIX.search(argument) is not None or 2 * letters > len(argument.replace(" ", ""))
