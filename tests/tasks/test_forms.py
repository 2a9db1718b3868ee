"""Forms in which people write puzzles: each is read as it is meant, or refused. The oracle is tests/readers.py."""

from __future__ import annotations

import json
import random
import re
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from readers import (
    MAZE_FORMS,
    NINE,
    SUDOKU_FORMS,
    WIDE_FORMS,
    candidates,
    fuzz,
    lines,
    maze_rows,
    maze_rows_of,
    pencil_rows,
    solved_rows,
    sudoku_rows,
    to_wide,
)

from trm.errors import BadInput
from trm.inference.puzzles import looks_like_path, read_argument, read_text
from trm.tasks import load_puzzles
from trm.tasks.custom.structure import Structure
from trm.tasks.custom.task import Custom
from trm.tasks.maze.task import Maze, maze_for
from trm.tasks.sudoku.task import Sudoku, sudoku_for
from trm.tasks.text import TwoReadings, decode

ROWS = [NINE[at : at + 9] for at in range(0, 81, 9)]
SOLVED = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"


def sudokus(text: str) -> list[str]:
    """What `trm solve sudoku` reads."""
    task = sudoku_for(text)
    return [task.to_line(row) for row in task.read(text).question]


def mazes(text: str) -> list[str]:
    """What `trm solve maze` reads."""
    task = maze_for(text)
    return [task.draw(row) for row in task.read(text).question]


def refusal(text: str, kind: str = "sudoku") -> str:
    with pytest.raises(BadInput) as caught:
        (sudokus if kind == "sudoku" else mazes)(text)
    assert str(caught.value).isprintable()
    return str(caught.value)


# Sudokus


@pytest.mark.parametrize("form", SUDOKU_FORMS)
def test_forms_of_a_sudoku(form: str) -> None:
    assert sudokus(SUDOKU_FORMS[form](ROWS)) == [NINE]


@fuzz
@given(st.sampled_from(sorted(SUDOKU_FORMS)), st.integers(0, 2**32))
def test_any_sudoku_is_read_in_any_form(form: str, seed: int) -> None:
    rows = sudoku_rows(random.Random(seed))
    assert sudokus(SUDOKU_FORMS[form](rows)) == ["".join(rows)]


@fuzz
@given(st.sampled_from(sorted(SUDOKU_FORMS)), st.integers(0, 2**32), st.data())
def test_damaged_sudokus_are_never_taken_for_others(form: str, seed: int, data: st.DataObject) -> None:
    """A cell is lost or doubled, or a digit becomes another character: what is read then has no new digits."""
    rows = sudoku_rows(random.Random(seed))
    text = SUDOKU_FORMS[form](rows)
    start = text.find("[Puzzle]") + 1 or text.find("\n") * text.startswith(("id", "question", "Grid", "```"))
    end = text.find("[State]") if "[State]" in text else len(text)
    places = [
        at for at in range(start, end) if text[at] in "123456789" and text[at : at + 2] not in ("1,", "1;", "1\t")
    ]
    if form in ("rating", "note", "number before", "hash number", "HoDoKu", "JSON, object", "CSV with # in ids"):
        whole = text.index("".join(rows))
        places = [at for at in places if whole <= at < whole + 81]
    assume(places)
    at = data.draw(st.sampled_from(places))
    damage = data.draw(st.sampled_from(["", text[at] * 2, "z", "&", "é"]))
    try:
        found = sudokus(text[:at] + damage + text[at + 1 :])
    except BadInput:
        return
    assert form in ("commas, nothing", "tabs, nothing", "table") or "." not in "".join(rows)
    lost = [(a, b) for a, b in zip("".join(rows), found[0], strict=True) if a != b]
    assert len(found) == 1
    assert len(lost) <= 1
    assert all(b == "." for _, b in lost)


def pencilled(rows: list[str], gap: str) -> str:
    return "\n".join(gap.join(candidates(rows, r, c).ljust(5) for c in range(9)) for r in range(9))


@pytest.mark.parametrize("gap", [" ", " | ", "\t"])
def test_pencil_marks(gap: str) -> None:
    assert sudokus(pencilled(ROWS, gap)) == ["".join(pencil_rows(ROWS))]
    ruled = "\n".join(
        line + ("\n:------+------:" if at in (2, 5) else "") for at, line in enumerate(pencilled(ROWS, gap).split("\n"))
    )
    assert sudokus(f".------.\n{ruled}\n'------'") == ["".join(pencil_rows(ROWS))]


def test_sixteen_digits_as_numbers() -> None:
    line = "123456789ABCDEFG" + "." * 240
    rows = [line[at : at + 16] for at in range(0, 256, 16)]
    text = "\n".join(",".join(str("123456789ABCDEFG".find(c) + 1) for c in row) for row in rows)
    assert sudokus(text) == [line]


