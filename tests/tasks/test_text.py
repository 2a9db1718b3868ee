"""Numbered lines, CSV and quoting, as all tasks use them."""

from __future__ import annotations

import csv
import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trm.errors import BadInput
from trm.tasks.maze.task import Maze
from trm.tasks.sudoku.task import SIZES, Sudoku, sudoku_for
from trm.tasks.sudoku.text import CELLS
from trm.tasks.text import (
    Columns,
    Line,
    TextRow,
    csv_columns,
    csv_fields,
    first_question,
    numbered_lines,
    printable,
    quoted,
    read_csv,
)


def parse(text: str, place: str) -> str:
    if text == "bad":
        raise BadInput(f"{place}: bad")
    return f"{text}@{place}"


def test_lines_end_in_any_way_and_keep_their_spaces() -> None:
    lines = [Line(1, "a "), Line(2, ""), Line(3, " b")]
    for text in ("a \n\n b", "a \r\n\r\n b", "a \r\r b", "\ufeffa \n\r b"):
        assert numbered_lines(text) == lines


@pytest.mark.parametrize(
    ("heading", "columns"),
    [
        ("question,answer", Columns(0, 1)),
        ("source, Solution ,PUZZLE", Columns(2, 1)),
        ('"quizzes","solutions"', Columns(0, 1)),
        ("question", Columns(0, None)),
        ('"first, second",question,answer', Columns(1, 2)),
        ("answer", None),
        ("questions", None),
        ("53..7....", None),
        ("", None),
    ],
)
def test_headings(heading: str, columns: Columns | None) -> None:
    assert csv_columns(Line(1, heading)) == columns


UNFIT = "\r\n" if sys.version_info >= (3, 11) else "\r\n\0"  # before, the csv module could not write a NUL
FIELDS = st.text(st.characters(exclude_characters=UNFIT, codec="utf-8"), max_size=8)


@given(st.lists(FIELDS, min_size=2, max_size=4))
def test_fields_are_those_of_the_csv_module(fields: list[str]) -> None:
    written = io.StringIO()
    csv.writer(written, lineterminator="").writerow(fields)
    assert csv_fields(Line(1, written.getvalue())) == fields


def test_rows_and_missing_answers() -> None:
    lines = [Line(1, "answer,x,question"), Line(3, ",,q"), Line(4, ' ,"1,2",r'), Line(7, "a,,s")]
    columns = Columns(question=2, answer=0)
    assert read_csv(lines, columns, "maze", parse) == [
        TextRow(3, "q@line 3, column question", None),
        TextRow(4, "r@line 4, column question", None),
        TextRow(7, "s@line 7, column question", "a@line 7, column answer"),
    ]
    assert first_question(lines, columns) == "q"
    assert first_question(lines[:1], columns) == first_question([lines[0], Line(2, "a,b")], columns) == ""
    assert [row.answer for row in read_csv(lines, Columns(2, None), "maze", parse)] == [None] * 3


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "f: no maze found: the CSV has a heading and no rows"),
        (["q"], "f: line 2: 1 columns instead of 2"),
        (["q,a", "q,a,"], "f: line 3: 3 columns instead of 2"),
        (["bad,bad"], "f: line 2, column question: bad"),
        (["q,bad", "q"], "f: line 2, column answer: bad"),
    ],
)
def test_the_first_mistake_in_a_csv_is_told(rows: list[str], message: str) -> None:
    lines = [Line(number, text) for number, text in enumerate(["question,answer", *rows], 1)]
    with pytest.raises(BadInput) as caught:
        read_csv(lines, Columns(0, 1), "maze", parse, "f: ")
    assert str(caught.value) == message


def test_a_quoted_comma_in_the_heading_moves_no_column() -> None:
    sudoku, maze = "1.3...1.2...4..1", "S#G......"
    assert sudoku_for(f'"a, b",question\nx,{sudoku}\n') == Sudoku(2, 2)
    assert Sudoku(2, 2).to_line(Sudoku(2, 2).read(f'"a, b",question\nx,{sudoku}\n').question[0]) == sudoku
    assert Maze(3, 3).to_line(Maze(3, 3).read(f'"a, b",question\nx,{maze}\n').question[0]) == maze


def test_the_sizes_that_text_tells_are_those_of_the_tasks() -> None:
    assert tuple(SIZES) == CELLS


def test_quoting() -> None:
    assert [quoted(value) for value in ("a", "a\"b'", 3, 1.5, True, "\n", "\ud800")] == [
        "'a'",
        "'a\"b\\''",
        "3",
        "1.5",
        "True",
        "'\\n'",
        "'\\ud800'",
    ]
    long = "x" * 50 + "y" * 50
    assert quoted(long) == "'" + "x" * 50 + "y" * 9 + "..." + "y" * 14 + "'"
    assert quoted(long, longest=None) == f"'{long}'"
    assert printable("a\tb") == "a\\tb"
