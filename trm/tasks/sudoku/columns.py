"""Sudokus whose blanks are spaces: each cell has its place in the line, and the text does not say where that is.

A space may be a blank, a gap between two cells, or a margin. `spaced` lists every grid that the places of the digits
allow. If there are several, it takes the one that people mean, or refuses.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from trm.tasks.sudoku.certain import BOXES, boards, certain, clashes
from trm.tasks.sudoku.text import BLANKS, DIGITS
from trm.tasks.text import Line, TwoReadings

BARS = "|¦│┃║╎╏┆┇┊┋"
PITCHES, GAPS = (1, 2, 3, 4, 5), (0, 1, 2, 3, 4)  # from a cell to the next, and more than that between two boxes
MOST = 4  # empty lines that may be rows


class Grid(NamedTuple):
    """A reading: rows of cells, `.` for a blank. One puzzle or several."""

    lines: list[Line]
    name: str  # in words


def spaced(lines: Sequence[Line], size: int) -> list[Line] | None:
    """The rows of a Sudoku with spaces for blanks; None if the lines are not so. Raises TwoReadings."""
    if has_blank(lines, size):
        return None
    while all(line.text.startswith("\t") for line in lines if line.text.strip()) and any(line.text for line in lines):
        lines = [Line(line.number, line.text[1:]) for line in lines]  # a margin
    kept = [line for line in lines if not is_ruled(line.text)]
    filled = [line for line in kept if line.text.strip()]
    if not filled:
        return None
    found: list[Grid] = []
    for rows, blank in row_sets(kept, filled, size):
        for grid in grids(rows, size):
            what = f"{grid.name}, line {blank} as a row of blanks" if blank else grid.name
            if [line.text for line in grid.lines] not in [[line.text for line in one.lines] for one in found]:
                found.append(Grid(grid.lines, what))
    if len(found) < 2:
        return found[0].lines if found else None
    last = DIGITS[size - 1]  # 0 stands for it, as spaces are the blanks
    chosen = certain([[line.text.replace("0", last) for line in grid.lines] for grid in found], size)
    if chosen is None:
        raise TwoReadings(
            f"line {filled[0].number}: spaces may be blanks or a margin here, with {found[0].name}, or with "
            f"{found[1].name}; write . for blanks"
        )
    return found[chosen].lines


def has_blank(lines: Sequence[Line], size: int) -> bool:
    """Whether a usual sign for a blank is there. 0 is none in a 16x16 puzzle without G: it may be hexadecimal."""
    text = "".join(line.text for line in lines)
    signs = BLANKS.replace("0", "") if size == len(DIGITS) and DIGITS[-1] not in text.upper() else BLANKS
    return any(sign in text for sign in signs)


def is_ruled(text: str) -> bool:
    """Whether a line belongs to the drawing: it has dashes and no digit."""
    return any(c in "-=+─━═┌├└╔╟╠╚┏┠┣┗╭╰╌╍┄┅┈┉" for c in text) and not any(c.isalnum() for c in text)


def in_columns(lines: Sequence[Line]) -> list[Line]:
    """Lines whose cells are two columns wide on a screen, with a space behind each sign; others as they are.

    A cell is a full-width character, or a half-width one with a space, or two spaces.
    """
    screen = [
        Line(number, "".join(c + " " if unicodedata.east_asian_width(c) in "FW" else c for c in text))
        for number, text in lines
    ]
    text = "".join(line.text for line in lines)
    if len({unicodedata.east_asian_width(c) in "FW" for c in text}) < 2 or max(len(line.text) for line in lines) <= 9:
        return [*lines]
    filled = [line.text for line in screen if line.text.strip()]
    places = {at % 2 for text in filled for at, c in enumerate(text) if not c.isspace()}
    return screen if len(places) == 1 else [*lines]


# Rows


def row_sets(kept: Sequence[Line], filled: Sequence[Line], size: int) -> Iterator[tuple[list[Line], int | None]]:
    """Which lines may be the rows, and the first of the empty ones among them.

    `kept`: all but ruled lines. An empty line is a row of blanks, or a gap between two bands or puzzles.
    """
    if len(filled) % size == 0:
        yield [*filled], None
    wide = [line for line in kept if line.text]  # a line of spaces is no gap that people see
    if len(wide) > len(filled) and len(wide) % size == 0:
        yield wide, next(line.number for line in wide if not line.text.strip())
    missing = size - len(filled)
    if not 0 < missing <= MOST:
        return
    inside = [
        line
        for line in kept
        if not line.text.strip() and (line.text or filled[0].number < line.number < filled[-1].number)
    ]
    for chosen in combinations(inside[: 3 * MOST], missing):
        rows = sorted([*filled, *chosen])
        # Gaps that are left must stand between bands, and between all of them.
        gaps = {sum(row.number < line.number for row in rows) for line in inside if line not in chosen} - {0, size}
        if not gaps or gaps == {*range(BOXES[size][0], size, BOXES[size][0])}:
            yield rows, chosen[0].number


# Columns


def grids(rows: Sequence[Line], size: int) -> list[Grid]:
    """The grids that rows may show."""
    barred = any(bar in row.text for row in rows for bar in BARS)
    found = boxed(rows, size) if barred else plain(rows, size)
    return [
        Grid([Line(row.number, text) for row, text in zip(rows, cells, strict=True)], name) for cells, name in found
    ]


def plain(rows: Sequence[Line], size: int) -> Iterator[tuple[list[str], str]]:
    """Rows without bars: spaces may stand between two cells, more of them between two boxes, and a margin before."""
    texts = [row.text for row in rows]
    filled = [text for text in texts if text.strip()]
    ends = [len(text) for text in filled]
    if all(len(text) == size**2 for text in filled) and len(filled) == len(rows):
        yield [text.replace(" ", ".") for text in texts], "a puzzle in each line"
    if is_cut([text for text in texts if text]):
        return
    padded = any(text.endswith(" ") for text in filled)
    used = sorted({at for text in filled for at, c in enumerate(text) if c != " "})
    width = BOXES[size][1]
    found = []
    for pitch in PITCHES:
        for gap in GAPS:
            steps = [pitch * column + gap * (column // width) for column in range(size)]
            for start in range(max(0, used[-1] - steps[-1]), used[0] + 1):
                places = [start + step for step in steps]
                if {*used} <= {*places} and not (padded and places[-1] >= ends[0]):
                    cells = ["".join(text[at : at + 1].strip() or "." for at in places) for text in texts]
                    found.append((cells, places))
    # Rows of one length without a margin on either side: spaces at the ends were not lost, and none were added.
    whole = [one for one in found if padded and one[1][0] == 0 and one[1][-1] == ends[0] - 1]
    puzzles = boards(whole[0][0], size) if len(whole) == 1 else None
    for cells, places in whole if puzzles is not None and not clashes(puzzles, size) else found:
        if any("." in row for row in cells):
            yield cells, f"cells in characters {places[0] + 1}, {places[1] + 1}, {places[2] + 1} to {places[-1] + 1}"


def is_cut(texts: Sequence[str]) -> bool:
    """Whether some lines seem to lack a cell. Spaces at the ends of lines may be lost, but then they are so in all
    lines: a single short one has lost another cell.
    """
    short = sum(len(text) < max(map(len, texts)) for text in texts)
    return short == 1 or (short > 0 and any(text.endswith(" ") for text in texts))


def boxed(rows: Sequence[Line], size: int) -> Iterator[tuple[list[str], str]]:
    """Rows with bars between boxes, or between all cells, and perhaps around the grid."""
    parts = [re.split(f"[{BARS}]+", row.text) for row in rows]
    if len({*map(len, parts)}) > 1 or len({tuple(map(len, part[:-1])) for part in parts}) > 1:
        return
    blank = [not any(part[at].strip() for part in parts) for at in range(len(parts[0]))]
    for across in {BOXES[size][1], 1}:
        for start, end in ((0, 0), (1, 1), (0, 1), (1, 0)):
            inner = [part[start : len(part) - end] for part in parts]
            if not end and is_cut([part[-1] for part in parts]):
                continue
            if len(inner[0]) == size // across and (not start or blank[0]) and (not end or blank[-1]):
                yield from cells_of(inner, across, (not start, not end))


def cells_of(
    parts: Sequence[Sequence[str]], across: int, open_sides: tuple[bool, bool]
) -> Iterator[tuple[list[str], str]]:
    """The cells of rows that bars divide into parts of `across` cells.

    `open_sides`: whether no bar stands on the left, on the right. A margin may be there, or spaces may be lost.
    """
    if across == 1:
        if all(len(part.strip()) < 2 for row in parts for part in row):
            yield ["".join(part.strip() or "." for part in row) for row in parts], "a cell between two bars"
        return
    left, right = open_sides
    inner = {len(part) for row in parts for part in row[left : len(row) - right]}
    if len(inner) > 1:
        return
    longest = max(len(part) for row in parts for part in row)
    for width in inner or range(across, longest + 3):
        even = [[fitted(part, width, at, len(row), open_sides) for at, part in enumerate(row)] for row in parts]
        flat = [part for row in even for part in row]
        if None in flat:
            continue
        used = {at for part in flat if part for at, c in enumerate(part) if c != " "}
        for pitch in PITCHES:
            for start in range(width - (across - 1) * pitch):
                places = range(start, start + across * pitch, pitch)
                if used <= {*places}:
                    named = ", ".join(str(at + 1) for at in places)
                    cells = ["".join((part or "")[at] for part in row for at in places) for row in even]
                    yield [row.replace(" ", ".") for row in cells], f"cells in characters {named} of each box"


def fitted(part: str, width: int, at: int, parts: int, open_sides: tuple[bool, bool]) -> str | None:
    """The part `at` of a row in `width` characters; None if it does not fit. Only at an open side may it be longer or
    shorter.
    """
    if at == 0 and open_sides[0]:
        rest, part = part[:-width], part.rjust(width)[-width:]
    elif at == parts - 1 and open_sides[1]:
        rest, part = part[width:], part.ljust(width)[:width]
    else:
        rest = ""
    return part if len(part) == width and not rest.strip() else None
