"""The tools for language models: what they say of good, bad and impossible puzzles, and their schemas."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from conftest import Call
from hypothesis import given
from hypothesis import strategies as st

from trm import api, solving, store, tools
from trm.errors import BadInput, TrmError
from trm.models import ModelConfig, build
from trm.tasks import load_puzzles
from trm.tasks.base import Tokens
from trm.tasks.maze import Maze
from trm.tasks.sudoku import Sudoku
from trm.tasks.sudoku_search import count_solutions
from trm.tools import Solution, call

NINE = Sudoku()
EASY = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
DONE = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"
SIXTEEN = "1" + "." * 255
MAZE = "S..\n.#.\n..G"


@pytest.fixture(autouse=True)
def _weights() -> Iterator[None]:
    """What a test chooses is forgotten after it."""
    yield
    tools.WEIGHTS.clear()


def solution(name: str, **arguments: Any) -> Solution:
    result = call(name, arguments)
    assert isinstance(result, Solution)
    assert (result.answer is not None) == result.solved
    assert result.text.startswith(result.message)
    assert "\n" not in result.message
    return result


def test_a_sudoku() -> None:
    found = solution("solve_sudoku", puzzle=EASY)
    _, right, _ = count_solutions(NINE.read(EASY).question[0], NINE)
    assert right is not None
    assert found.answer is not None
    assert found.answer.replace("\n", "") == NINE.to_line(right) == DONE
    assert found.answer.count("\n") == 8
    assert found.text.endswith(found.answer)
    assert (found.solved, found.valid, found.best_attempt, found.solutions) == (True, True, None, "one")
    assert found.steps > 0
    assert 0 < found.confidence <= 1
    assert call("solve_sudoku", json.dumps({"puzzle": EASY, "steps": None, "seconds": 30})) == found


def test_a_sudoku_with_several_solutions() -> None:
    found = solution("solve_sudoku", puzzle="1" + "." * 15)
    assert (found.solved, found.solutions) == (True, "several")
    assert "several solutions" in found.message
    assert found.answer is not None
    grid = [[int(sign) for sign in line] for line in found.answer.split()]
    assert grid[0][0] == 1
    boxes = [[grid[y + i][x + j] for i in (0, 1) for j in (0, 1)] for y in (0, 2) for x in (0, 2)]
    for group in (*grid, *map(list, zip(*grid, strict=True)), *boxes):
        assert sorted(group) == [1, 2, 3, 4]


def test_a_sudoku_without_a_solution() -> None:
    found = solution("solve_sudoku", puzzle="123............4")  # r1c4 has to be 4 and cannot
    assert (found.solved, found.valid, found.solutions, found.best_attempt) == (False, False, "none", None)
    assert "no solution" in found.message


def test_a_sudoku_that_is_not_solved() -> None:
    hard = load_puzzles(NINE, "embedded", "validation").question[7]
    found = solution("solve_sudoku", puzzle=NINE.to_line(hard), steps=1)
    assert (found.solved, found.valid, found.solutions) == (False, False, "one")
    assert found.best_attempt is not None
    attempt = NINE.read_cells(found.best_attempt)[0]
    fault = NINE.fault(hard, attempt)
    assert fault
    assert fault in found.message
    assert found.text.endswith(found.best_attempt)


def test_what_is_too_open_to_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "NODES", 0)
    found = solution("solve_sudoku", puzzle="1" + "." * 15)
    assert (found.solved, found.solutions) == (True, "not counted")


class Fixed:
    """A solver that has always the same answer."""

    def __init__(self, board: str) -> None:
        self.board = board

    def solve(self, puzzle: str, **_: Any) -> api.Answer:
        task, question = tools.read_one("maze", puzzle)
        tokens: Tokens = task.read_cells(self.board)[0]
        valid = bool(task.valid(question[None], tokens[None])[0])
        return api.Answer(task, tokens, question, valid, 0.5, 3, 1, list)


@pytest.mark.parametrize(
    ("board", "solved", "valid", "words"),
    [
        ("Soo\n.#o\n..G", True, True, "Solved in 3 steps"),
        ("S...\nooo.\n.#oo\n...G", False, True, "not a shortest"),
        ("S..\n.#.\n..G", False, False, "is cut off at"),
    ],
)
def test_a_maze(board: str, solved: bool, valid: bool, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "not a shortest" in words:
        board = "Soo.\n.#oo\n.##o\n...G".replace("Soo.\n.#oo", "S...\noooo")
    monkeypatch.setattr(tools, "load", lambda *_: Fixed(board))
    monkeypatch.setitem(solving.DEFAULT_WEIGHTS, "maze", "any")
    puzzle = board.replace("o", ".")
    found = solution("solve_maze", puzzle=puzzle)
    assert (found.solved, found.valid, found.solutions) == (solved, valid, "not counted")
    assert words in found.message
    assert (found.answer or found.best_attempt) == board
