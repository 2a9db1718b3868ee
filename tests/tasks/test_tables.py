"""Puzzles in Markdown tables are read as they are meant, or refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trm.errors import BadInput
from trm.inference.puzzles import read_text

NINE = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
ROWS = [NINE[at : at + 9] for at in range(0, 81, 9)]
MAZE = ["#######", "#S..#.#", "#.#.#.#", "#.#..G#", "#######"]
NAMES: dict[str, Callable[[int], list[str]]] = {
    "digits": lambda count: [str(at + 1) for at in range(count)],
    "letters": lambda count: [chr(65 + at) for at in range(count)],
    "c1": lambda count: [f"c{at + 1}" for at in range(count)],
    "empty": lambda count: [""] * count,
    "bold": lambda count: [f"**C{at + 1}**" for at in range(count)],
}


def table(heading: list[str], rows: list[list[str]], bars: bool = True) -> str:
    lines = [" | ".join(row) for row in (heading, ["---"] * len(heading), *rows)]
    return "\n".join(f"| {line} |" if bars else line for line in lines)


def lines(text: str, family: str) -> list[str]:
    return ["".join(board.task.to_line(board.question)) for board in read_text(text, family).boards]


@pytest.mark.parametrize("bars", [True, False])
@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("kind", ["sudoku", "maze"])
def test_names_of_columns_are_left_out(kind: str, names: str, bars: bool) -> None:
    rows = ROWS if kind == "sudoku" else MAZE
    heading = NAMES[names](len(rows[0]))
    blank = " " if bars and kind == "sudoku" else "."
    text = table(heading, [[*row.replace(".", blank)] for row in rows], bars or names == "empty")
    assert lines(text, kind) == ["".join(rows)]
    assert read_text(text, kind).remarks == (("left out: 1 heading",) if any(heading) else ())


@pytest.mark.parametrize("kind", ["sudoku", "maze"])
def test_the_first_row_may_stand_in_the_heading_and_rows_may_have_names(kind: str) -> None:
    rows = ROWS if kind == "sudoku" else MAZE
    first, *rest = [[*row] for row in rows]
    assert lines(table(first, rest), kind) == ["".join(rows)]
    named = table(["", *NAMES["c1"](len(first))], [[chr(65 + at), *row] for at, row in enumerate([first, *rest])])
    assert lines(named, kind) == ["".join(rows)]


def test_a_heading_from_1_to_9_with_a_row_less_is_refused() -> None:
    solved = ["123456789", "456789123", "789123456", "214365897", "365897214", "897214365", "531642978"]
    rows = [[*row] for row in [*solved, "642978531", "978531642"]]
    whole = "".join(map("".join, rows))
    assert lines(table(rows[0], rows), "sudoku") == [whole]
    with pytest.raises(BadInput, match="line 1: the heading of this table may be"):
        lines(table(rows[0], rows[1:]), "sudoku")


def test_what_may_be_a_row_or_names_is_refused() -> None:
    with pytest.raises(BadInput, match="line 1: the heading of this table may be a row of the puzzle, or the names"):
        read_text(table([*ROWS[0]], [[*row] for row in ROWS]), "sudoku")
    with pytest.raises(BadInput, match="line 4: 8 fields instead of the 9"):
        read_text(table([*ROWS[0]], [[*ROWS[1]], [*ROWS[2]][1:]]), "sudoku")


def test_a_column_of_puzzles_and_their_solutions() -> None:
    text = table(["id", "Puzzle"], [["1", f"`{NINE}`"], ["2", NINE]])
    assert lines(text, "sudoku") == [NINE, NINE]
    assert lines(f"| puzzle |\n|---|\n| {NINE} |", "sudoku") == [NINE]


def test_a_drawn_grid_with_ruled_lines_is_no_table() -> None:
    bands = [
        ["| " + " | ".join(" ".join(row[at : at + 3]) for at in (0, 3, 6)) + " |" for row in ROWS[top : top + 3]]
        for top in (0, 3, 6)
    ]
    assert lines("\n|-------|-------|-------|\n".join("\n".join(band) for band in bands), "sudoku") == [NINE]
    four = "| 1 . | . . |\n| . . | 2 . |\n|-----|-----|\n| . 3 | . . |\n| . . | . 4 |"
    assert lines(four, "sudoku") == ["1.....2..3.....4"]


@given(st.data())
def test_no_table_is_read_as_another_puzzle(data: st.DataObject) -> None:
    """Rows and cells are dropped or doubled: what is still read is the puzzle as it was, or has another size."""
    rows = [[*row] for row in ROWS]
    heading = data.draw(st.sampled_from([rows[0], *(make(9) for make in NAMES.values())]))
    body = rows[1:] if heading is rows[0] else rows
    damage = data.draw(st.sampled_from(["row less", "row twice", "cell less", "cell twice"]))
    at = data.draw(st.integers(0, len(body) - 1))
    if damage == "row less":
        body = body[:at] + body[at + 1 :]
    elif damage == "row twice":
        body = [*body[:at], body[at], *body[at:]]
    else:
        cell = data.draw(st.integers(0, 8))
        row = body[at][:cell] + body[at][cell + (damage == "cell less") :]
        body = [*body[:at], row if damage == "cell less" else [*row[:cell], row[cell], *row[cell:]], *body[at + 1 :]]
    try:
        found = lines(table(heading, body), "sudoku")
    except BadInput:
        return
    assert found == [NINE]
