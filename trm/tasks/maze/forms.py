"""Forms of a maze besides those that `Reader` takes. Each function rewrites lines; none of them knows the size.

What a space means is the hard question: an open cell, a gap between two cells, or a margin. `candidates` lists the
readings that are possible, and `choose` takes the one that people mean, or refuses.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from trm.tasks.text import NO_BRACKETS, Line, TwoReadings

WALLS, FREE = "█▓▒■▉▮⬛", "□▯⬜·"  # besides # and .; light shade is either, see `named`
SHADE = "░"
ONE, ZERO, PAIRS = "1 as a wall", "0 as a wall", "two characters for each cell"  # readings
CHANCE = 24  # cells: so many may be in pairs by chance
WIDEST = 8  # columns of a margin that are tried one by one
BARS = "|│┃║"


class Mazes(NamedTuple):
    """Mazes in which a path leads from S to G."""

    closed: bool  # all of them have walls all round
    content: tuple[int, int, bytes]  # rows, columns and tokens


MIXED = (
    "both dots and spaces may be open cells here, or the spaces are gaps; write . for every open cell and nothing "
    "between the cells"
)


class Candidate(NamedTuple):
    """A way to read a drawn maze."""

    name: str  # in words
    lines: list[Line]
    zero: bool = False  # 0 is a wall in it, which is unusual


def wide(lines: Sequence[Line]) -> list[Line] | None:
    """Full-width characters with a pair of half-width spaces for an open cell, as one character a cell; None where the
    lines are not drawn so.
    """
    out = []
    for number, text in lines:
        half = [c for c in text if unicodedata.east_asian_width(c) not in "FW"]
        if half and (any(c != " " for c in half) or any(len(run) % 2 for run in _runs(text))):
            return None
        out.append(Line(number, text.replace("  ", " ")))
    mixed = any("  " in line.text and line.text.strip() for line in lines)
    return out if mixed and any(line.text.strip() for line in lines) else None


def _runs(text: str) -> list[str]:
    """The runs of half-width spaces."""
    return [run for run in "".join(c if c == " " else "x" for c in text).split("x") if run]


def separated(lines: Sequence[Line]) -> list[Line]:
    """Lines without the commas, semicolons or tabs between their cells, if there are any, and without brackets."""
    texts = [line.text.strip() for line in lines if line.text.strip()]
    if texts and all(text[0] in "\"'" for text in texts):  # strings of a program, one a row
        return [Line(number, text.strip().rstrip(",;").translate(NO_BRACKETS)) for number, text in lines]
    for delimiter in ",;\t":
        filled = [line for line in lines if line.text.strip()]
        if filled and all(delimiter in line.text for line in filled):
            rows = []
            for number, text in lines:
                fields = [field.strip() or " " for field in text.translate(NO_BRACKETS).split(delimiter)]
                if delimiter != "\t" and len(fields) > 1 and fields[-1] == " ":
                    fields.pop()
                if any(len(field) > 1 for field in fields):
                    return list(lines)
                rows.append(Line(number, "".join(field.replace(" ", ".") for field in fields) if text.strip() else ""))
            return rows
    return list(lines)


def unboxed(lines: Sequence[Line]) -> list[Line]:
    """Lines without the box that is drawn around a maze."""
    rows = [line for line in lines if line.text.strip()]
    inner = [line for line in rows if not _is_edge(line.text)]
    if not inner or not all(line.text.strip()[0] in BARS and line.text.strip()[-1] in BARS for line in inner):
        return list(lines)
    if any(len(line.text.strip()) < 3 for line in inner):
        return list(lines)
    edges = {line.number for line in rows if _is_edge(line.text)}
    bare = (Line(n, t) if not t.strip() else Line(n, t.strip()[1:-1]) for n, t in lines if n not in edges)
    found = [*bare]
    padded = [line.text for line in found if line.text.strip()]
    if all(text[0] == text[-1] == " " for text in padded) and any(c in "".join(padded) for c in "."):
        found = [Line(number, text[1:-1]) for number, text in found]
    return found


def _is_edge(text: str) -> bool:
    text = text.strip()
    return len(text) > 2 and all(c in "+-=─━═┌┐└┘╔╗╚╝┏┓┗┛╭╮╰╯" for c in text)


def renamed(lines: Sequence[Line]) -> list[Line]:
    """Lines with # . S G for other signs: blocks for walls, E for the goal, A and B for the ends."""
    text = "".join(line.text for line in lines)
    signs = {**dict.fromkeys(WALLS, "#"), **dict.fromkeys(FREE, ".")}
    has_wall = any(c in text for c in ("#", *WALLS))
    signs[SHADE] = "." if has_wall else "#"
    if "S" not in text and "A" in text and "B" in text and "G" not in text:
        signs |= {"A": "S", "B": "G"}
    if "S" not in text and text.count("s") == text.count("g") + text.count("e") > 0:
        signs |= {"s": "S", "g": "G", "e": "G"}
    if "G" not in text and "E" in text:
        signs["E"] = "G"
    return _translated(lines, signs)


def _translated(lines: Sequence[Line], signs: Mapping[str, str]) -> list[Line]:
    table = str.maketrans({**signs})
    return [Line(number, text.translate(table)) for number, text in lines]


def numbered(lines: Sequence[Line]) -> Iterator[Candidate]:
    """Both meanings of 0 and 1, if these are what walls and open cells are written as."""
    cells = {*"".join(line.text for line in lines)} - {*" SGo"}
    if cells and cells <= {"0", "1"}:
        yield Candidate(ONE, _translated(lines, {"1": "#", "0": "."}))
        yield Candidate(ZERO, _translated(lines, {"0": "#", "1": "."}), zero=True)
    else:
        yield Candidate("spaces as open cells", list(lines))


