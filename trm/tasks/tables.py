"""Markdown tables: a cell in each field, or a puzzle in a column of that name.

A table must have a heading. People put the names of the columns there, or the puzzle's first row. Its fields and the
number of rows tell which of the two it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from trm.errors import BadInput
from trm.tasks.text import ANSWER, QUESTION, Content, Line, TwoReadings

RULE = re.compile(r"\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*")  # between heading and rows
KNOWN = (*QUESTION, *ANSWER)


def without_tables(lines: Sequence[Line]) -> Content:
    """The lines, with the rows of Markdown tables as fields with commas between them, or as a CSV where the heading
    names the puzzle's column. The names of columns and rows are left out. Raises BadInput and TwoReadings.
    """
    kept, headings, at = list[Line](), 0, 0
    while at < len(lines):
        end = at
        while end < len(lines) and "|" in lines[end].text:
            end += 1
        if is_table(lines[at:end]):
            rows, left_out = table_rows(lines[at], lines[at + 2 : end])
            kept += [*rows, Line(lines[end - 1].number, "")]
            headings, at = headings + left_out, end
        else:
            kept += lines[at : max(end, at + 1)]
            at = max(end, at + 1)
    return Content(kept, {"heading": headings})


def is_table(lines: Sequence[Line]) -> bool:
    """Whether lines with bars are a table, and no drawn puzzle: of three or more, the second one alone is a rule."""
    rules = [at for at, line in enumerate(lines) if RULE.fullmatch(line.text)]
    if len(lines) < 3 or rules != [1]:
        return False
    names = fields(lines[0].text)
    return len(names) > 1 or names[0].lower() in KNOWN


def table_rows(heading: Line, rows: Sequence[Line]) -> tuple[list[Line], int]:
    """The rows of a table with commas between the fields, and how many headings were left out (0 or 1)."""
    names = fields(heading.text)
    found = [fields(row.text) for row in rows]
    for row, cells in zip(rows, found, strict=True):
        if len(cells) != len(names):
            raise BadInput(f"line {row.number}: {len(cells)} fields instead of the {len(names)} of the table's heading")
    named = False
    if not any(name.lower() in KNOWN for name in names):
        if len(names) > 1 and not names[0] and counted([cells[0] for cells in found]):  # the names of the rows
            names, found = names[1:], [cells[1:] for cells in found]
        named = not any(names) or counted(names) or any(len(name) > 1 for name in names)
        digits = all(len(name) == 1 and name.isdecimal() for name in names)
        # A Sudoku has as many rows as columns, and the digits from 1 to 9 may be one of them.
        if len(found) == len(names) - (named and digits) and (digits or not named):
            raise TwoReadings(
                f"line {heading.number}: the heading of this table may be a row of the puzzle, or the names of its "
                "columns; leave the heading empty"
            )
    lines = rows if named else [heading, *rows]
    cells_of = found if named else [names, *found]
    kept = [Line(line.number, ",".join(cells)) for line, cells in zip(lines, cells_of, strict=True)]
    return kept, int(named and any(names))


def fields(text: str) -> list[str]:
    """The fields of a row of a table."""
    bare = text.strip().removeprefix("|")
    return [field.strip().strip("`*_ ") or field.strip() for field in bare.removesuffix("|").split("|")]


def counted(names: Sequence[str]) -> bool:
    """Whether names of columns or rows go up by one: 0, 1, 2 or A, B, C, perhaps with letters before: c1, c2."""
    ends = [re.fullmatch(r"[A-Za-z]*?([0-9]{1,3}|[A-Za-z])", name) for name in names]
    values = [int(end[1]) if end[1].isdecimal() else ord(end[1]) for end in ends if end]
    return len(values) == len(names) > 1 and all(b == a + 1 for a, b in pairwise(values))
