"""Prompts, and grids found in prose."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from trm.errors import BadInput
from trm.llm.prompts import Reader, alphabet, make_prompt, prompt_version
from trm.tasks.base import Spec, Task, Tokens
from trm.tasks.maze.task import Maze
from trm.tasks.sudoku.task import DIGITS, Sudoku

SIZES = [Sudoku(2, 2), Sudoku(2, 3), Sudoku(3, 3), Sudoku(4, 4)]
READERS = {task.size: Reader.of(task) for task in SIZES}
Rows = list[str]  # of a grid, a character a cell


def test_the_prompt_says_what_is_needed() -> None:
    for task in SIZES:
        question = np.arange(task.cells, dtype=np.uint8) % task.spec.vocab
        question[question == 0] = 1
        prompt = make_prompt(task, question)
        rows = [" ".join(task.to_line(question)[at : at + task.size]) for at in range(0, task.cells, task.size)]
        assert "\n\n" + "\n".join(rows) + "\n\n" in prompt
        boxes = f"{task.box_height} rows high and {task.box_width} columns wide"
        ending = f"exactly {task.size} lines of {task.size} symbols"
        for words in (" ".join(DIGITS[: task.size]), boxes, "step by step", "ANSWER:", "fenced block", ending):
            assert words in prompt
    assert len({prompt_version(task) for task in SIZES}) == len(SIZES)


def test_mazes_are_asked_and_read() -> None:
    maze = Maze(3, 4)
    puzzles = maze.read("S.#.\n#..#\n..#G\n".replace("#G", ".G"))
    prompt = make_prompt(maze, puzzles.question[0])
    for words in ("\n\nS . # .\n# . . #\n. . . G\n\n", "3 rows and 4 columns", "down, then left, then right, then up"):
        assert words in prompt
    answer = maze.label(puzzles.question[0])
    reply = f"First down...\n\nANSWER:\n```\n{maze.draw(answer)}\n```"
    found = Reader.of(maze).find(reply)
    assert found is not None
    assert found.tolist() == answer.tolist()


class Lights(Sudoku):
    """Some other family: two states a cell, no blank."""

    spec = Spec("lights-3x2", 3, 2, vocab=3, first_symbol=3)

    def instructions(self, symbols: str) -> str:
        return Task.instructions(self, symbols)

    def draw(self, tokens: Tokens) -> str:
        return "\n".join("".join("? #"[token] for token in row) for row in tokens.reshape(3, 2))


class Words(Lights):
    def draw(self, tokens: Tokens) -> str:
        return "lights"


def test_families_without_rules_of_their_own() -> None:
    task = Lights()
    prompt = make_prompt(task, np.array([1, 2, 2, 2, 1, 1], np.uint8))
    assert "\n. #\n# #\n. .\n" in prompt
    assert all(words in prompt for words in ("'lights-3x2'", "3 rows and 2 columns", "symbols . #", "exactly 3 lines"))
    found = Reader.of(task).find("Hm.\nANSWER:\n.#\n##\n..\nDone.")
    assert found is not None
    assert found.tolist() == [1, 2, 2, 2, 1, 1]
    assert Reader.of(task).find(". . .") is None
    with pytest.raises(BadInput, match="no character of its own"):
        alphabet(Words())


# Ways to write a grid down


def banded(task: Sudoku, rows: Rows, row: Callable[[str], str], rule: str) -> str:
    out = []
    for number, cells in enumerate(rows):
        if number and number % task.box_height == 0:
            out.append(rule)
        out.append(row(cells))
    return "\n".join(out)


def boxed(task: Sudoku, cells: str) -> str:
    return " | ".join(" ".join(cells[at : at + task.box_width]) for at in range(0, task.size, task.box_width))


def numbered(rows: Rows) -> list[list[int]]:
    return [[DIGITS.index(c) + 1 for c in row] for row in rows]


def markdown(rows: Rows, heading: list[str]) -> str:
    table = [heading, ["---"] * len(rows), *map(list, rows)]
    return "\n".join("| " + " | ".join(row) + " |" for row in table)


STYLES: dict[str, Callable[[Sudoku, Rows], str]] = {
    "plain": lambda task, rows: "\n".join(rows),
    "spaced": lambda task, rows: "\n".join(map(" ".join, rows)),
    "commas": lambda task, rows: ",\n".join(map(", ".join, rows)),
    "lower case, indented": lambda task, rows: "\r\n".join("    " + row.lower() for row in rows),
    "fenced": lambda task, rows: "```text\n" + "\n".join(rows) + "\n```",
    "quoted": lambda task, rows: "\n".join(f"> {row}" for row in rows),
    "drawn": lambda task, rows: task.draw(tokens(rows)),
    "bars": lambda task, rows: banded(task, rows, lambda row: boxed(task, row), "------+-------+------"),
    "box": lambda task, rows: "+=+\n" + banded(task, rows, lambda row: f"| {boxed(task, row)} |", "|-+-|") + "\n+=+",
    "bands": lambda task, rows: banded(task, rows, " ".join, ""),
    "table": lambda task, rows: markdown(rows, [""] * len(rows)),
    "table headed by numbers": lambda task, rows: markdown(rows, [str(n + 1) for n in range(len(rows))]),
    "table headed by names": lambda task, rows: markdown(rows, [f"c{n + 1}" for n in range(len(rows))]),
    "bold": lambda task, rows: "\n".join(" ".join(f"**{c}**" for c in row) for row in rows),
    "labelled": lambda task, rows: "\n".join(f"Row {n}: {' '.join(row)}" for n, row in enumerate(rows, 1)),
    "labelled in bold": lambda task, rows: "\n\n".join(f"- **R{n}:** {row}" for n, row in enumerate(rows, 1)),
    "counted": lambda task, rows: "\n".join(f"{n}. {' '.join(row)}" for n, row in enumerate(rows, 1)),
    "json": lambda task, rows: json.dumps([list(row) for row in rows]),
    "json of numbers": lambda task, rows: json.dumps(numbered(rows)),
    "json of numbers, a row a line": lambda task, rows: "[\n" + ",\n".join(map(str, numbered(rows))) + "\n]",
    "json, a cell a line": lambda task, rows: json.dumps([list(row) for row in rows], indent=2),
    "json of strings": lambda task, rows: json.dumps({"answer": rows}, indent=1),
    "json in prose": lambda task, rows: f"So the grid is {json.dumps(numbered(rows)) if task.size < 10 else rows} now.",
    "one run": lambda task, rows: "ANSWER: " + "".join(rows),
    "one run in bold": lambda task, rows: "**Final answer:** `" + "".join(rows) + "`",
    "one run in prose": lambda task, rows: "It is " + "".join(rows) + ".",
    "slashes": lambda task, rows: "ANSWER: " + "/".join(rows),
    "first row beside": lambda task, rows: "ANSWER: " + "\n".join(rows),
    "latex": lambda task, rows: "$$\n\\hline\n" + " \\\\ \\hline\n".join(map(" & ".join, rows)) + " \\\\\n$$",
}


def tokens(rows: Rows) -> Tokens:
    return np.array([DIGITS.index(c) + 2 for c in "".join(rows)], np.uint8)


def prose(task: Sudoku) -> st.SearchStrategy[str]:
    """Lines that are no grid, though they speak of cells."""
    line, digits = DIGITS[: task.size], " ".join(DIGITS[: task.size])
    said = [
        "Let's think.",
        "",
        "r1c2 must be 3, so r4c4 = 1.",
        "Row 3 misses 1 and 2.",
        "## Step 2",
        "- candidates: 1 2",
        "ANSWER:",
        f"Column 2: {digits}",
        f"Box 1: {digits} ok",
        f"Every row holds {line}.",
        f"| {digits} | x |",
        "I am 100 % sure: all 9 digits are there!",
    ]
    return st.lists(st.sampled_from(said), max_size=5).map(lambda lines: "\n".join(["So:", *lines, "Well, here:"]))


@st.composite
def replies(draw: st.DrawFn) -> tuple[Sudoku, Rows, str]:
    """A task, a grid, and prose that has another grid somewhere and this one as the last."""
    task = draw(st.sampled_from(SIZES))
    cells = st.text(DIGITS[: task.size], min_size=task.size, max_size=task.size)
    grids = st.lists(cells, min_size=task.size, max_size=task.size)
    style, rows = draw(st.sampled_from(sorted(STYLES))), draw(grids)
    if task.size > 9 and not any(c in "ABCDEFG" for c in rows[0]):
        rows[0] = rows[0][:-1] + "G"
    parts = [draw(prose(task)), STYLES[style](task, rows), draw(prose(task))]
    if draw(st.booleans()):
        parts = [draw(prose(task)), STYLES[draw(st.sampled_from(sorted(STYLES)))](task, draw(grids)), *parts]
    return task, rows, "\n".join(parts)


@pytest.mark.parametrize("task", SIZES, ids=lambda task: task.spec.name)
@pytest.mark.parametrize("style", STYLES)
def test_every_style(task: Sudoku, style: str) -> None:
    rng = np.random.default_rng(1)
    rows = ["".join(rng.permutation(list(DIGITS[: task.size]))) for _ in range(task.size)]
    found = READERS[task.size].find(STYLES[style](task, rows))
    assert found is not None
    np.testing.assert_array_equal(found, tokens(rows))


@examples(max_examples=200, deadline=None, derandomize=True, database=None)
@given(reply=replies())
def test_the_last_grid_is_found_in_prose(reply: tuple[Sudoku, Rows, str]) -> None:
    task, rows, text = reply
    found = READERS[task.size].find(text)
    assert found is not None
    np.testing.assert_array_equal(found, tokens(rows))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ANSWER:",
        "1234\n3412\n2143",  # a row is missing
        "1234\n3412\nor\n2143\n4321",
        "1234\n3412\n```\n2143\n4321",
        "12345\n34125\n21435\n43215",  # too wide
        "123\n341\n214\n432",
        "1235\n3412\n2143\n4321",  # no such digit
        "123434122143432",
        "12343412214343211",
        "\n".join(f"Column {n}: 1 2 3 4" for n in range(1, 5)),
        "\n".join(f"Box {n}: 1 2 3 4" for n in range(1, 5)),
        "[" * 5000,
        "1" * 100_000,
    ],
)
def test_what_is_no_grid(text: str) -> None:
    assert READERS[4].find(text) is None


@pytest.mark.parametrize("text", ["{}\n\n1 2 3 4", "4 3 2 1\n{}", "1 2\n{}\n\n3 4", "{}\n---\n4 3 2 1\n\n"])
def test_rows_beside_the_grid_do_not_shift_it(text: str) -> None:
    found = READERS[4].find(text.format("1234\n34 12\n2 1 4 3\n4321"))
    assert found is not None
    assert SIZES[0].to_line(found) == "1234341221434321"


def test_open_cells_stay_open() -> None:
    found = READERS[4].find("1 2 _ 4\n3 4 . 2\n2 1 4 0\n? 3 2 1\n")
    assert found is not None
    assert found.tolist() == [2, 3, 1, 5, 4, 5, 1, 3, 3, 2, 5, 1, 1, 4, 3, 2]


CHARACTERS = st.one_of(
    st.sampled_from("1234567890ABCG._?*|-+=#,:;/\\&[]{}\"'`~ \t\r\n\0\ufeff─│é²５😀\u2028"), st.characters()
)


@examples(max_examples=300, deadline=None, derandomize=True, database=None)
@given(text=st.text(CHARACTERS, max_size=400), task=st.sampled_from(SIZES))
def test_no_text_makes_it_fail(text: str, task: Sudoku) -> None:
    found = READERS[task.size].find(text)
    assert found is None or (found.shape == (task.cells,) and bool(((found > 0) & (found < task.spec.vocab)).all()))


@examples(max_examples=100, deadline=None, derandomize=True, database=None)
@given(data=st.data(), task=st.sampled_from(SIZES))
def test_no_lines_of_symbols_make_it_fail(data: st.DataObject, task: Sudoku) -> None:
    """Lines near in shape to those of a grid."""
    piece = st.text(DIGITS[: task.size] + " .|", min_size=task.size - 1, max_size=task.size + 1)
    line = st.one_of(piece, st.sampled_from(["", "---", "```", "Row 1:", "so", "[[", "]"]))
    text = "\n".join(data.draw(st.lists(line, max_size=3 * task.size)))
    found = READERS[task.size].find(text)
    assert found is None or found.shape == (task.cells,)
