"""Forms of a maze besides those that `Reader` takes. Each function rewrites lines; none of them knows the size.

What a space means is the hard question: an open cell, a gap between two cells, or a margin. `candidates` lists the
readings that are possible, and `choose` takes the one that people mean, or refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from trm.tasks.maze import widths
from trm.tasks.text import NO_BRACKETS, Line, TwoReadings

WALLS, FREE = "█▓▒■▉▮⬛", "□▯⬜·"  # besides # and .; light shade is either, see `named`
SHADE = "░"
ONE, ZERO = "1 as a wall", "0 as a wall"  # readings
CHANCE = 8  # walls: so many may be several characters wide by chance
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
MIXED_DIGITS = (
    "both digits and spaces may be cells here, or the spaces are gaps; write # for a wall, . for an open cell "
    "and nothing between the cells"
)


class Candidate(NamedTuple):
    """A way to read a drawn maze."""

    name: str  # in words
    lines: list[Line]
    zero: bool = False  # 0 is a wall in it, which is unusual
    wide: int = 0  # so many cells are several equal characters


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
            yield _named("spaces on the left and right as a margin", trimmed, first)
            for part in narrower(first.lines):
                yield _named("spaces on the left and right as a margin", part, first)
        for whole in (trimmed, first.lines, [Line(number, text[1:]) for number, text in first.lines]):
            rows = [line.text for line in whole if line.text.strip()]
            for stride in (2, 3, 4):
                between = {text[at] for text in rows for at in range(len(text)) if at % stride}
                if between == {" "}:
                    apart = [Line(number, text[::stride]) for number, text in whole]
                    yield _named("spaces between the cells", apart, first)
        yield from _blocks(first.lines, first)


def _named(name: str, lines: Sequence[Line], first: Candidate, wide: int = 0) -> Candidate:
    """A reading of the lines of `first`, whose name also says what 0 and 1 are."""
    return Candidate(f"{first.name} and {name}" if first.name in (ONE, ZERO) else name, [*lines], first.zero, wide)


def _blocks(lines: Sequence[Line], first: Candidate) -> Iterator[Candidate]:
    for cells, width, repeated in widths.blocks(lines):
        yield _named(f"{widths.WORDS[width]} characters for each cell", cells, first, wide=repeated)


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


def choose(
    lines: Sequence[Line], solve: Callable[[Sequence[Line]], Mazes | None], columns: Sequence[Sequence[Line]] = ()
) -> list[Line]:
    """The reading that people mean.

    It is the only one that gives mazes with a path; or the one with the most characters for each cell, as no other maze
    looks like that; or the one in which no space is left, if another sign is written for open cells; or the one whose
    mazes have walls all round. Otherwise the text is refused. 0 is a wall only where there are walls all round.

    Args:
        lines: drawn mazes.
        solve: the mazes in lines; None if they are not mazes with a path.
        columns: the same lines with a character for each column of a screen, where the characters differ in width.

    Raises:
        TwoReadings: more than one reading is possible, and none is certain.
    """
    different: dict[tuple[int, int, bytes], tuple[Candidate, bool]] = {}
    everything = [
        *candidates(lines),
        *(one for drawn in columns for plain in numbered(drawn) for one in _blocks(plain.lines, plain)),
    ]
    first = next((line.number for line in lines if line.text.strip()), 1)
    mixed = False
    for one in everything:
        if mazes := solve(one.lines):
            mixed = mixed or mixes(one.lines)
            if not mixes(one.lines):
                different.setdefault(mazes.content, (one, mazes.closed))
    possible = list(different.values())
    wide = [(one, closed) for one, closed in possible if one.wide][:1]  # the widest
    pairs = [one for one, closed in wide if closed or one.wide > CHANCE]
    if mixed and not pairs and all(one.wide for one, _ in possible):
        raise TwoReadings(f"line {first}: {MIXED_DIGITS if everything[0].name == ONE else MIXED}")
    if len(possible) < 2 and not any(one.zero and not closed for one, closed in possible):
        return possible[0][0].lines if possible else _fallback(everything)
    if pairs and not any(one.wide and one.zero != pairs[0].zero for one, _ in possible):
        return pairs[0].lines
    dots = any("." in line.text for line in everything[0].lines) and not any(one.zero for one, _ in possible)
    certain = [one for one, _ in possible if dots and not has_gaps(one.lines)]
    certain = certain if len(certain) == 1 else [one for one, closed in possible if closed]
    if len(certain) == 1:
        return certain[0].lines
    raise TwoReadings(f"line {first}: {_two_ways([one.name for one, _ in possible])}")


def _fallback(everything: Sequence[Candidate]) -> list[Line]:
    """Lines whose fault can be told: they are of equal lengths, if any are."""
    even = (one for one in everything if len({len(line.text) for line in one.lines if line.text.strip()}) == 1)
    return next((one for one in even if one.wide), everything[0]).lines


def _two_ways(names: Sequence[str]) -> str:
    """What a refusal says. Where 0 and 1 are all that is unclear, nothing else is named."""
    first, second = names[:2] if len(names) > 1 else (ONE, ZERO)
    both = {name.partition(" and ")[0] for name in names}
    if both == {ONE, ZERO}:
        first, second = ONE, ZERO
    mend = "# for a wall and . for an open cell" if both & {ONE, ZERO} else ". for open cells"
    return f"this maze can be read in two ways, with {first} or {second}; write {mend}"
