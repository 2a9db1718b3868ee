"""What language models give for a puzzle: code fences, rows, objects, numbers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trm.errors import BadInput
from trm.tools import call
from trm.tools.arguments import as_text

EASY = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
DONE = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"
MAZE = "S..\n.#.\n..G"
ROWS = [EASY[at : at + 9] for at in range(0, 81, 9)]
NUMBERS = [[int(sign.replace(".", "0")) for sign in row] for row in ROWS]
LINES = "\n".join(ROWS)


@pytest.mark.parametrize(
    "puzzle",
    [
        f"```\n{LINES}\n```",
        f"  ```text\r\n{LINES}\r\n  ```  \n",
        f"Here is the puzzle:\n\n```sudoku\n{EASY}\n```\nI hope that it helps.",
        f"`{EASY}`",
        f"```{EASY}```",
        ROWS,
        NUMBERS,
        [[number or None for number in row] for row in NUMBERS],
        [[*row] for row in ROWS],
        [sign.strip(".") for sign in EASY],
        [number for row in NUMBERS for number in row],
        json.dumps(ROWS),
        json.dumps(NUMBERS),
        json.dumps(LINES),
        json.dumps(json.dumps(NUMBERS)),
        f"```json\n{json.dumps(NUMBERS, indent=1)}\n```",
        LINES.replace("\n", "\\n"),
        {"puzzle": EASY},
        {"puzzle": ROWS},
        json.dumps({"puzzle": ROWS}),
    ],
)
def test_a_puzzle_in_the_forms_that_models_give(puzzle: Any) -> None:
    arguments = {"task": "sudoku", "puzzle": puzzle, "answer": f"```\n{DONE}\n```"}
    assert call("check_answer", arguments).solved
    assert call("check_answer", json.dumps(arguments)).solved
    wrong = call("check_answer", {"task": "sudoku", "puzzle": puzzle, "answer": "4" + DONE[1:]})
    assert wrong.message == "Wrong: two 4s in row 1: r1c1 and r1c3."


@pytest.mark.parametrize(
    "puzzle", [MAZE.split("\n"), f"```\n{MAZE}\n```", json.dumps(MAZE.split()), MAZE.replace("\n", "\\n")]
)
def test_a_maze_in_the_forms_that_models_give(puzzle: Any) -> None:
    assert call("check_answer", {"task": "maze", "puzzle": puzzle, "answer": ["Soo", ".#o", "..G"]}).solved


def test_numbers_beyond_9_are_letters() -> None:
    rows = [[10, *[0] * 14, 16], *[[None] * 16] * 15]
    assert as_text(rows) == "A00000000000000G" + "\n0000000000000000" * 15
    assert call("check_answer", {"task": "sudoku", "puzzle": rows, "answer": rows}).message == "Wrong: r1c2 is blank."


def test_a_large_maze_as_rows_of_cells_is_not_too_long() -> None:
    rows = [["S", *"." * 98, "G"], *[["#"] * 100] * 99]
    answer = {"task": "maze", "puzzle": rows, "answer": [["S", *"o" * 98, "G"], *rows[1:]]}
    assert call("check_answer", answer).solved


def test_a_board_as_a_number() -> None:
    arguments: dict[str, Any] = {"task": "sudoku", "puzzle": "12..34..........", "answer": 1234341221434321}
    assert call("check_answer", arguments).valid
    for number in (2**53 + 1, -1):
        with pytest.raises(BadInput, match="put it in quotes"):
            call("check_answer", {**arguments, "answer": number})


def test_two_code_fences_are_no_puzzle() -> None:
    with pytest.raises(BadInput):
        call("check_answer", {"task": "sudoku", "puzzle": f"```\n{EASY}\n```\n" * 2, "answer": DONE})
