"""Reading the puzzles of requests, and finding the cells at fault in a puzzle or an answer that is wrong."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from typing import Any

import numpy as np

from trm.errors import BadInput
from trm.inference.puzzles import SizedPuzzle, read_puzzle
from trm.serve.limits import MAX_FAULTS
from trm.serve.schemas import ArcPuzzle, Fault, Grid, Pair
from trm.tasks import get_task
from trm.tasks.arc.text import ArcTask, parse, parse_task
from trm.tasks.base import Task, Tokens
from trm.tasks.custom.text import drawn_shape
from trm.tasks.maze.task import CHARACTERS
from trm.tasks.sudoku.task import BLANKS, DIGITS, FIRST, FRAME, SIZES
from trm.tasks.text import TwoReadings, quoted
from trm.tools.functions import check_arc_size

SUDOKUS = {task.size: task for task in SIZES.values()}  # rows -> task
NO_FRAME = str.maketrans("", "", FRAME)
MAZE_SIGNS = CHARACTERS[1:]
Puzzle = str | list[str] | list[list[int]]
Cells = list[list[str]]  # one character for each cell; rows may differ in length


class BadPuzzle(BadInput):
    """A puzzle that cannot be used, with the cells at fault and the grid as far as it could be read."""

    def __init__(self, message: str, faults: list[Fault], grid: Grid | None) -> None:
        super().__init__(message)
        self.faults, self.grid = faults[:MAX_FAULTS], grid


def read_board(family: str, puzzle: Puzzle, side: int) -> SizedPuzzle:
    """Read the puzzle of a request.

    Args:
        family: `sudoku` or `maze`, or the name of a task of one size.
        puzzle: in any form that the API accepts.
        side: the largest number of rows or columns that is accepted.

    Raises:
        BadPuzzle: one puzzle that cannot be used.
        BadInput: several puzzles, or one that is too large.
    """
    if family not in FORMS:
        check_side(family, puzzle, side)
    try:
        boards = read_puzzle(puzzle, family)
    except TwoReadings as error:
        raise BadPuzzle(str(error), [], None) from None
    except BadInput as error:
        form = FORMS.get(family)
        if form is None:
            raise
        cells = form.cells(puzzle, side)
        raise BadPuzzle(str(error), form.faults(cells) if cells else [], form.grid(cells) if cells else None) from None
    if len(boards) != 1:
        raise BadInput(f"there are {len(boards)} puzzles in this text; give one at a time")
    height, width = boards[0].size
    if family in FORMS and max(height, width) > side:
        raise BadInput(f"{height}x{width} cells are too many; at most {side}x{side} are accepted")
    return boards[0]


def check_side(task: str, puzzle: Puzzle, side: int) -> None:
    """Raise BadInput for a board that is larger than `side` and than those of the task itself, before anything is made
    for its size.
    """
    own = get_task(task).spec
    if isinstance(puzzle, list) and isinstance(puzzle[0], list):
        shape = (len(puzzle), len(puzzle[0]))
        usual = shape == (own.height, own.width)
    else:
        shape = drawn_shape(puzzle if isinstance(puzzle, str) else "\n".join(map(str, puzzle))) or (0, 0)
        usual = shape[1] in (own.width, own.cells)
    if not usual and max(shape) > side:
        raise BadInput(f"{shape[0]}x{shape[1]} cells are too many; at most {side}x{side} are accepted")


def read_arc(puzzle: str | dict[str, Any]) -> ArcTask:
    """Read the ARC task of a request. Raises BadInput, which names the pair, the row and the column."""
    tasks = parse(puzzle) if isinstance(puzzle, str) else [parse_task(puzzle, "task", "input")]
    if len(tasks) != 1:
        raise BadInput(f"there are {len(tasks)} tasks in this file; give one at a time")
    check_arc_size(tasks[0])
    return tasks[0]


def to_json(task: Task, tokens: Tokens) -> Grid:
    """tokens [cells] as the API writes them."""
    grid = task.to_grid(tokens)
    rows: Grid = ["".join(row) for row in grid.tolist()] if grid.dtype.kind == "U" else grid.tolist()
    return rows


def arc_to_json(task: ArcTask) -> ArcPuzzle:
    """An ARC task as the API writes it."""
    parts = ([Pair(**{"output": None, **pair.as_dict()}) for pair in part] for part in (task.train, task.test))
    train, test = parts
    return ArcPuzzle(train=train, test=test)


# Cells at fault


def answer_faults(task: Task, question: Tokens, answer: Tokens) -> list[Fault]:
    """The cells of an answer [cells] that break the rules, MAX_FAULTS at most; none if the answer is valid."""
    return [fault(task, cell, what) for cell, what in task.faults(question, answer)][:MAX_FAULTS]


def fault(task: Task, cell: int, message: str) -> Fault:
    row, column = divmod(cell, task.spec.width)
    return Fault(row=row + 1, column=column + 1, message=message)


def uneven_rows(cells: Cells, width: int) -> list[Fault]:
    """A fault for every row that is not `width` cells long."""
    return [
        Fault(row=row, message=f"row {row} has {len(line)} cells instead of {width}")
        for row, line in enumerate(cells, 1)
        if len(line) != width
    ]


class Form(ABC):
    """How the puzzles of a family are written. It finds faults in a puzzle that the task itself could not read."""

    @abstractmethod
    def cells(self, puzzle: Puzzle, side: int) -> Cells | None:
        """The characters of something that is meant as one grid; None if that is unclear."""

    @abstractmethod
    def faults(self, cells: Cells) -> list[Fault]:
        """The cells and rows at fault."""

    @abstractmethod
    def grid(self, cells: Cells) -> Grid | None:
        """The grid with a blank for each unknown character; None if the cells make no grid of an accepted shape."""


class SudokuForm(Form):
    def cells(self, puzzle: Puzzle, side: int) -> Cells | None:
        if isinstance(puzzle, list) and puzzle and isinstance(puzzle[0], list):
            return [[("." + DIGITS)[int(value)] for value in row] for row in puzzle]
        lines = puzzle.splitlines() if isinstance(puzzle, str) else [str(line) for line in puzzle]
        lines = [line.translate(NO_FRAME) for line in lines if not line.startswith("#")]
        lines = [line for line in lines if line]
        if len(lines) == 1 and (task := SIZES.get(len(lines[0]))):
            return [[*lines[0][at : at + task.size]] for at in range(0, task.cells, task.size)]
        return [[*line] for line in lines] if len(lines) in SUDOKUS else None

    def faults(self, cells: Cells) -> list[Fault]:
        task = SUDOKUS.get(len(cells))
        if task is None:
            return []
        if faults := uneven_rows(cells, task.size):
            return faults
        digits = DIGITS[: task.size]
        signs = [sign for line in cells for sign in line]
        for cell, sign in enumerate(signs):
            if sign.upper() not in digits + BLANKS:
                faults.append(fault(task, cell, f"{quoted(sign)} is not a digit (1-{digits[-1]}) or a blank"))
        tokens = np.array([digits.find(sign.upper()) + FIRST for sign in signs], np.uint8)  # not a digit: BLANK
        return faults + [fault(task, cell, what) for cell, what in task.clashes(tokens)]

    def grid(self, cells: Cells) -> Grid | None:
        if len(cells) not in SUDOKUS or any(len(line) != len(cells) for line in cells):
            return None
        digits = DIGITS[: len(cells)]
        return [[digits.find(sign.upper()) + 1 for sign in line] for line in cells]


class MazeForm(Form):
    def cells(self, puzzle: Puzzle, side: int) -> Cells | None:
        lines = puzzle.splitlines() if isinstance(puzzle, str) else [str(line) for line in puzzle]
        lines = [line.replace(" ", ".") for line in lines if line.strip()]
        if len(lines) < 2 or max(len(lines), *map(len, lines)) > side:  # all of very many cells may be at fault
            return None
        return [[*line] for line in lines]

    def faults(self, cells: Cells) -> list[Fault]:
        width = Counter(map(len, cells)).most_common(1)[0][0]
        if faults := uneven_rows(cells, width):
            return faults
        places: dict[str, list[tuple[int, int]]] = {}
        for row, line in enumerate(cells, 1):
            for column, sign in enumerate(line, 1):
                places.setdefault(sign, []).append((row, column))
        for sign, where in places.items():
            if sign not in MAZE_SIGNS:
                message = f"{quoted(sign)} is not # (wall), . (open), S or G"
            elif sign in "SG" and len(where) > 1:
                message = f"there is more than one {sign}"
            else:
                continue
            faults += [Fault(row=row, column=column, message=message) for row, column in where]
        if not faults and len(places.get("S", ())) == len(places.get("G", ())) == 1:
            row, column = places["G"][0]
            faults.append(Fault(row=row, column=column, message="no path leads from S to G"))
        return faults

    def grid(self, cells: Cells) -> Grid | None:
        if len({len(line) for line in cells}) != 1:
            return None
        return ["".join(sign if sign in MAZE_SIGNS else "." for sign in line) for line in cells]


FORMS: dict[str, Form] = {"sudoku": SudokuForm(), "maze": MazeForm()}
