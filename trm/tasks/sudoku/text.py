"""Sudokus as text: their characters, and reading lines, drawn grids and CSV. Whether the rules hold is not checked.

The forms that `Reader.grids` takes are the usual ones. `trm.tasks.sudoku.forms` rewrites others into them. Where two
forms fit and lead to different puzzles, the text is refused.

Tokens: 0 not given (unscored), 1 blank, digit d is d + 1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from trm.errors import BadInput
from trm.tasks.base import Tokens
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
    numbered_lines,
    quoted,
    read_csv,
    text_lines,
    without_brackets,
    without_comments,
)

if TYPE_CHECKING:
    from trm.tasks.sudoku.forms import Form, Rewritten

DIGITS = "123456789ABCDEFG"
BLANK = 1
FIRST = 2  # token of digit 1
BLANKS = ".0_*"
FRAME = " \t|¦!-+=" + "".join(map(chr, range(0x2500, 0x2580)))  # what people draw boxes with
RULES = "-=─━═╌╍┄┅┈┉"  # a line with one of these and no digit is part of the drawing
CELLS = (16, 36, 81, 256)  # of the sizes that a text can show
UNCLEAR = 81
USUAL = re.compile(r"[0-9A-Ga-g._*\r\n]*")  # nothing but cells: no other form fits
LOST = "; a spreadsheet or a number may have lost leading zeros: write . for blanks, or keep the column as text"

NO_CHARACTER = 255  # in place of a token
_NO_FRAME = str.maketrans("", "", FRAME)
_PARTS = str.maketrans(FRAME, " " * len(FRAME))


@dataclass(frozen=True)
class Reader:
    """Reads Sudokus of `size` rows. Every method raises BadInput with one line that names the place.

    `zero`: whether 0 is the last digit and no blank; None: the text shows it.
    """

    size: int
    zero: bool | None = None

    @property
    def cells(self) -> int:
        return self.size**2

    def read(self, text: str) -> Reading[Tokens]:
        """Puzzles, one a line, as grids, or as CSV, tokens [cells] each. At least one."""
        content = puzzle_lines(text)
        lines = content.lines
        if not any(line.text.strip() for line in lines):
            raise BadInput("no puzzle found: the input is empty")
        filled = [line for line in lines if line.text.strip()]
        if columns := csv_columns(filled[0]):
            filled = [Line(number, line.strip(" ")) for number, line in filled]
            reader = replace(self, zero=self._zero_in_csv(filled, columns))
            rows = read_csv(filled, columns, "puzzle", reader.field)
            return Reading(rows, described(content.left_out), self._remarks(reader.zero))
        found = self.forms(lines, usual=USUAL.fullmatch(text) is not None)
        return replace(found, left_out=(*described(content.left_out), *found.left_out))

    def read_cells(self, text: str) -> Tokens:
        """[rows, cells] of grids, at least one; no CSV."""
        lines = without_rules(puzzle_lines(text).lines)
        if not lines:
            raise BadInput("no grid found: the input is empty")
        return np.array([row.question for row in self._reading(lines).rows])

    def forms(self, lines: Sequence[Line], usual: bool = False) -> Reading[Tokens]:
        """The puzzles of lines in the usual forms, or else in one of FORMS. `usual`: no other form can fit."""
        found: dict[str, Reading[Tokens]] = {}
        failed = BadInput("")
        try:
            found["with spaces and lines as a frame"] = self._reading(without_rules(lines))
        except TwoReadings:
            raise
        except BadInput as error:
            failed = error
        bare = lines if usual else without_brackets(lines)
        if bare != lines:
            return self.forms(bare)
        for name, rewrite in () if usual else other_forms():
            if rewritten := rewrite(lines, self.size):
                try:
                    reading = self._rewritten(rewritten)
                except TwoReadings:
                    raise
                except BadInput:
                    continue
                for other, known in found.items():
                    if not same(known, reading):
                        raise TwoReadings(
                            f"line {lines[0].number}: this can be read in two ways, {other} or {name}; write . for "
                            "blanks, and nothing between the cells"
                        )
                found.setdefault(name, reading)
        if not found:
            raise failed
        return next(iter(found.values()))

    def _rewritten(self, rewritten: Rewritten) -> Reading[Tokens]:
        reading = self._reading(without_rules(rewritten.lines), rewritten.answers)
        return replace(reading, left_out=described({"note": rewritten.notes}))

    def _reading(self, lines: Sequence[Line], answers: Sequence[str] = ()) -> Reading[Tokens]:
        """The puzzles of lines in the usual forms. `answers`: one for each of them, or none."""
        reader = replace(self, zero=self._zero_in(lines, answers) if self.zero is None else self.zero)
        rows = reader.grids(lines)
        if answers:
            rows = [
                TextRow(row.line, row.question, reader.tokens(cells, cells, f"line {row.line}"))
                for row, cells in zip(rows, answers, strict=True)
            ]
        return Reading(rows, remarks=self._remarks(reader.zero))

    def _remarks(self, zero: bool | None) -> tuple[str, ...]:
        return (f"0 read as the digit {DIGITS[self.size - 1]}",) if zero and self.zero is None else ()

    def _zero_in(self, lines: Sequence[Line], answers: Sequence[str] = ()) -> bool:
        """Whether 0 is the last digit in these lines. Raises TwoReadings."""
        if not any("0" in line.text for line in (*lines, *(Line(0, answer) for answer in answers))):
            return False  # by far the most frequent case, so nothing is imported
        from trm.tasks.sudoku.certain import zero_is_digit

        cells = "".join(self._row(line.text).translate(_NO_FRAME) for line in lines)
        try:
            return zero_is_digit(cells + "".join(answers), self.size)
        except TwoReadings as error:
            raise TwoReadings(f"line {lines[0].number}: {error}") from None

    def _zero_in_csv(self, lines: Sequence[Line], columns: Columns) -> bool | None:
        """The same of the fields of a CSV; None where the fields are not in the usual form."""
        fields = [csv_fields(line, columns.delimiter) for line in lines[1:]]
        wanted = [at for at in (columns.question, columns.answer) if at is not None]
        cells = [row[at].strip() for row in fields for at in wanted if at < len(row) and row[at].strip()]
        if not cells or not all(len(one) == self.cells and USUAL.fullmatch(one) for one in cells):
            return None
        return self._zero_in([Line(lines[1].number, one) for one in cells])

    def grids(self, lines: Sequence[Line]) -> list[TextRow[Tokens]]:
        """Puzzles of one line or of `size` lines each."""
        if not lines:
            raise BadInput("no puzzle found: the input is empty")
        found: list[TextRow[Tokens]] = []
        start, grid = 0, list[Tokens]()  # an unfinished one: its first line, and its rows
        for number, line in lines:
            row = self._row(line)
            cells = row.translate(_NO_FRAME)
            place = f"puzzle {len(found) + 1} (line {number})"
            if found and not grid and len(cells) in CELLS and len(cells) not in (self.cells, self.size):
                raise BadInput(
                    f"{place}: {len(cells)} cells instead of {self.cells}; give puzzles of one size at a time"
                )
            tokens = self.tokens(cells, row, f"line {number}")
            if len(cells) == self.size:
                start = start if grid else number
                grid.append(tokens)
            elif grid:
                lost = LOST if may_have_lost(cells, self.size) else ""
                raise BadInput(f"{place}: row {len(grid) + 1} has {len(cells)} cells instead of {self.size}{lost}")
            elif len(cells) == self.cells:
                check_parts(row, place)
                found.append(TextRow(number, tokens, None))
            else:
                wanted = f"{self.cells} for a whole puzzle or {self.size} for one row"
                hint = LOST if may_have_lost(cells, self.cells) else ""
                raise BadInput(f"{place}: {len(cells)} cells instead of {wanted}{hint}")
            if len(grid) == self.size:
                found.append(TextRow(start, np.concatenate(grid), None))
                grid = []
        if grid:
            what = f"the grid ends after {len(grid)} rows instead of {self.size}"
            raise BadInput(f"puzzle {len(found) + 1} (line {start}): {what}")
        return found

    def _row(self, line: str) -> str:
        """A dash is part of a frame, except in a one-line puzzle of just the right length, where it must be a blank."""
        return line.replace("-", ".") if len(line) == self.cells else line

    def field(self, text: str, place: str) -> Tokens:
        """A grid [cells] in a field of a CSV."""
        plain = text.strip()
        if len(plain) == self.cells and USUAL.fullmatch(plain):
            return self.tokens(plain, plain, place)
        try:
            rows = self.forms([Line(1, text)]).rows
            if len(rows) == 1:
                return rows[0].question
        except TwoReadings as error:
            raise TwoReadings(f"{place}: {str(error).removeprefix('line 1: ')}") from None
        except BadInput:
            pass  # the message below says it in terms of the field
        if len(plain) != self.cells:
            hint = LOST if may_have_lost(plain, self.cells) else ""
            hint = "; give puzzles of one size at a time" if len(plain) in CELLS else hint
            raise BadInput(f"{place}: {len(plain)} cells instead of {self.cells}{hint}")
        return self.tokens(plain, plain, place)

    def tokens(self, cells: str, line: str, place: str) -> Tokens:
        """A token for each character of `cells`. `line` is what the user wrote: the position of a bad character is
        counted in it.
        """
        tokens = _table(self.size, self.zero is True)[np.frombuffer(cells.encode("latin-1", "replace"), np.uint8)]
        if (tokens == NO_CHARACTER).any():
            wrong = cells[int((tokens == NO_CHARACTER).argmax())]
            digits = f"1-{DIGITS[self.size - 1]}" if self.size < 10 else f"1-9, A-{DIGITS[self.size - 1]}"
            what = f"{quoted(wrong)} is not a digit ({digits}) or a blank (. 0 _ *)"
            raise BadInput(f"{place}, character {line.index(wrong) + 1}: {what}")
        return tokens


@cache
def _table(size: int, zero: bool) -> Tokens:
    """[256] character code -> token; NO_CHARACTER for what is neither a digit of this size nor a blank. `zero`: 0 is
    the last digit.
    """
    table = np.full(256, NO_CHARACTER, np.uint8)
    table[[ord(c) for c in BLANKS]] = BLANK
    for token, digit in enumerate(DIGITS[:size], FIRST):
        table[[ord(digit), ord(digit.lower())]] = token
    if zero:
        table[ord("0")] = size + FIRST - 1
    return table


def cells_of(text: str) -> int:
    """How many cells the first puzzle of `text` has, one of CELLS; UNCLEAR if that is unclear or no such number.

    Raises TwoReadings.
    """
    lines = puzzle_lines(text).lines
    filled = without_rules(lines)
    if not filled and not any(line.text.strip() for line in lines):
        return UNCLEAR
    first = next(line for line in lines if line.text.strip())
    if columns := csv_columns(first):
        rest = [line for line in lines if line.text.strip()]
        field = first_question(rest, columns)
        count = len(field.strip(' "'))
        return count if count in CELLS else _found(lambda size: Reader(size).field(field, "")) or UNCLEAR
    guess = _count(filled) if filled else 0
    if USUAL.fullmatch(text):
        return guess if guess in CELLS else UNCLEAR

    def read(size: int) -> object:
        return Reader(size).forms(lines)

    if guess in CELLS and _found(read, (guess,)):
        return guess
    return _found(read) or (guess if guess in CELLS else UNCLEAR)


def other_forms() -> Iterable[tuple[str, Form]]:
    """Imported when needed: the usual forms are by far the most frequent, and a cold answer should not wait."""
    from trm.tasks.sudoku.forms import FORMS

    return FORMS.items()


def _found(read: Callable[[int], object], cells: Sequence[int] = CELLS) -> int | None:
    """The first of the numbers of cells at whose size `read(size)` does not fail."""
    for count in cells:
        try:
            read(math.isqrt(count))
        except TwoReadings:
            raise
        except BadInput:
            continue
        return count
    return None


def _count(lines: Sequence[Line]) -> int:
    """How many cells the first puzzle of lines in the usual forms seems to have."""
    line = lines[0].text
    dashed = set(line) & set(FRAME) == {"-"} and len(line) in CELLS  # dashes for blanks, as in `Reader.grids`
    count = len(line) if dashed else len(line.translate(_NO_FRAME))
    if count == 16:  # a whole 4x4, or a row of a 16x16, which has no single solution with only four of its digits
        rows = [line.text.translate(_NO_FRAME) for line in lines]
        rest = "".join(row for row in rows if len(row) in (16, 256)).upper()
        return 256 if any(digit in rest for digit in DIGITS[4:]) else 16
    return {4: 16, 6: 36, 9: 81}.get(count, count)


def puzzle_lines(text: str) -> Content:
    """The lines of `text`, in half-width characters, without comments and headings; JSON as lines."""
    if not text.isascii():
        from trm.tasks.sudoku.columns import in_columns

        text = "\n".join(line.text for line in in_columns(numbered_lines(text)))
    return without_comments(text_lines(text, narrowed=True), is_puzzle)


def is_puzzle(text: str) -> bool:
    """Whether a text without its number is a whole puzzle in one line."""
    cells = text.split()[0] if text.strip() else ""
    return len(cells) in CELLS and all(c in DIGITS + DIGITS.lower() + BLANKS + "xX?-" for c in cells)


def without_rules(lines: Sequence[Line]) -> list[Line]:
    """The lines with cells in them, stripped: no blank and no ruled lines."""
    stripped = (Line(number, line.strip()) for number, line in lines)
    return [line for line in stripped if line.text and not _is_rule(line.text)]


def check_parts(row: str, place: str) -> None:
    """Raise TwoReadings if a whole puzzle in one line has parts of different lengths, as a puzzle and a note have."""
    parts = [len(part) for part in row.translate(_PARTS).split()]
    if len({*parts}) > 1:
        raise TwoReadings(
            f"{place}: parts of {', '.join(map(str, parts[:9]))} cells are one puzzle, or a damaged puzzle and "
            "a note; write the cells without spaces"
        )


def may_have_lost(cells: str, wanted: int) -> bool:
    """Whether this may be a puzzle of `wanted` cells that was taken for a number."""
    if re.fullmatch(r"[0-9][.,]?[0-9]*[eE]\+?[0-9]+", cells):
        return True
    return len(cells) < wanted and cells.isascii() and cells.isdecimal() and len(cells) > wanted // 2


def same(first: Reading[Tokens], second: Reading[Tokens]) -> bool:
    """Whether two readings have the same puzzles."""
    pairs = zip(first.rows, second.rows, strict=False)
    return len(first.rows) == len(second.rows) and all((a.question == b.question).all() for a, b in pairs)


def _is_rule(line: str) -> bool:
    return not line.translate(_NO_FRAME) or (any(c in RULES for c in line) and not any(c.isalnum() for c in line))
