"""Forms of a Sudoku besides those that `Reader.grids` takes. Each function rewrites lines, or says that it cannot."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from trm.tasks.sudoku import columns
from trm.tasks.sudoku.columns import BARS, has_blank
from trm.tasks.sudoku.text import DIGITS
from trm.tasks.text import NO_BRACKETS, Line

SIGNS = ("xX", "?", "·", "•", "・", "□", "☐", "○", "◯", "∙", "⋅", "▢", "◻", "◦", "–", "—", "~")
# Further blanks; a text may use one kind and none of BLANKS. A dash comes last: it may belong to a drawing.
DASH = "-"
LONG = 9  # cells: no number or rating is so long
EMPTY = " "  # in place of the cell in an empty field
TOKEN = re.compile(r"[1-9A-Ga-g.0_*xX?+-]+")
SPLIT = re.compile(r"[\s,;:|#=&/\"'()\[\]]+")


class Rewritten(NamedTuple):
    """Lines in a form that `Reader.grids` takes."""

    lines: list[Line]
    answers: list[str]  # one a line, where the text gives them; else none
    notes: int = 0  # lines with something else beside the puzzle, which is left out


Form = Callable[[Sequence[Line], int], "Rewritten | None"]


def separated(lines: Sequence[Line], size: int) -> Rewritten | None:
    """Cells with commas, semicolons, tabs or bars between them; an empty field is a blank. Perhaps in brackets."""
    bare = [
        Line(number, text.translate(NO_BRACKETS)) for number, text in lines if any(c not in "-=+─═┼ ╪" for c in text)
    ]
    bare = [line for line in bare if line.text.strip(" ,;") or len(line.text) > size - 2]
    ends = [Line(line.number, line.text.strip(" ,;")) for line in bare]
    if ends and all(len(line.text) in (size, size**2) and TOKEN.fullmatch(line.text) for line in ends):
        return Rewritten(ends, [])
    for delimiter in (*"\t,;|│", None):
        rows = [_fields(line.text, delimiter, size) for line in bare]
        if rows and all(rows):
            cells = "".join(rows)
            if EMPTY in cells and has_blank([Line(0, cells)], size):
                return None  # two signs for a blank: a cell may be missing
            rows = [row.replace(EMPTY, ".") for row in rows]
            return Rewritten([Line(line.number, row) for line, row in zip(bare, rows, strict=True)], [])
    return None


def _fields(text: str, delimiter: str | None, size: int) -> str:
    """The cells of a row or a puzzle, a character each; empty if it is neither."""
    if delimiter in ("|", "│"):
        text = text.strip().strip(delimiter)
    fields = [field.strip() for field in text.split(delimiter)]
    wanted = (size, size**2)
    if len(fields) not in wanted and fields and not fields[-1]:
        fields.pop()  # a comma behind the last cell
    if len(fields) not in wanted:
        return ""
    return "".join(map(_cell, fields)) if all(map(_cell, fields)) else ""


def _cell(field: str) -> str:
    if not field or field in ("None", "null"):
        return "." if field else EMPTY
    if field.isascii() and field.isdecimal() and 10 <= int(field) <= len(DIGITS):
        return DIGITS[int(field) - 1]
    return field if len(field) == 1 else ""


def signed(lines: Sequence[Line], size: int) -> Rewritten | None:
    """Blanks written as x, ?, - or another sign, one kind in the whole text."""
    text = "\n".join(line.text for line in lines)
    if has_blank(lines, size):
        return None
    for signs in (*SIGNS, DASH):
        if any(sign in text for sign in signs):
            dotted = [Line(number, text.translate(dict.fromkeys(map(ord, signs), "."))) for number, text in lines]
            if signs == DASH:
                dotted = [line for line in dotted if _is_row(line.text, size)]
            return Rewritten(dotted, [])
    return None


def _is_row(text: str, size: int) -> bool:
    """Whether a line whose dashes are now dots is a row, and not a ruled line."""
    return any(c.isalnum() for c in text) or ("+" not in text and text.count(".") in (size, size**2))


def spaced(lines: Sequence[Line], size: int) -> Rewritten | None:
    """Blanks written as spaces: see `trm.tasks.sudoku.columns`. Raises TwoReadings."""
    rows = columns.spaced(lines, size)
    return None if rows is None else Rewritten(rows, [])


def noted(lines: Sequence[Line], size: int) -> Rewritten | None:
    """A puzzle in each line with something before or behind it: a number, a rating, an address, its solution."""
    found, answers, notes = list[Line](), list[str](), 0
    for number, text in lines:
        if not text.strip():
            continue
        words = [word.replace("+", "") for word in SPLIT.split(text) if word]
        boards = [word for word in words if len(word) == size**2 and TOKEN.fullmatch(word)]
        if any(len(word) >= LONG and TOKEN.fullmatch(word) for word in words if word not in boards):
            return None  # rather a part of a puzzle than a note
        notes += len(words) > len(boards)
        if len(boards) == 2:
            boards.sort(key=lambda board: all(cell.upper() in DIGITS for cell in board))
            if not _completes(*boards):
                return None
            answers.append(boards.pop())
        if len(boards) != 1:
            return None
        found.append(Line(number, boards[0]))
    if not found or len(answers) not in (0, len(found)):
        return None
    again = signed(found, size)
    return Rewritten(again.lines if again else found, answers, notes)


def _completes(question: str, answer: str) -> bool:
    """Whether `answer` has a digit in every cell and keeps the digits of `question`."""
    pairs = list(zip(question.upper(), answer.upper(), strict=True))
    return all(b in DIGITS and (a == b or a not in DIGITS) for a, b in pairs)


def pencilled(lines: Sequence[Line], size: int) -> Rewritten | None:
    """Every cell has its candidates: a cell with one candidate is given, and the others are blank."""
    rows, many = list[Line](), 0
    for number, text in lines:
        if not any(c.isalnum() for c in text):
            continue
        words = [word.upper() for word in re.split(f"[\\s{BARS}!]+", text.translate(NO_BRACKETS)) if word]
        if len(words) != size or any(len({*word}) < len(word) or {*word} - {*DIGITS[:size]} for word in words):
            return None
        many += sum(len(word) > 1 for word in words)
        rows.append(Line(number, "".join(word if len(word) == 1 else "." for word in words)))
    return Rewritten(rows, []) if many > 1 else None


FORMS: dict[str, Form] = {
    "with a sign or an empty field for a blank": separated,
    "with other signs for blanks": signed,
    "with spaces for blanks": spaced,
    "as a puzzle in each line, with notes beside it": noted,
    "as candidates, of which several make a blank": pencilled,
}
