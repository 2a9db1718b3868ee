"""Which of several readings of a Sudoku is certain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trm.tasks.base import Tokens
from trm.tasks.sudoku.text import BLANK, BLANKS, DIGITS, FIRST
from trm.tasks.text import TwoReadings

BOXES = {4: (2, 2), 6: (2, 3), 9: (3, 3), 16: (4, 4)}  # size -> height and width of a box
MOST = 12  # readings that are searched for solutions
NODES = {4: 100, 6: 1000, 9: 1000, 16: 30}  # size -> guesses of a search for solutions: a second at most


def certain(readings: Sequence[Sequence[str]], size: int) -> int | None:
    """The number of the reading that is meant; None if that is not certain: it is the only one that has a solution.

    Args:
        readings: rows of cells each, of one puzzle or several; `.` for a blank.
        size: rows of a puzzle.
    """
    puzzles = [boards(reading, size) for reading in readings]
    possible = [at for at, one in enumerate(puzzles) if one is not None and not clashes(one, size)]
    if len(possible) > MOST:
        return None
    solved = [at for at in possible if solvable(puzzles[at], size)]
    return solved[0] if len(solved) == 1 else None


def zero_is_digit(cells: str, size: int) -> bool:
    """Whether 0 stands for the last digit in the cells of whole puzzles, as in hexadecimal ones (0 to F).

    It does if another sign stands for the blanks and the last digit is nowhere. That is usual for 16x16 alone, so
    other puzzles must leave no other way. Raises TwoReadings.
    """
    last, signs = DIGITS[size - 1], [sign for sign in BLANKS if sign != "0" and sign in cells]
    if "0" not in cells or last in cells.upper() or len(cells) % size**2:
        return False
    for sign in BLANKS:
        cells = cells if sign == "0" else cells.replace(sign, ".")
    digit = cells.replace("0", last)
    puzzles = boards([digit], size)
    if puzzles is None:
        return False  # there is another character in it, and that is said elsewhere
    clash = clashes(puzzles, size)
    if not signs:
        return size == len(DIGITS) and not clash and cells.count("0") * size == len(cells)  # a whole grid, no blank
    if size == len(DIGITS) and not clash:
        return True
    chosen = None if size == len(DIGITS) else certain([[digit], [cells.replace("0", ".")]], size)
    if chosen is None:
        raise TwoReadings(
            f"0 may be a blank, as {signs[0]} is, or the digit {last}, which is nowhere else; write {signs[0]} for "
            f"every blank and {last} for the digit"
        )
    return chosen == 0


def boards(rows: Sequence[str], size: int) -> Tokens | None:
    """Tokens [puzzles, size, size] of rows of cells; None if they are no whole puzzles."""
    cells = "".join(rows).upper()
    known = DIGITS[:size]
    if not cells or len(cells) % size**2 or {*cells} - {*known, "."}:
        return None
    tokens = [BLANK if cell == "." else FIRST + known.index(cell) for cell in cells]
    return np.array(tokens, np.uint8).reshape(-1, size, size)


def clashes(puzzles: Tokens, size: int) -> bool:
    """Whether a digit is twice in a row, a column or a box of one of the puzzles [puzzles, size, size]."""
    height, width = BOXES[size]
    split = puzzles.reshape(-1, size // height, height, size // width, width)
    in_boxes = split.transpose(0, 1, 3, 2, 4).reshape(-1, size, size)
    for groups in (puzzles, puzzles.transpose(0, 2, 1), in_boxes):
        ordered = np.sort(groups, axis=2)
        if ((ordered[..., 1:] == ordered[..., :-1]) & (ordered[..., 1:] >= FIRST)).any():
            return True
    return False


def solvable(puzzles: Tokens | None, size: int) -> bool:
    """Whether each of the puzzles has a solution, as far as a short search tells."""
    from trm.tasks.sudoku.search import TooHard, count_solutions
    from trm.tasks.sudoku.task import SIZES

    assert puzzles is not None
    for puzzle in puzzles:
        try:
            if not count_solutions(puzzle.reshape(-1), SIZES[size**2], 1, NODES[size])[0]:
                return False
        except TooHard:
            continue
    return True
