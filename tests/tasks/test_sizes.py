"""Puzzles of several sizes in one text, and puzzles in JSON: what is read, and what is refused."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from readers import NINE, fuzz, lines, maze_rows, solved_rows, sudoku_rows, to_wide

from trm.errors import BadInput
from trm.inference.puzzles import read_text
from trm.tasks.text import TwoReadings

FOUR = "1.3.3.1..1.3.3.1"
OTHER = NINE[::-1]
ROWS = [NINE[at : at + 9] for at in range(0, 81, 9)]


def read(text: str, kind: str = "sudoku") -> list[str]:
    boards = read_text(text, kind).boards
    if kind == "maze":
        return [board.task.draw(board.question).replace("\n", "") for board in boards]
    return [board.task.to_line(board.question) for board in boards]


def refusal(text: str, kind: str = "sudoku", error: type[BadInput] = BadInput) -> str:
    with pytest.raises(error) as caught:
        read_text(text, kind)
    return str(caught.value)


def some(chance: random.Random) -> list[str]:
    """Sudokus of several sizes, a line each, with a digit at least."""
    small = ["1234341221434321", "123456456123231564564231312645645312"]
    made = []
    for _ in range(chance.randint(2, 5)):
        answer = chance.choice([*small, "".join(solved_rows(chance))])
        kept = {*chance.sample(range(len(answer)), len(answer) // 2)}
        made.append("".join(c if at in kept else "." for at, c in enumerate(answer)))
    return made


def split(puzzle: str) -> list[str]:
    side = round(len(puzzle) ** 0.5)
    return [puzzle[at : at + side] for at in range(0, len(puzzle), side)]


@fuzz
@given(st.integers(0, 2**32), st.sampled_from(["lines", "CSV", "tabs", "strings", "objects", "object a line", "grids"]))
def test_sudokus_of_several_sizes(seed: int, form: str) -> None:
    puzzles = some(random.Random(seed))
    numbered = list(enumerate(puzzles))
    text = {
        "lines": lines(puzzles),
        "CSV": "question,id\n" + lines([f"{puzzle},{at}" for at, puzzle in numbered]),
        "tabs": "id\tpuzzle\n" + lines([f"{at}\t{puzzle}" for at, puzzle in numbered]),
        "strings": json.dumps(puzzles),
        "objects": json.dumps([{"puzzle": puzzle} for puzzle in puzzles]),
        "object a line": lines([json.dumps({"id": at, "puzzle": puzzle}) for at, puzzle in numbered]),
        "grids": json.dumps([split(puzzle) for puzzle in puzzles]),
    }[form]
    assert read(text) == puzzles


@fuzz
@given(st.lists(st.integers(0, 2**32), min_size=2, max_size=4), st.sampled_from(["lines", "CSV", "strings", "grids"]))
def test_mazes_of_several_sizes(seeds: list[int], form: str) -> None:
    """Squares, as a line shows no other shape."""
    drawn = [maze_rows(random.Random(seed), closed=False) for seed in seeds]
    drawn = [rows for rows in drawn if len(rows) == len(rows[0])] or [["S.", ".G"], ["S..", "...", "..G"]]
    puzzles = ["".join(rows) for rows in drawn]
    text = {
        "lines": lines(puzzles),
        "CSV": "question\n" + lines(puzzles),
        "strings": json.dumps(puzzles),
        "grids": json.dumps(drawn),
    }[form]
    assert read(text, "maze") == puzzles


def test_mazes_that_begin_with_a_wall_are_no_comments() -> None:
    for text in ("question\n##GS\n#.......SG......\n", "id,question\n#1,S..G\n#2,#.......SG......\n"):
        assert read(text, "maze") == [line.split(",")[-1] for line in text.split("\n")[1:3]]


def test_what_is_left_out_is_said_for_all_sizes() -> None:
    boards, remarks = read_text(f"# one\n{NINE}\n# two\n{FOUR}", "sudoku")
    assert (len(boards), remarks) == (2, ("left out: 1 comment line", "left out: 1 comment line"))
    boards, remarks = read_text(f"question\n{NINE}\n# two\n{FOUR}", "sudoku")
    assert (len(boards), remarks) == (2, ("left out: 1 comment line",))
    boards, remarks = read_text(json.dumps([{"id": 3, "puzzle": NINE}, {"puzzle": FOUR}]), "sudoku")
    assert (len(boards), remarks) == (2, ("left out: 1 field of JSON",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{NINE}\n{FOUR}.", "puzzle 2 (line 2): 17 cells instead of 81"),
        (f"{NINE}\n{FOUR[:8]}", "puzzle 2 (line 2): 8 cells instead of 81"),
        (f"question\n{NINE}\n{FOUR}.\n", "line 3, column question: 17 cells instead of 81"),
        (f"{lines(ROWS)}\n\n{FOUR}", "give puzzles of one size at a time"),
    ],
)
def test_damaged_puzzles_of_several_sizes(text: str, words: str) -> None:
    assert words in refusal(text)


def test_a_csv_says_how_to_mend_it() -> None:
    """Where one size is wanted, as in `trm eval`."""
    from trm.tasks import find_family

    for kind, text in (("sudoku", f"question\n{NINE}\n{FOUR}\n"), ("maze", "question\nS..G\nS.......G\n")):
        with pytest.raises(BadInput, match=r"line 3, column question: .* give (puzzles|mazes) of one size at a time"):
            find_family(kind).task_for(text).read(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("S...G", "line 2, column question: 5 cells are no square, so the rows of the maze are unclear; draw it with"),
        ("S..........G", "line 2, column question: 12 cells are no square"),
        (",x", "line 2: 2 columns instead of 1"),
        ('""', "line 2, column question: there is no maze in it: the field is empty"),
        ("S..G\nS...G", "line 3, column question: 5 cells instead of 4"),
    ],
)
def test_fields_of_mazes_without_a_shape(text: str, words: str) -> None:
    assert words in refusal(f"question\n{text}\n", "maze")


# JSON

OBJECT = {"puzzle": NINE}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([OBJECT, {"id": 1}], "entry 2 of the JSON has the keys 'id' and no puzzle; write the puzzle under the key"),
        ([OBJECT, {}], "entry 2 of the JSON is empty and no puzzle"),
        ([OBJECT, None], "entry 2 of the JSON is null, which is no puzzle; delete it, or write the puzzle"),
        ([NINE, 5], "entry 2 of the JSON is 5, which is no puzzle"),
        ([NINE, ""], 'entry 2 of the JSON is "", which is no puzzle'),
        ([NINE, " \n"], "entry 2 of the JSON is"),
        ([ROWS, []], "entry 2 of the JSON is [], which is no puzzle"),
        ([OBJECT, {"puzzle": None}], "'puzzle' of entry 2 of the JSON is null"),
        ([OBJECT, {"puzzle": True}], "'puzzle' of entry 2 of the JSON is true"),
        ({"puzzles": [NINE, None]}, "entry 2 of 'puzzles' of the JSON is null"),
        ({"data": NINE}, "the JSON has the keys 'data' and no puzzle"),
        ([], "the JSON is [], which is no puzzle"),
    ],
)
@pytest.mark.parametrize("kind", ["sudoku", "maze"])
def test_entries_without_a_puzzle(value: Any, words: str, kind: str) -> None:
    assert words in refusal(json.dumps(value), kind)


def test_lines_of_json_without_a_puzzle() -> None:
    text = json.dumps(OBJECT) + "\n" + json.dumps({"id": 2})
    assert "line 2 of the JSON has the keys 'id' and no puzzle" in refusal(text)


@pytest.mark.parametrize("keys", [("question", "puzzle"), ("puzzle", "grid"), ("Board", "sudoku")])
def test_two_puzzles_in_an_object(keys: tuple[str, str]) -> None:
    both = f"{keys[0]!r} and {keys[1]!r} may both be the puzzle; delete or rename one of them"
    assert both in refusal(json.dumps({keys[0]: NINE, keys[1]: OTHER}), error=TwoReadings)
    assert f"entry 2 of the JSON: {both}" in refusal(json.dumps([OBJECT, {keys[0]: NINE, keys[1]: OTHER}]))
    assert read(json.dumps({keys[0]: NINE, keys[1]: NINE})) == [NINE]  # one puzzle, whichever is meant


def test_a_key_twice_in_an_object() -> None:
    text = f'{{"puzzle": "{NINE}", "puzzle": "{OTHER}"}}'
    assert "has the key 'puzzle' twice; either may be meant" in refusal(text, error=TwoReadings)


@fuzz
@given(st.integers(0, 2**32), st.sampled_from(["wide", "floats", "NaN", "puzzles"]))
def test_ways_to_write_json(seed: int, form: str) -> None:
    rows = sudoku_rows(random.Random(seed))
    numbers = [[None if cell == "." else float(cell) for cell in row] for row in rows]
    value = {
        "wide": {"puzzle": to_wide("".join(rows))},  # as \u escapes
        "floats": numbers,
        "NaN": [[float("nan") if cell is None else cell for cell in row] for row in numbers],
        "puzzles": {"Puzzles": ["".join(rows)]},
    }[form]
    assert read(json.dumps(value)) == ["".join(rows)]


# Comments in CSV


def test_an_empty_field_before_a_sign_is_no_comment() -> None:
    rows = f"\t#hi\t{NINE}\n2\tx\t{NINE}\n\t#1\t{NINE}\n"
    assert read(f"id\tnote\tquestion\n{rows}") == [NINE] * 3
    assert read(f"\t#\tquestion\n{rows}") == [NINE] * 3
    boards, remarks = read_text(f"id\tnote\tquestion\n# a comment\n{rows}", "sudoku")
    assert (len(boards), remarks) == (3, ("left out: 1 comment line",))
    assert read_text(f"\t# a comment\n{NINE}", "sudoku").remarks == ("left out: 1 comment line",)