def test_what_is_left_out_is_said() -> None:
    for text, remark in (
        (f"# hard\n{NINE}\n# end", "left out: 2 comment lines"),
        (f"{NINE} 7.2\n{NINE} 8.1", "left out: 2 notes"),
        (f"Grid 01\n{NINE}", "left out: 1 heading"),
        (f'{{"id": 3, "puzzle": "{NINE}"}}', "left out: 1 field of JSON"),
        (SUDOKU_FORMS["sections"](ROWS), "left out: 2 headings, 9 lines outside [Puzzle], 1 comment line"),
        (f"question,answer\n# from a book\n{NINE},\n", "left out: 1 comment line"),
        (f"question,answer\n#{NINE},{SOLVED}\n{NINE},\n", "left out: 1 comment line"),
    ):
        puzzles = Sudoku().read(text)
        assert puzzles.remarks == (remark,)
        assert {Sudoku().to_line(row) for row in puzzles.question} == {NINE}
    assert Sudoku().read(NINE).remarks == ()


def test_a_solution_beside_its_puzzle_is_the_answer() -> None:
    for text in (f"{NINE},{SOLVED}", f"{SOLVED} {NINE}", f"1;{NINE};{SOLVED}\n2;{NINE};{SOLVED}"):
        puzzles = Sudoku().read(text)
        assert {Sudoku().to_line(row) for row in puzzles.answer} == {SOLVED}
        assert {Sudoku().to_line(row) for row in puzzles.question} == {NINE}
    assert "is 3 where the question gives 1" not in refusal(f"{NINE},{NINE[::-1]}")  # two puzzles in a line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"id,question\n1,{NINE}\n#2,{NINE}\n", "line 3: it may be a comment, as other lines with # are, or a puzzle"),
        (f"id,question\n1,{NINE}\n#2,{NINE[1:]}\n", "with the number '#2'"),
        (f"{NINE}\n#2 {NINE}\n", "line 2: it may be a comment"),
        (f"question,puzzle\n{NINE},{NINE}", "column 1 (question) and column 2 (puzzle) may both hold the question"),
        (NINE[:80] + " 5", "parts of 80, 1 cells are one puzzle, or a damaged puzzle and a note"),
        (NINE.replace(".", "0")[1:], "80 cells instead of 81 for a whole puzzle or 9 for one row; a spreadsheet"),
        ("question\n" + NINE.replace(".", "0")[3:], "line 2, column question: 78 cells instead of 81; a spreadsheet"),
        ("question\n5.3007E+80", "may have lost leading zeros"),
        (NINE + "\n1...............", "puzzle 2 (line 2): 16 cells instead of 81; give puzzles of one size at a time"),
        ("1...............\n" + NINE, "puzzle 2 (line 2): 81 cells instead of 16; give puzzles of one size at a time"),
        (NINE.replace(".", "x", 1), "'x' is not a digit"),  # two signs for a blank are a slip
        (NINE[:40] + "12" + NINE[41:], "82 cells instead of 81"),
        (json.dumps([["56", *ROWS[0][1:]], *map(list, ROWS[1:])]), "line 1, character 3"),  # no row for each cell
    ],
)
def test_sudokus_that_are_refused(text: str, words: str) -> None:
    assert words in refusal(text)


# Mazes

CLOSED = ["#######", "#S..#.#", "#.#.#.#", "#.#...#", "#.###.#", "#....G#", "#######"]


@pytest.mark.parametrize("form", MAZE_FORMS)
def test_forms_of_a_maze(form: str) -> None:
    assert mazes(MAZE_FORMS[form](CLOSED)) == ["\n".join(CLOSED)]


@fuzz
@given(st.sampled_from(sorted(MAZE_FORMS)), st.integers(0, 2**32), st.booleans())
def test_any_maze_in_any_form_is_read_or_refused(form: str, seed: int, closed: bool) -> None:
    rows = maze_rows(random.Random(seed), closed)
    try:
        found = mazes(MAZE_FORMS[form](rows))
    except TwoReadings:
        found = []
    assert found == ["\n".join(rows)] or (not found and not closed)


@pytest.mark.parametrize(
    ("text", "maze"),
    [
        ("S    .    #\n.    .    .\n#    .    G", "S.#\n...\n#.G"),
        ("## ## ## ##\n##  S    ##\n##     G ##\n## ## ## ##", "####\n#S.#\n#.G#\n####"),
        (
            "⬛\ufe0f⬛\ufe0f⬛\ufe0f\n⬛\ufe0fS ⬛\ufe0f\n⬛\ufe0fG ⬛\ufe0f\n⬛\ufe0f⬛\ufe0f⬛\ufe0f",
            "###\n#S#\n#G#\n###",
        ),
    ],
)
def test_cells_of_several_characters(text: str, maze: str) -> None:
    assert mazes(text) == [maze]


