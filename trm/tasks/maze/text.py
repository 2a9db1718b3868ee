"""Mazes as text: their characters, and reading drawn mazes, lines and CSV. Whether there is a path is not checked.

Tokens: 0 padding (unscored), 1 wall, 2 open, 3 start, 4 goal, 5 path.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from trm.errors import BadInput
from trm.tasks.base import Tokens
from trm.tasks.text import Line, TextRow, csv_columns, first_question, numbered_lines, quoted, read_csv

WALL, OPEN, START, GOAL, PATH = range(1, 6)
CHARACTERS = "0#.SGo"  # by token, as drawn; a space is read as an open cell too

NO_CHARACTER = 255  # in place of a token
_TABLE = np.full(256, NO_CHARACTER, np.uint8)  # character code -> token
_TABLE[[ord(c) for c in CHARACTERS[1:]]] = range(1, 6)
_TABLE[ord(" ")] = OPEN


class Size(NamedTuple):
    height: int
    width: int

    @property
    def cells(self) -> int:
        return self.height * self.width


@dataclass(frozen=True)
class Reader:
    """Reads mazes of one size. Every method raises BadInput with one line that names the place."""

    size: Size

    def read(self, text: str) -> list[TextRow[Tokens]]:
        """Mazes, drawn, one a line, or as CSV, tokens [cells] each. At least one."""
        lines = numbered_lines(text)
        filled = [line for line in lines if line.text.strip()]
        if filled and (columns := csv_columns(filled[0])):
            return read_csv(filled, columns, "maze", self.field)
        return self.grids(lines)

    def read_cells(self, text: str) -> Tokens:
        """[rows, cells] of mazes drawn or one a line, at least one; no CSV."""
        return np.array([row.question for row in self.grids(numbered_lines(text))])

    def grids(self, lines: Sequence[Line]) -> list[TextRow[Tokens]]:
        """Mazes of one line or of `height` lines each, blank lines between them; at least one."""
        if not any(line.text.strip() for line in lines):
            raise BadInput("no maze found: the input is empty")
        found: list[TextRow[Tokens]] = []
        start, grid = 0, list[Tokens]()  # an unfinished maze: its first line, and its rows
        for number, line in lines:
            place = f"maze {len(found) + 1} (line {number})"
            if not line.strip() and len(line) != self.size.width:
                if grid:
                    raise BadInput(f"{place}: {self._ends_after(len(grid))}")
                continue
            tokens = self.tokens(line, f"line {number}")
            if len(line) == self.size.width:
                start = start if grid else number
                grid.append(tokens)
            elif len(line) == self.size.cells and not grid:
                found.append(TextRow(number, tokens, None))
            else:
                raise BadInput(f"{place}: {self._wrong_length(len(line), len(grid))}")
            if len(grid) == self.size.height:
                found.append(TextRow(start, np.concatenate(grid), None))
                grid = []
        if grid:
            raise BadInput(f"maze {len(found) + 1} (line {start}): {self._ends_after(len(grid))}")
        return found

    def _ends_after(self, rows: int) -> str:
        return f"the maze ends after {rows} row{'s' if rows > 1 else ''} instead of {self.size.height}"

    def _wrong_length(self, cells: int, rows: int) -> str:
        """What is wrong with a line of that many cells that follows the first `rows` rows of a maze."""
        whole = "" if rows else f"{self.size.cells} for a whole maze or "
        what = f"row {rows + 1} has {cells} cells instead of {whole}{self.size.width}"
        if cells < self.size.width:
            what += "; write . for open cells, since spaces at the end of a line are easily lost"
        return what

    def field(self, text: str, place: str) -> Tokens:
        """A maze [cells] in a field of a CSV. Spaces are cells, so none are stripped."""
        if len(text) != self.size.cells:
            raise BadInput(f"{place}: {len(text)} cells instead of {self.size.cells}")
        return self.tokens(text, place)

    def tokens(self, cells: str, place: str) -> Tokens:
        """A token for each character."""
        tokens = _TABLE[np.frombuffer(cells.encode("latin-1", "replace"), np.uint8)]
        if (tokens == NO_CHARACTER).any():
            at = int((tokens == NO_CHARACTER).argmax())
            what = f"{quoted(cells[at])} is not a wall (#), an open cell (a space or .), S, G or o (path)"
            raise BadInput(f"{place}, character {at + 1}: {what}")
        return tokens


def size_of(text: str, default: Size) -> Size:
    """The size of the first maze in `text`; `default` where that is unclear.

    A line or a CSV field does not tell its shape: it is taken for a square, or for the default if it has as many cells.
    """
    lines = numbered_lines(text)
    filled = [line for line in lines if line.text.strip()]
    if not filled:
        return default
    if columns := csv_columns(filled[0]):
        return _square(len(first_question(filled, columns).strip('"')), default)
    # A line of spaces is a row if it is as long as most lines are, or else a gap between mazes.
    lengths = Counter(len(line.text) for line in filled)
    width = max(lengths, key=lambda length: (lengths[length], length))
    is_row = [bool(line.text.strip()) or len(line.text) == width for line in lines]
    first = is_row.index(True)
    height = [*is_row[first:], False].index(False)
    rows = lines[first : first + height]
    if all("S" in row.text and "G" in row.text for row in rows) and math.isqrt(width) ** 2 == width:
        return _square(width, default)
    return Size(height, width) if min(height, width) > 1 else default


def _square(cells: int, default: Size) -> Size:
    side = math.isqrt(cells)
    return Size(side, side) if side > 1 and side**2 == cells != default.cells else default
