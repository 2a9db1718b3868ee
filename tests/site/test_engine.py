"""The engine of the page without a server: in node, every step is that of Python, and restarts solve more."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from javascript import Script

from trm import store
from trm.inference import onnx
from trm.inference.loop import SearchState, Thinking, think
from trm.inference.onnx import OnnxBackend
from trm.store.onnx_export import describe_file
from trm.tasks import load_puzzles
from trm.tasks.base import Task, Tokens
from trm.tasks.maze.sets import generate
from trm.tasks.maze.task import WALL, Maze
from trm.tasks.sudoku.task import Sudoku

NINE = Sudoku()
TIE = 1e-4  # between probabilities
EASY = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The files that ship, with what is written beside them; without their suffix."""
    folder, found = tmp_path_factory.mktemp("models"), []
    for name in ("sudoku", "maze"):
        content = (store.SHIPPED / name / onnx.FILE).read_bytes()
        (folder / f"{name}.onnx").write_bytes(content)
        (folder / f"{name}.json").write_text(json.dumps(describe_file(store.load(name), content)))
        found.append(str(folder / name))
    return found


def solve(script: Script, models: list[str], puzzles: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
    """What the page does with puzzles."""
    usual = {"restarts": 0, "noise": 0.5, "guesses": 0, "seed": 0, "seconds": None, "until": "valid", "sure": 0.7}
    found: list[dict[str, Any]] = script.run("solve", models=models, puzzles=puzzles, how={**usual, **how})
    return found


def shown(task: Task, tokens: Tokens) -> Any:
    """Tokens as the API has them."""
    grid = task.to_grid(tokens).tolist()
    return grid if isinstance(task, Sudoku) else ["".join(row) for row in grid]


def sent(task: Task, question: Tokens, **how: Any) -> dict[str, Any]:
    """A puzzle as the page sends it, with options of its own."""
    return {"task": "sudoku" if isinstance(task, Sudoku) else "maze", "puzzle": shown(task, question), "how": how}


def python_steps(task: Task, question: Tokens, name: str, **how: Any) -> list[list[dict[str, Any]]]:
    """The steps of the same work with Python: of each question, what the API says of each step."""
    found: list[list[dict[str, Any]]] = [[] for _ in question]
    searches, shape = [SearchState() for _ in question], (task.spec.height, task.spec.width)
    backend = OnnxBackend(onnx.load(name, threads=1))
    for step in think(backend, task, question, searches, Thinking(**how)):
        for place, row in enumerate(step.rows.tolist()):
            probabilities = step.outcome.probabilities(place)
            found[row].append(
                {
                    "grid": shown(task, step.tokens[place]),
                    "valid": bool(step.valid[place]),
                    "confidence": float(step.confidence[place]),
                    "halts": bool(step.outcome.halts[place]),
                    "cells": probabilities.max(-1).reshape(shape),
                    "candidates": probabilities.reshape(*shape, -1),
                    "memory": step.outcome.movement(place).cells.reshape(shape),
                }
            )
    return found


def check_grid(grid: list[Any], theirs: dict[str, Any]) -> None:
    """The same, but for cells of which Python takes two values for equally likely, as far as rounding goes."""
    first, second = (np.array([[*row] for row in one]) for one in (grid, theirs["grid"]))
    likeliest = np.sort(theirs["candidates"][first != second])[:, -2:]
    assert (likeliest[:, 1] - likeliest[:, 0] < TIE).all()


def check_steps(found: list[dict[str, Any]], truth: list[list[dict[str, Any]]]) -> int:
    """Compare the steps of all puzzles. -> how many there are"""
    for one, steps in zip(found, truth, strict=True):
        assert len(one["steps"]) == len(steps)
        for number, (ours, theirs) in enumerate(zip(one["steps"], steps, strict=True), 1):
            assert (ours["number"], ours["start"]) == (number, 0)
            check_grid(ours["grid"], theirs)
            assert (ours["valid"], ours["halts"]) == (theirs["valid"], theirs["halts"])
            assert ours["confidence"] == pytest.approx(theirs["confidence"], rel=1e-2, abs=1e-6)
            np.testing.assert_allclose(ours["cells"], theirs["cells"], atol=2e-3)
            np.testing.assert_allclose(ours["memory"], theirs["memory"], rtol=1e-2, atol=1e-4)
            if ours["candidates"] is not None:
                np.testing.assert_allclose(ours["candidates"], theirs["candidates"], atol=2e-3)
    return sum(map(len, truth))


@pytest.mark.parametrize(("part", "count"), [("minimal", 100), ("validation", 60)])
def test_sudokus_are_solved_as_in_python(script: Script, models: list[str], part: Any, count: int) -> None:
    question = load_puzzles(NINE, "embedded", part).question[:count]
    found = solve(script, models, [sent(NINE, one) for one in question], steps=6)
    assert check_steps(found, python_steps(NINE, question, "sudoku", steps=6)) > 4 * count
    assert sum(one["answer"]["solved"] for one in found) > count // 10


def test_mazes_are_solved_as_in_python(script: Script, models: list[str]) -> None:
    question = load_puzzles(Maze(), "embedded", "validation").question[:40]
    found = solve(script, models, [sent(Maze(), one) for one in question], steps=8)
    assert check_steps(found, python_steps(Maze(), question, "maze", steps=8)) > 200


def test_a_smaller_maze_has_walls_around(script: Script, models: list[str]) -> None:
    """It is solved on the board of the model as a maze of that size with walls around it."""
    question = generate("hard", 4, 1, 12, 9).question
    padded = np.full((4, 30, 30), WALL, np.uint8)
    padded[:, :12, :9] = question.reshape(4, 12, 9)
    found = solve(script, models, [sent(Maze(12, 9), one) for one in question], steps=40)
    truth = python_steps(Maze(), padded.reshape(4, -1), "maze", steps=40)
    for one, steps in zip(found, truth, strict=True):
        assert one["answer"]["solved"]
        assert len(one["steps"]) == len(steps)
        for ours, theirs in zip(one["steps"], steps, strict=True):
            assert ours["grid"] == [row[:9] for row in theirs["grid"][:12]]


def test_what_ends_the_work(script: Script, models: list[str]) -> None:
    """As in Python; and the answer is the most confident one, or the question if that is complete."""
    minimal, ends = load_puzzles(NINE, "embedded", "minimal"), ("end", "halt", "sure")
    question = np.concatenate([NINE.read(EASY).question, minimal.question[:2]])
    puzzles = [sent(NINE, one, until=until) for until in ends for one in question]
    *found, complete = solve(script, models, [*puzzles, sent(NINE, minimal.answer[0])], steps=5)
    truth = [steps for end in ends for steps in python_steps(NINE, question, "sudoku", steps=5, until=end, sure=0.7)]
    assert check_steps(found, truth) < 5 * len(puzzles)
    for one, steps in zip(found, truth, strict=True):
        best = max(steps, key=lambda step: step["confidence"])
        assert one["answer"]["grid"] == best["grid"]
        assert one["answer"]["confidence"] == pytest.approx(best["confidence"], rel=1e-2, abs=1e-6)
    assert complete["answer"]["text"] == NINE.draw(minimal.answer[0])
    assert (complete["answer"]["solved"], complete["answer"]["steps"]) == (True, 1)


def test_restarts_solve_what_one_start_does_not(script: Script, models: list[str]) -> None:
    question = load_puzzles(NINE, "embedded", "minimal").question[:5]
    how = {"steps": 5, "restarts": 8, "guesses": 2}
    found = solve(script, models, [sent(NINE, one, **how) for one in question])
    for one in found:
        assert one["answer"]["starts"] == one["steps"][-1]["start"] + 1
        assert one["answer"]["steps"] == len(one["steps"])
        assert one["answer"]["solved"] == one["steps"][-1]["valid"] == (not one["answer"]["faults"])
    assert any(one["answer"]["solved"] and one["answer"]["starts"] > 1 for one in found)


def test_starts_depend_on_the_seed_and_end_in_time(script: Script, models: list[str]) -> None:
    question = load_puzzles(NINE, "embedded", "minimal").question[0]
    hows: list[dict[str, Any]] = [{"seed": 0}, {"seed": 0}, {"seed": 1}, {"guesses": 0}, {"seconds": 1e-6}]
    puzzles = [sent(NINE, question, **how) for how in hows]
    first, again, other, noise, late = solve(script, models, puzzles, steps=2, restarts=1, guesses=2, until="end")
    assert first == again
    assert [step["start"] for step in first["steps"]] == [0, 0, 1, 1]
    assert late["steps"] == first["steps"][:1]  # the time is up after a step
    for one in (other, noise):
        assert one["steps"][:2] == first["steps"][:2]
        assert one["steps"][2]["candidates"] != first["steps"][2]["candidates"]
    assert noise["steps"][2]["candidates"] != noise["steps"][0]["candidates"]


def test_there_is_no_model_for_a_size(script: Script, models: list[str]) -> None:
    why = solve(script, models, [{"task": "sudoku", "puzzle": [[0] * 16] * 16}])
    assert str(why) == "this page has no model for a sudoku of 16x16 cells"