def candidates(lines: Sequence[Line]) -> Iterator[Candidate]:
    """Every reading that the spaces of a drawn maze allow. The first is the plain one: each space is an open cell."""
    for first in numbered(lines):
        yield first
        if not any(line.text.strip() for line in first.lines):
            return
        trimmed = without_margin(first.lines)
        if trimmed != first.lines:
            yield Candidate("spaces on the left and right as a margin", trimmed, first.zero)
            for part in narrower(first.lines):
                yield Candidate("spaces on the left and right as a margin", part, first.zero)
        for whole in (trimmed, first.lines, [Line(number, text[1:]) for number, text in first.lines]):
            rows = [line.text for line in whole if line.text.strip()]
            for stride in (2, 3, 4):
                between = {text[at] for text in rows for at in range(len(text)) if at % stride}
                if between == {" "}:
                    apart = [Line(number, text[::stride]) for number, text in whole]
                    yield Candidate("spaces between the cells", apart, first.zero)
        for whole in (first.lines, trimmed):
            if pairs := doubled(whole):
                yield Candidate(PAIRS, pairs, first.zero)


def without_margin(lines: Sequence[Line]) -> list[Line]:
    """Lines without common indentation and without spaces at their ends, but for those that make rows equally long."""
    filled = [line.text for line in lines if line.text.strip()]
    indent = min(len(text) - len(text.lstrip()) for text in filled)
    width = max(len(text.rstrip()) for text in filled) - indent
    # A line of spaces is a row if it is long enough.
    return [
        Line(number, text[indent : indent + width] if text.strip() or len(text) >= indent + width else "")
        for number, text in lines
    ]


def narrower(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """Lines of one length without some of the blank columns on the left and right, if no dots show what is open."""
    filled = [line.text for line in lines if line.text.strip()]
    if any("." in text for text in filled) or len({*map(len, filled)}) > 1:
        return
    left = min(len(text) - len(text.lstrip()) for text in filled)
    right = min(len(text) - len(text.rstrip()) for text in filled)
    for start in range(min(left, WIDEST) + 1):
        for end in range(min(right, WIDEST) + 1):
            yield [Line(number, text[start : len(text) - end]) for number, text in lines]


def size_of(lines: Sequence[Line]) -> int:
    """How many characters there are."""
    return sum(len(line.text) for line in lines)


def has_gaps(lines: Sequence[Line]) -> bool:
    """Whether there is a space in these lines."""
    return any(" " in line.text for line in lines)


def mixes(lines: Sequence[Line]) -> bool:
    """Whether both dots and spaces are cells in these lines, so that the spaces are more likely to be gaps."""
    texts = [line.text for line in lines if line.text.strip()]
    return any("." in text for text in texts) and any(" " in text for text in texts)


def doubled(lines: Sequence[Line]) -> list[Line] | None:
    """Lines of which every cell is two equal characters, or S or G and a space, as one character a cell."""
    width = max(len(line.text) for line in lines)
    out = []
    for number, text in lines:
        pairs = [text[at : at + 2] for at in range(0, len(text), 2)]
        if any(len(pair) < 2 or (pair[0] != pair[1] and pair.strip() not in ("S", "G")) for pair in pairs):
            return None
        out.append(Line(number, "".join(pair.strip()[:1] or " " for pair in pairs)))
    return out if width > 2 else None


def choose(lines: Sequence[Line], solve: Callable[[Sequence[Line]], Mazes | None]) -> list[Line]:
    """The reading that people mean.

    It is the only one that gives mazes with a path; or the one with two characters for each cell, as no other maze
    looks like that; or the one in which no space is left, if another sign is written for open cells; or the one whose
    mazes have walls all round. Otherwise the text is refused. 0 is a wall only where there are walls all round.

    Args:
        lines: drawn mazes.
        solve: the mazes in lines; None if they are not mazes with a path.

    Raises:
        TwoReadings: more than one reading is possible, and none is certain.
    """
    different: dict[tuple[int, int, bytes], tuple[Candidate, bool]] = {}
    everything = list(candidates(lines))
    first = next((line.number for line in lines if line.text.strip()), 1)
    mixed = False
    for one in everything:
        if mazes := solve(one.lines):
            mixed = mixed or mixes(one.lines)
            if not mixes(one.lines):
                different.setdefault(mazes.content, (one, mazes.closed))
    possible = list(different.values())
    if mixed and not possible:
        raise TwoReadings(f"line {first}: {MIXED}")
    if len(possible) < 2 and not any(one.zero and not closed for one, closed in possible):
        return possible[0][0].lines if possible else everything[0].lines
    pairs = [one for one, closed in possible if one.name == PAIRS and (closed or size_of(one.lines) > CHANCE)]
    if len(pairs) == 1:
        return pairs[0].lines
    dots = any("." in line.text for line in everything[0].lines) and not any(one.zero for one, _ in possible)
    certain = [one for one, _ in possible if dots and not has_gaps(one.lines)]
    certain = certain if len(certain) == 1 else [one for one, closed in possible if closed]
    if len(certain) == 1:
        return certain[0].lines
    ways = " or ".join([one.name for one, _ in possible][:2] if len(possible) > 1 else [ONE, ZERO])
    mend = "# for a wall and . for an open cell" if ONE in ways else ". for open cells"
    raise TwoReadings(f"line {first}: this maze can be read in two ways, with {ways}; write {mend}")
