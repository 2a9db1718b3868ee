"""Mazes whose cells are several characters wide, or as wide as several: `###   ### S ` is a wall, an open cell, a wall
and the start.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from trm.tasks.text import Line

WIDEST = 8  # characters of a cell
WORDS = ("", "", "two", "three", "four", "five", "six", "seven", "eight")


class Blocks(NamedTuple):
    """Lines with one character for each cell."""

    lines: list[Line]
    width: int  # how many it was
    repeated: int  # so many cells were several equal characters, as no gap is


def in_columns(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """Lines as a screen shows them, with each character that is two columns wide twice; none where all are alike.

    Some characters, such as blocks, are two columns wide on some screens only.
    """
    text = "".join(line.text for line in lines)
    for double in ("FW", "FWA"):
        kinds = {unicodedata.east_asian_width(c) in double for c in text}
        if len(kinds) > 1:
            yield [
                Line(number, "".join(c * (1 + (unicodedata.east_asian_width(c) in double)) for c in text))
                for number, text in lines
            ]


def blocks(lines: Sequence[Line]) -> Iterator[Blocks]:
    """Lines of which every cell is as many characters, as one character a cell; the widest first.

    A cell is a character repeated, or one with spaces around it: each of them the same in every cell. Spaces at the end
    of a line may be lost.
    """
    filled = [line.text for line in lines if line.text.strip()]
    if not filled:
        return
    indent = min(len(text) - len(text.lstrip()) for text in filled)
    for width in range(WIDEST, 1, -1):
        for start in sorted({0, *range(max(0, indent - width + 1), indent + 1)}):
            rest = [Line(number, text[start:]) for number, text in lines]
            # Spaces at the ends of all lines are open cells or a margin.
            ends = {max(len(text[start:]) for text in filled), max(len(text[start:].rstrip()) for text in filled)}
            for end in sorted({end + -end % width for end in ends}, reverse=True):
                # Where there is no space at all, none is lost.
                lost = any(" " in text.rstrip() for text in filled)
                if (lost or end in ends) and (found := _blocks(rest, width, end)):
                    yield found


def _blocks(lines: Sequence[Line], width: int, longest: int) -> Blocks | None:
    """Lines of `longest` characters, of which the last cell may lack some and which may have more behind."""
    places: dict[str, tuple[int, int]] = {}  # of each sign in its cell: where it begins, and how often it stands there
    out, many = [], 0
    for number, text in lines:
        if not text.strip() and len(text) <= longest - width:
            out.append(Line(number, ""))
            continue
        if len(text) <= longest - width or text[longest:].strip():
            return None
        cells = [text[:longest].ljust(longest)[at : at + width] for at in range(0, longest, width)]
        signs = [cell.strip() for cell in cells]
        many += sum(len(sign) > 1 for sign in signs)
        for cell, sign in zip(cells, signs, strict=True):
            place = (cell.index(sign), len(sign))
            if len({*sign}) > 1 or (sign and places.setdefault(sign[0], place) != place):
                return None
        out.append(Line(number, "".join(sign[:1] or " " for sign in signs)))
    # Signs that stand alone have one place, and so have those that are repeated: around the others.
    alone, repeated = ({place for place in places.values() if (place[1] > 1) == more} for more in (False, True))
    if len(alone) > 1 or len(repeated) > 1 or longest == width:
        return None
    if any(not start <= at < start + count for at, _ in alone for start, count in repeated):
        return None
    return Blocks(out, width, many)