def test_two_mazes_in_a_form() -> None:
    for form in ("apart", "indented", "blanks behind", "S and E", "commas", "spaces", *WIDE_FORMS):
        drawn = MAZE_FORMS[form](CLOSED)
        assert mazes(f"{drawn}\n\n{drawn}") == ["\n".join(CLOSED)] * 2


def test_the_maze_of_the_report() -> None:
    text = (
        "# # # # # # # # # #\n# S . . . . . . . #\n# . # # # # # # . #\n# . # . . . . # . #\n# . # . # # . # . #\n"
        "# . # . # . . # . #\n# . # . # # . # . #\n# . . . # . . . . #\n# . # # # # # . G #\n# # # # # # # # # #\n"
    )
    assert mazes(text) == [text.replace(" ", "").strip()]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("S   #\n    #\n#   G", "two ways, with spaces as open cells or spaces between the cells; write . for open"),
        ("  S #\n  # G\n    #", "two ways, with spaces as open cells or spaces on the left and right as a margin"),
        ("S11\n101\n11G", "two ways, with 1 as a wall or 0 as a wall; write # for a wall and . for an open cell"),
        (
            "S         .         #\n.         .         .\n#         .         G",
            "line 1: both dots and spaces may be open cells here, or",
        ),
        ("S . .  # .\n# . #  . .\n. . #  . #\n. # .  . .\n. . .  # G", "both dots and spaces may be open cells"),
        ("S . . ##. \n##. ##. . \n. . ##. ##\n. ##. . . \n. . . ##G ", "both dots and spaces may be open cells"),
        ("S . . . G", "both dots and spaces may be open cells"),
        ("question\nS . . # . # . . G\n", "line 2, column question: both dots and spaces may be open cells"),
        ("question\nS..G\nS10G", "line 3, column question: a field with 0 and 1 can be read in two ways"),
        ("S.#\n..G\n\nS.\n.G", "maze 2 (line 4): row 1 has 2 cells instead of 6 for a whole maze or 3"),
        ("S.#\n..G\n\nS.\n.G", "give mazes of one size at a time"),  # both have two rows: the second may lack a column
        ("S.#\n..G\n#..\n\nS.#\n..G", "maze 2 (line 5): the maze ends after 2 rows instead of 3"),
        ("S . G\n...\n# . #", "row 2 has 3 cells instead of 5"),  # some rows apart, others not
        ("S..G.", "a maze of 1x5 cells is not supported (2x2 to 100x100)"),
        ("S\n.\nG", "a maze of 3x1 cells is not supported"),
        ("question\nS10G", "two ways"),
    ],
)
def test_mazes_that_are_refused(text: str, words: str) -> None:
    assert words in refusal(text, "maze")


SIZES = ["S.#\n..G\n#..", "\n".join(CLOSED), "S...G\n.....\n.....\n.....\n....."]
FOUR = "1.3.\n3.1.\n.1.3\n.3.1"


@pytest.mark.parametrize("gap", ["\n\n", "\n\n\n", "\nMaze 3:\n", "\n```\n```\n"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 1, 2), (2, 1, 0), (1, 1, 0), (0, 1, 0)])
def test_sizes_mixed_in_one_text(gap: str, order: tuple[int, ...]) -> None:
    boards, _ = read_text(gap.join(SIZES[number] for number in order) + "\n", "maze")
    assert [board.task.draw(board.question) for board in boards] == [SIZES[number] for number in order]
    assert [board.task.spec.height for board in boards] == [(3, 7, 5)[number] for number in order]


def test_sudokus_of_sizes_mixed_in_one_text() -> None:
    boards, remarks = read_text("\n".join(ROWS) + "\n\n# a small one\n" + FOUR, "sudoku")
    found = [board.task.to_line(board.question) for board in boards]
    assert (found, remarks) == ([NINE, FOUR.replace("\n", "")], ("left out: 1 comment line",))


