"""Mazes as text: their characters, and reading drawn mazes, lines and CSV. Whether there is a path is not checked.

The forms that `Reader.grids` takes are the usual ones. `trm.tasks.maze.forms` rewrites others into them. Where two
forms fit and neither is certain, the text is refused.

Tokens: 0 padding (unscored), 1 wall, 2 open, 3 start, 4 goal, 5 path.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from trm.errors import BadInput
from trm.tasks.base import Tokens
from trm.tasks.maze import forms, widths
from trm.tasks.maze.paths import distances
from trm.tasks.text import (
    Columns,
    Content,
    Line,
    Reading,
    TextRow,
    TwoReadings,
    csv_columns,
    csv_fields,
    described,
    first_question,
    narrow,
    numbered_lines,
    quoted,
    read_csv,
    text_lines,
    without_brackets,
    without_headings,
)

WALL, OPEN, START, GOAL, PATH = range(1, 6)
CHARACTERS = "0#.SGo"  # by token, as drawn; a space is read as an open cell too

NO_CHARACTER = 255  # in place of a token
_TABLE = np.full(256, NO_CHARACTER, np.uint8)  # character code -> token
_TABLE[[ord(c) for c in CHARACTERS[1:]]] = range(1, 6)
_TABLE[ord(" ")] = OPEN
USUAL = re.compile(r"[#.SGo\r\n]*")  # nothing but cells: no other form fits


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

    def read(self, text: str) -> Reading[Tokens]:
        """Mazes, drawn, one a line, or as CSV, tokens [cells] each. At least one."""
        lines, left_out = maze_lines(text)
        filled = [line for line in lines if line.text.strip()]
        if filled and (columns := csv_columns(filled[0])):
            self._check_size(filled, columns)
            return Reading(read_csv(filled, columns, "maze", self.field), described(left_out))
        return Reading(self.grids(lines), described(left_out))

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
                other = "; give mazes of one size at a time" if found and not grid else ""
                raise BadInput(f"{place}: {self._wrong_length(len(line), len(grid))}{other}")
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

    def _check_size(self, lines: Sequence[Line], columns: Columns) -> None:
        """Raise BadInput if the first field of a CSV does not show a size: there is none to read the others by."""
        if len(lines) < 2 or len({len(csv_fields(line, columns.delimiter)) for line in lines[:2]}) > 1:
            return  # what is wrong then is said elsewhere
        place, text = f"line {lines[1].number}, column question", first_question(lines, columns)
        try:
            cells = len(text if USUAL.fullmatch(text) else _field(text))
        except TwoReadings as error:
            raise TwoReadings(f"{place}: {error}") from None
        if not text.strip():
            raise BadInput(f"{place}: there is no maze in it: the field is empty")
        if cells != self.size.cells and math.isqrt(cells) ** 2 != cells:
            raise BadInput(
                f"{place}: {cells} cells are no square, so the rows of the maze are unclear; draw it with a line for "
                "each row, without a heading"
            )

    def field(self, text: str, place: str) -> Tokens:
        """A maze [cells] in a field of a CSV. Spaces are cells, so none are stripped."""
        if not USUAL.fullmatch(text):
            try:
                text = _field(text)
            except TwoReadings as error:
                raise TwoReadings(f"{place}: {error}") from None
        if len(text) != self.size.cells:
            other = self.size.height == self.size.width and math.isqrt(len(text)) ** 2 == len(text) > 3
            hint = "; give mazes of one size at a time" if other else ""
            raise BadInput(f"{place}: {len(text)} cells instead of {self.size.cells}{hint}")
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
    A line that is no square is a maze of one row. Raises TwoReadings.
    """
    lines = maze_lines(text).lines
    filled = [line for line in lines if line.text.strip()]
    if filled and (columns := csv_columns(filled[0])):
        field = first_question(filled, columns)
        try:
            return _square(len(_field(field.strip('"'))), default)
        except TwoReadings:
            return default  # the reader refuses it, and names the place
    return _drawn_size(lines, default)


def _drawn_size(lines: Sequence[Line], default: Size) -> Size:
    """The size of the first of drawn mazes, as in `size_of`."""
    filled = [line for line in lines if line.text.strip()]
    if not filled:
        return default
    # A line of spaces is a row if it is as long as most lines are, or else a gap between mazes.
    lengths = Counter(len(line.text) for line in filled)
    width = max(lengths, key=lambda length: (lengths[length], length))
    is_row = [bool(line.text.strip()) or len(line.text) == width for line in lines]
    first = is_row.index(True)
    height = [*is_row[first:], False].index(False)
    rows = lines[first : first + height]
    if all("S" in row.text and "G" in row.text for row in rows):
        if width == default.cells or math.isqrt(width) ** 2 == width:
            return _square(width, default)
        height = 1  # mazes of one row
    if not all(c in CHARACTERS[1:] + " " for row in rows for c in row.text):
        return default if min(height, width) < 2 else Size(height, width)
    return Size(height, width)


def _square(cells: int, default: Size) -> Size:
    side = math.isqrt(cells)
    return Size(side, side) if side > 1 and side**2 == cells != default.cells else default


# Forms


def maze_lines(text: str) -> Content:
    """The lines of `text` in the usual forms, and what was left out. Raises TwoReadings."""
    if USUAL.fullmatch(text):
        return Content(numbered_lines(text), {})
    content = without_headings(text_lines(text))
    lines = content.lines
    filled = [line for line in lines if line.text.strip()]
    if not filled or csv_columns(filled[0]):
        return content
    columns = [_usual(wide) for wide in widths.in_columns(lines)]
    return Content(forms.choose(_usual(lines), _mazes, columns), content.left_out)


def _usual(lines: Sequence[Line]) -> list[Line]:
    """Lines in the usual characters, without what stands around the cells."""
    narrowed = without_brackets([Line(number, narrow(text)) for number, text in lines])
    return forms.renamed(forms.unboxed(forms.separated(narrowed)))


def _mazes(lines: Sequence[Line]) -> forms.Mazes | None:
    """The mazes in these lines; None if they are not mazes in which a path leads from S to G."""
    size = _drawn_size(lines, Size(1, 1))
    if min(size) < 2:
        return None
    try:
        rows = Reader(size).grids(lines)
    except BadInput:
        return None
    question = np.array([row.question for row in rows])
    start, goal = question == START, question == GOAL
    if (start.sum(1) != 1).any() or (goal.sum(1) != 1).any():
        return None
    moves = distances(question > WALL, start.argmax(1), size.height, size.width)
    if (moves[np.arange(len(question)), goal.argmax(1)] < 0).any():
        return None
    grid = question.reshape(-1, size.height, size.width)
    edge = np.concatenate([grid[:, 0], grid[:, -1], grid[:, :, 0], grid[:, :, -1]], axis=1)
    closed = min(size) > 3 and bool(((edge != OPEN) & (edge != PATH)).all())
    return forms.Mazes(closed, (*size, question.tobytes()))


def _field(text: str) -> str:
    """The field of a CSV, in the usual characters. Raises TwoReadings."""
    if "." in text and " " in text.strip(" "):
        raise TwoReadings(forms.MIXED)
    if USUAL.fullmatch(text):
        return text
    (_, cells), *_ = forms.renamed([Line(1, narrow(text))])
    if {*cells} - {*"SGo "} and {*cells} <= {*"01SGo "}:
        raise TwoReadings("a field with 0 and 1 can be read in two ways, with 1 or 0 as a wall; write # for a wall")
    return cells
