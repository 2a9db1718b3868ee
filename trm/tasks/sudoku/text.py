"""Sudokus as text: their characters, and reading lines, drawn grids and CSV. Whether the rules hold is not checked.

Tokens: 0 not given (unscored), 1 blank, digit d is d + 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from trm.errors import BadInput
from trm.tasks.base import Tokens
from trm.tasks.text import Line, TextRow, csv_columns, first_question, numbered_lines, quoted, read_csv

BLANK = 1
FIRST = 2  # token of digit 1
DIGITS = "123456789ABCDEFG"
BLANKS = ".0_*"
FRAME = " \t|¦!-+=" + "".join(map(chr, range(0x2500, 0x2580)))  # what people draw boxes with
RULES = "-=─━═╌╍┄┅┈┉"  # a line with one of these and no digit is part of the drawing
CELLS = (16, 36, 81, 256)  # of the sizes that a text can show
UNCLEAR = 81

NO_CHARACTER = 255  # in place of a token
_NO_FRAME = str.maketrans("", "", FRAME)


@dataclass(frozen=True)
class Reader:
    """Reads Sudokus of `size` rows. Every method raises BadInput with one line that names the place."""

    size: int

    @property
    def cells(self) -> int:
        return self.size**2

    def read(self, text: str) -> list[TextRow[Tokens]]:
        """Puzzles, one a line, as grids, or as CSV, tokens [cells] each. At least one."""
        lines = content(text)
        if not lines:
            raise BadInput("no puzzle found: the input is empty")
        if columns := csv_columns(lines[0]):
            return read_csv(lines, columns, "puzzle", self.field)
        return self.grids(lines)

    def read_cells(self, text: str) -> Tokens:
        """[rows, cells] of grids, at least one; no CSV."""
        lines = content(text)
        if not lines:
            raise BadInput("no grid found: the input is empty")
        return np.array([row.question for row in self.grids(lines)])

    def grids(self, lines: Sequence[Line]) -> list[TextRow[Tokens]]:
        """Puzzles of one line or of `size` lines each."""
        found: list[TextRow[Tokens]] = []
        start, grid = 0, list[Tokens]()  # an unfinished one: its first line, and its rows
        for number, line in lines:
            # A dash is part of a frame, except in a one-line puzzle of just the right length, where it must be a blank.
            row = line.replace("-", ".") if len(line) == self.cells else line
            cells = row.translate(_NO_FRAME)
            tokens = self.tokens(cells, row, f"line {number}")
            place = f"puzzle {len(found) + 1} (line {number})"
            if len(cells) == self.size:
                start = start if grid else number
                grid.append(tokens)
            elif grid:
                raise BadInput(f"{place}: row {len(grid) + 1} has {len(cells)} cells instead of {self.size}")
            elif len(cells) == self.cells:
                found.append(TextRow(number, tokens, None))
            else:
                wanted = f"{self.cells} for a whole puzzle or {self.size} for one row"
                raise BadInput(f"{place}: {len(cells)} cells instead of {wanted}")
            if len(grid) == self.size:
                found.append(TextRow(start, np.concatenate(grid), None))
                grid = []
        if grid:
            what = f"the grid ends after {len(grid)} rows instead of {self.size}"
            raise BadInput(f"puzzle {len(found) + 1} (line {start}): {what}")
        return found

    def field(self, text: str, place: str) -> Tokens:
        """A grid [cells] in a field of a CSV."""
        text = text.strip()
        if len(text) != self.cells:
            raise BadInput(f"{place}: {len(text)} cells instead of {self.cells}")
        return self.tokens(text, text, place)

    def tokens(self, cells: str, line: str, place: str) -> Tokens:
        """A token for each character of `cells`. `line` is what the user wrote: the position of a bad character is
        counted in it.
        """
        tokens = _table(self.size)[np.frombuffer(cells.encode("latin-1", "replace"), np.uint8)]
        if (tokens == NO_CHARACTER).any():
            wrong = cells[int((tokens == NO_CHARACTER).argmax())]
            digits = f"1-{DIGITS[self.size - 1]}" if self.size < 10 else f"1-9, A-{DIGITS[self.size - 1]}"
            what = f"{quoted(wrong)} is not a digit ({digits}) or a blank (. 0 _ *)"
            raise BadInput(f"{place}, character {line.index(wrong) + 1}: {what}")
        return tokens


@cache
def _table(size: int) -> Tokens:
    """[256] character code -> token; NO_CHARACTER for what is neither a digit of this size nor a blank."""
    table = np.full(256, NO_CHARACTER, np.uint8)
    table[[ord(c) for c in BLANKS]] = BLANK
    for token, digit in enumerate(DIGITS[:size], FIRST):
        table[[ord(digit), ord(digit.lower())]] = token
    return table


def cells_of(text: str) -> int:
    """How many cells the first puzzle of `text` has, one of CELLS; UNCLEAR if that is unclear or no such number."""
    lines = content(text)
    if not lines:
        return UNCLEAR
    if columns := csv_columns(lines[0]):
        count = len(first_question(lines, columns).strip(' "'))
        return count if count in CELLS else UNCLEAR
    line = lines[0].text
    dashed = set(line) & set(FRAME) == {"-"} and len(line) in CELLS  # dashes for blanks, as in `Reader.grids`
    count = len(line) if dashed else len(line.translate(_NO_FRAME))
    if count == 16:  # a whole 4x4, or a row of a 16x16, which has no single solution with only four of its digits
        rest = "".join(line.text for line in lines).upper()
        return 256 if any(digit in rest for digit in DIGITS[4:]) else 16
    count = {4: 16, 6: 36, 9: 81}.get(count, count)
    return count if count in CELLS else UNCLEAR


def content(text: str) -> list[Line]:
    """The lines with cells or a heading in them, stripped: no blank lines, comments or ruled lines."""
    lines = (Line(number, line.strip()) for number, line in numbered_lines(text))
    return [line for line in lines if line.text and line.text[0] != "#" and not _is_rule(line.text)]


def _is_rule(line: str) -> bool:
    return not line.translate(_NO_FRAME) or (any(c in RULES for c in line) and not any(c.isalnum() for c in line))
