"""Sudokus whose blanks are spaces, and hexadecimal ones. The oracles are the writer, and `layouts`."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from readers import NINE, ascii_box, fuzz, lines, solved_rows, sudoku_rows

from trm.errors import BadInput
from trm.tasks.sudoku.task import Sudoku, sudoku_for
from trm.tasks.text import TwoReadings

ROWS = [NINE[at : at + 9] for at in range(0, 81, 9)]
FIRST_EMPTY = ["." + row[1:] for row in ROWS]
HEX = "0123456789ABCDEF"


def read(text: str) -> list[str]:
    task = sudoku_for(text)
    return [task.to_line(row) for row in task.read(text).question]


def without(rows: Sequence[str], columns: Sequence[int], empty: Sequence[int]) -> list[str]:
    """Rows with blanks in whole columns, and in whole rows."""
    return [
        "." * len(row) if at in empty else "".join("." if c in columns else cell for c, cell in enumerate(row))
        for at, row in enumerate(rows)
    ]


def drawn(rows: Sequence[str], pitch: int, gap: int, indent: int, stripped: bool) -> str:
    """Rows with spaces for blanks: `pitch` characters from a cell to the next, `gap` more between two boxes."""
    out = []
    for row in rows:
        boxes = [(" " * (pitch - 1)).join(row[at : at + 3].replace(".", " ")) for at in (0, 3, 6)]
        text = " " * indent + (" " * (pitch - 1 + gap)).join(boxes)
        out.append(text.rstrip() if stripped else text)
    return lines(out)


def layouts(text: str) -> set[str]:
    """Every puzzle without clashing digits that nine rows of characters may show."""
    rows, found = text.split("\n"), set()
    for pitch in range(1, 6):
        for gap in range(5):
            for start in range(max(map(len, rows))):
                places = [start + pitch * c + gap * (c // 3) for c in range(9)]
                cells = [[row[at] if at < len(row) else " " for at in places] for row in rows]
                if sum(cell != " " for row in cells for cell in row) == sum(c != " " for c in text.replace("\n", "")):
                    found.add("".join("".join(row) for row in cells).replace(" ", "."))
    return {cells for cells in found if not clash(cells)}


def clash(cells: str) -> bool:
    for a in range(81):
        for b in range(a):
            near = a // 9 == b // 9 or a % 9 == b % 9 or (a // 27 == b // 27 and a % 9 // 3 == b % 9 // 3)
            if near and cells[a] == cells[b] != ".":
                return True
    return False


@fuzz
@given(st.integers(0, 2**32), st.data())
def test_columns_are_found_or_refused(seed: int, data: st.DataObject) -> None:
    """What is read is what was drawn. It is read if only one grid without clashing digits can be seen."""
    emptied = data.draw(st.lists(st.sampled_from([0, 1, 4, 7, 8]), max_size=2, unique=True))
    rows = without(sudoku_rows(random.Random(seed)), emptied, [])
    assume(all(row.strip(".") for row in rows) and len({len(row.rstrip(".")) for row in rows}) > 1)
    text = drawn(
        rows,
        data.draw(st.integers(1, 4)),
        data.draw(st.integers(0, 2)),
        data.draw(st.integers(0, 5)),
        data.draw(st.booleans()),
    )
    ends = [*map(len, text.split("\n"))]
    alone = sum(end < max(ends) for end in ends) == 1  # a single short row may have lost a cell
    try:
        assert read(text) == ["".join(rows)]
    except TwoReadings:
        assert len(layouts(text)) > 1
    except BadInput:
        assert alone


@fuzz
@given(st.integers(0, 2**32), st.integers(0, 8), st.booleans(), st.booleans(), st.integers(0, 4))
def test_a_row_of_blanks(seed: int, empty: int, stripped: bool, bands: bool, indent: int) -> None:
    rows = without(sudoku_rows(random.Random(seed)), [], [empty])
    assume(all(row.strip(".") for at, row in enumerate(rows) if at != empty) and len(rows[0]) == 9)
    text = drawn(rows, 1, 0, indent, stripped)
    if bands:
        text = "\n".join(line + "\n" * (at in (2, 5)) for at, line in enumerate(text.split("\n")))
    try:
        assert read(text) == ["".join(rows)]
    except TwoReadings:
        assert indent or stripped
    except BadInput:
        assert stripped


def test_spaces_at_both_ends_are_no_cells_where_digits_would_clash() -> None:
    """Two empty columns, a margin of two and spaces for the last blanks: as wide as nine cells with gaps."""
    rows = [
        "..854.72.",
        "......3..",
        "..2.1..54",
        "...47.2.3",
        "........6",
        "...16...7",
        "....8....",
        "...65.47.",
        "..67....8",
    ]
    assert read(lines(["  " + row.replace(".", " ") for row in rows])) == ["".join(rows)]


@pytest.mark.parametrize("indent", [0, 1, 4])
@pytest.mark.parametrize("stripped", [False, True])
def test_an_empty_first_column_is_no_margin(indent: int, stripped: bool) -> None:
    assert read(drawn(FIRST_EMPTY, 1, 0, indent, stripped)) == ["".join(FIRST_EMPTY)]


def test_what_the_givens_do_not_decide_is_refused() -> None:
    """The three columns may be the first ones of three boxes, or the second ones."""
    rows = ["." + row[0] + ".." + row[3] + ".." + row[6] + "." for row in solved_rows(random.Random(1))]
    with pytest.raises(
        TwoReadings, match=r"line 1: .* cells in characters 1, 2, 3 to 9, or with cells in characters 2"
    ):
        read(drawn(rows, 1, 0, 0, stripped=True))


@pytest.mark.parametrize("stripped", [False, True])
def test_a_box_without_a_frame(stripped: bool) -> None:
    boxed = [line[1:-1] for line in ascii_box(ROWS).replace(".", " ").split("\n")[1:-1]]
    for apart in (False, True):
        text = [" ".join(line) if apart else line for line in boxed]
        assert read(lines([line.rstrip() if stripped else line for line in text])) == [NINE]


@pytest.mark.parametrize("cell", [" {} ", "{}  ", "  {}", " {}  ", "[{}]", "({})", "| {} "])
@pytest.mark.parametrize("sign", " .·")
def test_cells_of_several_characters(cell: str, sign: str) -> None:
    rows = ["".join(cell.format(c) for c in row.replace(".", sign)) + "|" * ("|" in cell) for row in ROWS]
    assert read(lines(rows)) == [NINE]


@pytest.mark.parametrize("sign", "·•□○x?◦–")
def test_signs_for_blanks_in_a_box_of_dashes(sign: str) -> None:
    assert read(ascii_box(ROWS).replace(".", sign)) == [NINE]
    assert read(ascii_box(ROWS).replace(".", sign).replace("+", "-")) == [NINE]


# 0 as a digit


def hexadecimal(chance: random.Random) -> list[str]:
    """A 16x16 puzzle in the digits 0 to F, with at least one 0."""
    names = chance.sample(HEX, 16)
    rows = [[names[(4 * (r % 4) + r // 4 + c) % 16] for c in range(16)] for r in range(16)]
    kept = {*chance.sample(range(256), 128), rows[0].index("0")}
    return ["".join(c if 16 * r + at in kept else "." for at, c in enumerate(row)) for r, row in enumerate(rows)]


HEX_FORMS: dict[str, Callable[[Sequence[str]], str]] = {
    "lines": lines,
    "one line": "".join,
    "a CSV": lambda rows: "question\n" + "".join(rows),
    "lower case": lambda rows: lines(rows).lower(),
    "x": lambda rows: lines(rows).replace(".", "x"),
    "spaces": lambda rows: lines(rows).replace(".", " "),
    "commas": lambda rows: lines([",".join(row) for row in rows]),
    "fields": lambda rows: lines([",".join(row).replace(".", "") for row in rows]),
    "numbers": lambda rows: lines([",".join("." if c == "." else str(HEX.index(c)) for c in row) for row in rows]),
}


@fuzz
@given(st.sampled_from(sorted(HEX_FORMS)), st.integers(0, 2**32))
def test_hexadecimal_puzzles(form: str, seed: int) -> None:
    rows = hexadecimal(random.Random(seed))
    text = HEX_FORMS[form](rows)
    assert read(text) == ["".join(rows).replace("0", "G")]
    assert sudoku_for(text).read(text).remarks == ("0 read as the digit G",)


def test_0_is_a_blank_where_it_is_no_digit() -> None:
    rows = hexadecimal(random.Random(5))
    blank = "".join(rows).replace("0", "G").replace(".", "0")
    assert read(blank) == [blank.replace("0", ".")]
    half = lines(rows).replace("0", "G").replace(".", "0", 3)  # 17 characters: 0 is no digit
    assert read(half) == ["".join(rows).replace("0", "G")]
    assert read(NINE.replace(".", "0", 2)) == [NINE]


def test_0_that_may_be_a_blank_or_a_digit_is_refused() -> None:
    rows = hexadecimal(random.Random(5))
    at = rows[0].index(".")
    clashing = [rows[0][:at] + "0" + rows[0][at + 1 :], *rows[1:]]
    with pytest.raises(TwoReadings, match=r"line 1: 0 may be a blank, as \. is, or the digit G, which is nowhere else"):
        read(lines(clashing))
    few = "0" + "." * 40 + "1" + "." * 39
    with pytest.raises(TwoReadings, match=r"or the digit 9, which is nowhere else; write \. for every blank and 9 for"):
        read(few)
    assert Sudoku().to_line(Sudoku().read(few.replace("0", ".")).question[0]) == few.replace("0", ".")