@fuzz
@given(st.lists(st.integers(0, 2**32), min_size=2, max_size=4), st.data())
def test_mazes_of_any_sizes_are_read_together_or_refused(seeds: list[int], data: st.DataObject) -> None:
    """Whole, or with a line lost: what is read is what was meant, and a lost line is not."""
    drawn = [maze_rows(random.Random(seed), closed=False) for seed in seeds]
    lost = data.draw(st.sampled_from([None, *range(len(drawn))]))
    meant = [lines(rows) for rows in drawn]
    if lost is not None:
        drawn.append(maze_rows_of(len(drawn[lost]), len(drawn[lost][0])))  # it tells that a row is missing
        at = data.draw(st.integers(0, len(drawn[lost]) - 1))
        del drawn[lost][at]
    sizes = {(len(rows), len(rows[0])) for rows in drawn if rows}
    try:
        boards = read_text("\n\n".join(map(lines, drawn)), "maze").boards
    except BadInput:
        assert lost is not None or any(a[0] == b[0] or a[1] == b[1] for a, b in combinations(sizes, 2))
        return
    assert lost is None
    assert [board.task.draw(board.question) for board in boards] == meant


def test_a_marked_maze_is_open() -> None:
    assert mazes("So#\n.oG") == ["S.#\n..G"]
    assert Maze(2, 3).draw(Maze(2, 3).read_cells("So#\n.oG")[0]) == "So#\n.oG"  # an answer keeps its marks


# Custom tasks

LATIN = Custom(
    Structure(shape=(3, 3), values=(0, 1, 2, 3), blank=0, interchangeable=True, groups=(("rows", "columns"),))
)


@pytest.mark.parametrize(
    "text",
    [
        "1 2 3\n2 3 1\n3 1 .", "1,2,3\n2,3,1\n3,1,", "1;2;3\n2;3;1\n3;1;0", "1\t2\t3\n2\t3\t1\n3\t1\t",
        "[[1,2,3],[2,3,1],[3,1,null]]", "[[1 2 3]\n [2 3 1]\n [3 1 0]]", "question;answer\n123231310;\n",
        "id,question\n#1,123231310\n", "#1 123231310", "Puzzle 1\n123\n231\n310", to_wide("123\n231\n310"),
        "1\u00a02\u00a03\n2 3 1\n3 1 _", "123231310\r\n",
    ],
)  # fmt: skip
def test_forms_of_a_custom_puzzle(text: str) -> None:
    assert LATIN.to_grid(LATIN.read(text).question[0]).tolist() == [[1, 2, 3], [2, 3, 1], [3, 1, 0]]


def test_custom_puzzles_that_are_refused() -> None:
    for text, words in (
        ("question\n12323131\n", "8 numbers instead of 9; a spreadsheet or a number may have lost leading zeros"),
        ("id,question\n1,123231310\n#2,123231310\n", "it may be a comment"),
    ):
        with pytest.raises(BadInput, match=words):
            LATIN.read(text)
    assert LATIN.read("# hi\n123231310").remarks == ("left out: 1 comment line",)


# Files and arguments


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings(codec: str) -> None:
    assert decode(f"{NINE}\n".encode(codec), "x") == f"{NINE}\n"


def test_half_an_utf16_file_is_refused() -> None:
    with pytest.raises(BadInput, match="not UTF-16 text"):
        decode(b"\xff\xfe1", "x")


@pytest.mark.parametrize("name", ["nosuch.sdm", "nosuch.ss", "puzzles", "my-puzzle.dat", "1.sdm", "a/b", "none.csv"])
def test_a_name_is_taken_for_a_file(name: str) -> None:
    for kind in ("sudoku", "maze"):
        with pytest.raises(BadInput, match=f"cannot read '{name}': No such file"):
            read_argument(name, kind)


@pytest.mark.parametrize("form", SUDOKU_FORMS)
def test_a_puzzle_is_not_taken_for_a_file(form: str) -> None:
    assert not looks_like_path(SUDOKU_FORMS[form](ROWS))


def test_no_maze_is_taken_for_a_file() -> None:
    for text in ("S..G", "S.#.oG...", "So.ooG...", "A...B....", "S...E...."):
        assert not looks_like_path(text)


def test_errors_in_a_file_name_it(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(f"question,answer\n{NINE},\n{NINE[1:]},\n")
    for read in (read_argument, lambda path: load_puzzles(Sudoku(), path)):
        with pytest.raises(BadInput) as caught:
            read(str(tmp_path / "mine.csv"))
        assert re.match(r"mine\.csv: line 3, column question: 80 cells instead of 81", str(caught.value))


@fuzz
@given(st.text(st.sampled_from(" .#0123xS-G|,;\t\n[]\"'{}oE█１\u3000"), max_size=60))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    for read in (sudokus, mazes, LATIN.read):
        message = ""
        try:
            read(text)
        except BadInput as error:
            message = str(error)
        assert message == "" or message.isprintable()


def test_a_solved_pattern_is_a_sudoku() -> None:
    line = "".join(solved_rows(random.Random(3)))
    assert sudokus(line) == [line]  # the tests' generator makes what the reader accepts
