"""Reading puzzles of requests, and finding the cells that are to blame where one is wrong."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from trm.errors import BadInput
from trm.inference.puzzles import read_puzzle
from trm.serve.limits import FAULTS
from trm.serve.schemas import ArcPuzzle, Fault, Grid, Pair
from trm.tasks.arc import text as arc_read
from trm.tasks.base import Task, Tokens
from trm.tasks.maze.task import CHARACTERS
from trm.tasks.sudoku.task import BLANKS, DIGITS, FIRST, FRAME, SIZES
from trm.tasks.text import quoted
from trm.tools.functions import ARC_DEMONSTRATIONS, ARC_TESTS

SIDES = {task.size: task for task in SIZES.values()}
NO_FRAME = str.maketrans("", "", FRAME)
MAZE_SIGNS = CHARACTERS[1:]
Puzzle = str | list[str] | list[list[int]]
Cells = list[list[str]]  # a sign for each cell


class Refused(BadInput):
    """A puzzle that is none, with the cells that are to blame and the grid as far as it could be read."""

    def __init__(self, message: str, faults: list[Fault], grid: Grid | None) -> None:
        super().__init__(message)
        self.faults, self.grid = faults[:FAULTS], grid


def read(family: str, puzzle: Puzzle, side: int) -> tuple[Task, Tokens]:
    """-> the task, [cells]. Raises BadInput, and Refused where a puzzle can be made out; `side` is the most rows or
    columns that are served.
    """
    try:
        task, question = read_puzzle(puzzle, family)
    except BadInput as error:
        cells = cells_of(family, puzzle)
        if family == "maze" and cells and max(len(cells), *map(len, cells)) > side:
            cells = None  # it will not be solved, and all of its many cells may be at fault
        look = sudoku_faults if family == "sudoku" else maze_faults
        raise Refused(str(error), look(cells) if cells else [], grid_of(family, cells)) from None
    if len(question) != 1:
        raise BadInput(f"there are {len(question)} puzzles in this text; give one at a time")
    if max(task.spec.height, task.spec.width) > side:
        raise BadInput(f"{task.spec.height}x{task.spec.width} cells are more than are served here: {side}x{side}")
    return task, question[0]


def read_arc(puzzle: str | dict[str, Any]) -> arc_read.ArcTask:
    """Raises BadInput, which names the pair, the row and the column, or says how many pairs are too many."""
    tasks = arc_read.parse(puzzle) if isinstance(puzzle, str) else [arc_read.parse_task(puzzle, "task", "input")]
    if len(tasks) != 1:
        raise BadInput(f"there are {len(tasks)} tasks in this file; give one at a time")
    task = tasks[0]
    for pairs, name, most in ((task.train, "demonstrations", ARC_DEMONSTRATIONS), (task.test, "tests", ARC_TESTS)):
        if len(pairs) > most:
            raise BadInput(f"{len(pairs)} {name} are more than are served here: {most}")
    return task


def shown_arc(task: arc_read.ArcTask) -> ArcPuzzle:
    """A task as the API writes it."""
    parts = ([Pair(**{"output": None, **pair.as_dict()}) for pair in part] for part in (task.train, task.test))
    train, test = parts
    return ArcPuzzle(train=train, test=test)


def shown(task: Task, tokens: Tokens) -> Grid:
    """[cells] as the API writes them."""
    grid = task.to_grid(tokens)
    rows: Grid = ["".join(row) for row in grid.tolist()] if grid.dtype.kind == "U" else grid.tolist()
    return rows


# Where a puzzle is wrong


def cells_of(family: str, puzzle: Puzzle) -> Cells | None:
    """The signs of something that is meant for one grid; None where that is not clear."""
    if isinstance(puzzle, list) and puzzle and isinstance(puzzle[0], list):
        return [[("." + DIGITS)[int(value)] for value in row] for row in puzzle]
    lines = puzzle.splitlines() if isinstance(puzzle, str) else [str(line) for line in puzzle]
    if family == "maze":
        lines = [line.replace(" ", ".") for line in lines if line.strip()]
        return [[*line] for line in lines] if len(lines) > 1 else None
    lines = [line.translate(NO_FRAME) for line in lines if not line.startswith("#")]
    lines = [line for line in lines if line]
    if len(lines) == 1 and (task := SIZES.get(len(lines[0]))):
        return [[*lines[0][at : at + task.size]] for at in range(0, task.cells, task.size)]
    return [[*line] for line in lines] if len(lines) in SIDES else None


def uneven(cells: Cells, width: int) -> list[Fault]:
    """A fault for every row that is not `width` cells long."""
    wrong = [(row, len(line)) for row, line in enumerate(cells, 1) if len(line) != width]
    return [Fault(row=row, message=f"row {row} has {have} cells instead of {width}") for row, have in wrong]


def sudoku_faults(cells: Cells) -> list[Fault]:
    if len(cells) not in SIDES:
        return []
    task = SIDES[len(cells)]
    if faults := uneven(cells, task.size):
        return faults
    digits = DIGITS[: task.size]
    signs = [sign for line in cells for sign in line]
    for cell, sign in enumerate(signs):
        if sign.upper() not in digits + BLANKS:
            faults.append(fault(task, cell, f"{quoted(sign)} is not a digit (1-{digits[-1]}) or a blank"))
    tokens = np.array([digits.find(sign.upper()) + FIRST for sign in signs], np.uint8)  # what is none is BLANK
    return faults + [fault(task, cell, what) for cell, what in task.clashes(tokens)]


def maze_faults(cells: Cells) -> list[Fault]:
    width = Counter(map(len, cells)).most_common(1)[0][0]
    if faults := uneven(cells, width):
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


def grid_of(family: str, cells: Cells | None) -> Grid | None:
    """Cells with a blank for whatever is no sign of the task; None where they make no grid of a size that there is."""
    if not cells or len({len(line) for line in cells}) != 1:
        return None
    if family == "maze":
        return ["".join(sign if sign in MAZE_SIGNS else "." for sign in line) for line in cells]
    if len(cells) not in SIDES or len(cells[0]) != len(cells):
        return None
    digits = DIGITS[: len(cells)]
    return [[digits.find(sign.upper()) + 1 for sign in line] for line in cells]


# Where an answer is wrong


def answer_faults(task: Task, question: Tokens, answer: Tokens) -> list[Fault]:
    """The cells of an answer [cells] that break the rules, not all if they are many; none if it is valid."""
    return [fault(task, cell, what) for cell, what in task.faults(question, answer)][:FAULTS]


def fault(task: Task, cell: int, message: str) -> Fault:
    row, column = divmod(cell, task.spec.width)
    return Fault(row=row + 1, column=column + 1, message=message)
