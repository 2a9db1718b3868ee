"""`trm.Solver`: what it reads, what comes of it, and that company, threads and batches change nothing."""

from __future__ import annotations

import itertools
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

import trm
from trm import store
from trm.errors import BadInput
from trm.inference.answers import Answer
from trm.models import ModelConfig, build
from trm.models.kernels import build as kernels
from trm.tasks import find_family, load_puzzles
from trm.tasks.maze.task import Maze
from trm.tasks.sudoku.search import count_solutions
from trm.tasks.sudoku.task import Sudoku

NINE = Sudoku()
EASY = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
HARD = load_puzzles(NINE, "embedded", "validation").question[[1, 2, 9, 12, 5, 3]]  # some are solved, in 6 to 13 steps
FOUR = ["1...............", "12..341.2143432.", "..4..3.1.......2", ".............4.."]
IMPOSSIBLE = "123............4"  # r1c4 has to be 4 and cannot
ONE_START: dict[str, Any] = {"steps": 64, "restarts": 0, "guesses": 0}


@pytest.fixture(scope="module")
def solver() -> trm.Solver:
    return trm.Solver("sudoku", **ONE_START)


def same(first: Answer, second: Answer) -> None:
    """The same answer after the same steps, to rounding in the confidence."""
    np.testing.assert_array_equal(first.grid, second.grid)
    for name in ("valid", "solved", "steps", "starts"):
        assert getattr(first, name) == getattr(second, name), name
    assert first.confidence == pytest.approx(second.confidence, abs=1e-5)


def test_three_lines(solver: trm.Solver) -> None:
    answer = solver.solve(EASY)
    _, solution, _ = count_solutions(NINE.read(EASY).question[0], NINE)
    assert solution is not None
    assert "".join(map(str, answer.grid.reshape(-1))) == NINE.to_line(solution)
    assert (answer.grid.shape, answer.valid, answer.solved, answer.starts) == ((9, 9), True, True, 1)
    assert answer.text == str(answer) == NINE.draw(solution)
    assert answer.steps == len(answer.trace) > 0
    assert 0.5 < answer.confidence < 1


def test_every_way_to_write_a_puzzle(solver: trm.Solver) -> None:
    answer = solver.solve(EASY)
    digits = [[int(sign.replace(".", "0")) for sign in EASY[at : at + 9]] for at in range(0, 81, 9)]
    lines = [EASY[at : at + 9] for at in range(0, 81, 9)]
    ways: list[Any] = [digits, np.array(digits, np.uint8), np.array(digits), lines, [list(line) for line in lines]]
    ways += [NINE.draw(NINE.read(EASY).question[0]), "\n".join(lines), f"question\n{EASY}"]
    for way in ways:
        same(solver.solve(way), answer)
    for found in solver.solve_many(ways):
        same(found, answer)
    np.testing.assert_array_equal(solver.solve(answer.grid).grid, answer.grid)
    np.testing.assert_array_equal(NINE.from_grid(NINE.to_grid(HARD[0])), HARD[0])


@pytest.mark.parametrize(
    ("puzzle", "words"),
    [
        ("12", "puzzle 1 (line 1): 2 cells instead of 81"),
        ("", "no puzzle found"),
        (f"{EASY}\n{EASY}", "there are 2 puzzles in this text; give them to solve_many"),
        ([[1, 1, 0, 0]] + [[0] * 4] * 3, "two 1s in row 1: r1c1 and r1c2"),
        ([[0, 0, 0, 5]] + [[0] * 4] * 3, "r1c4 is 5, not a digit (1-4) or 0 for a blank"),
        (np.full((9, 9), -1), "r1c1 is -1, not a digit (1-9)"),
        ([[0] * 8] * 8, "4, 6, 9 or 16 rows and columns, not the shape (8, 8)"),
        ([[0] * 3] * 27, "expected a grid of 9x9 digits, not one of shape (27, 3)"),
        ([[0] * 9] * 8 + [[0] * 8], "different lengths"),
        (np.zeros((9, 9), bool), "rows of whole numbers (0: blank), not bool of shape (9, 9)"),
        ([0] * 80, "not int64 of shape (80,)"),
        (None, "not an object of type NoneType"),
        ([], "no puzzle found"),
    ],
)
def test_bad_puzzles(solver: trm.Solver, puzzle: Any, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        solver.watch(puzzle)  # at once, not at the first step
    assert words in str(caught.value)
    if not isinstance(puzzle, str):
        with pytest.raises(BadInput, match=r"^puzzles\[1\]: "):
            solver.solve_many([EASY, puzzle])


def model_steps(stored: store.Stored, question: np.ndarray[Any, Any]) -> Iterator[dict[str, Any]]:
    """Every number of a trace, from the model itself."""
    state = stored.model.start(1)
    while True:
        before = state
        with torch.inference_mode():
            output = stored.model(state, torch.from_numpy(question[None]))
        state = output.state
        odds = np.exp(output.logits[0].numpy().astype(np.float64))
        cells = odds.max(1) / odds.sum(1)
        yield {
            "halt": float(output.halt[0]),
            "tokens": odds.argmax(1) + 2,
            "cells": cells.reshape(9, 9),
            "probabilities": (odds / odds.sum(1, keepdims=True)).reshape(9, 9, 9),
            "memory": [
                np.sqrt(np.mean(np.square(moved), dtype=np.float64)) for moved in (state.z - before.z)[0].numpy()
            ],
            "confidence": cells.min() / (1 + np.exp(-float(output.halt[0]))),
            "moved_y": np.sqrt(np.mean((state.y - before.y).numpy().astype(np.float64) ** 2)),
            "moved_z": np.sqrt(np.mean((state.z - before.z).numpy().astype(np.float64) ** 2)),
        }


@pytest.mark.parametrize("together", [False, True])  # kept, or thought through once more
def test_a_trace_is_what_the_model_did(solver: trm.Solver, together: bool) -> None:
    rows = HARD[[1, 3]]
    lines = [NINE.to_line(row) for row in rows]
    answers = solver.solve_many(lines, steps=7) if together else [solver.solve(line, steps=7) for line in lines]
    for row, answer in zip(rows, answers, strict=True):
        assert len(answer.trace) == answer.steps
        for number, (step, truth) in enumerate(zip(answer.trace, model_steps(solver.stored, row), strict=False), 1):
            assert (step.number, step.start, step.answer) == (number, 0, None)
            assert (
                step.valid == NINE.valid(row[None], step.tokens[None])[0] == (number == answer.steps and answer.valid)
            )
            np.testing.assert_array_equal(step.tokens, truth["tokens"])
            np.testing.assert_array_equal(step.grid, (truth["tokens"] - 1).reshape(9, 9))
            np.testing.assert_allclose(step.memory.reshape(-1), truth["memory"], rtol=1e-4)
            for name in ("cells", "probabilities", "confidence", "moved_y", "moved_z"):
                np.testing.assert_allclose(getattr(step, name), truth[name], rtol=1e-4, atol=1e-6, err_msg=name)
        best = answer.trace[-1] if answer.valid else max(answer.trace, key=lambda step: step.confidence)
        np.testing.assert_array_equal(answer.tokens, best.tokens)
        assert answer.confidence == pytest.approx(best.confidence, abs=1e-5)
    assert {answer.solved for answer in answers} == {True, False}


def test_a_trace_with_restarts_agrees_with_its_answer(solver: trm.Solver) -> None:
    how: dict[str, Any] = {"steps": 3, "restarts": 2, "noise": 0.5, "seed": 4}
    lines = [NINE.to_line(row) for row in HARD[:2]]
    for alone, among in zip(
        [solver.solve(line, **how) for line in lines], solver.solve_many(lines, **how), strict=True
    ):
        same(alone, among)
        for first, second in zip(alone.trace, among.trace, strict=True):
            assert (first.number, first.start) == (second.number, second.start)
            np.testing.assert_array_equal(first.tokens, second.tokens)
            np.testing.assert_allclose(first.cells, second.cells, atol=1e-5)
    starts = [step.start for step in alone.trace]
    assert starts == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_watching(solver: trm.Solver) -> None:
    for puzzle in (EASY, NINE.to_line(HARD[1])):
        *steps, last = solver.watch(puzzle, steps=4)
        assert all(step.answer is None for step in steps)
        assert last.answer is not None
        same(last.answer, solver.solve(puzzle, steps=4))
        assert [step.number for step in last.answer.trace] == [step.number for step in (*steps, last)]
        assert np.array_equal(last.answer.trace[-1].tokens, last.tokens)
    with pytest.raises(AttributeError):
        last.number = 3  # type: ignore[misc]


def test_who_stops_watching_stops_the_thinking(solver: trm.Solver) -> None:
    calls = []
    hook = solver.stored.model.register_forward_hook(lambda *_: calls.append(1))
    try:
        steps = solver.watch(NINE.to_line(HARD[1]), until="end")
        assert len(calls) == 0
        next(steps)
        next(steps)
        assert len(calls) == 2
        assert torch.is_inference_mode_enabled() is False  # the watcher's own work is not in it
        steps.close()  # type: ignore[attr-defined]
        assert list(steps) == []
    finally:
        hook.remove()
    assert len(calls) == 2


HOW: dict[str, Any] = {"steps": 3, "restarts": 1, "noise": 0.5, "guesses": 2}
PUZZLES = [*(NINE.to_line(row) for row in HARD[:3]), EASY, *FOUR]


@pytest.fixture(scope="module")
def alone(solver: trm.Solver) -> list[Answer]:
    """The answers to `PUZZLES`, each solved on its own."""
    answers = [solver.solve(puzzle, **HOW) for puzzle in PUZZLES]
    assert {answer.solved for answer in answers} == {True, False}
    return answers


@pytest.mark.parametrize("batch", [3, 16])
def test_company_changes_nothing(solver: trm.Solver, alone: list[Answer], batch: int) -> None:
    order = np.random.default_rng(batch).permutation(len(PUZZLES)).tolist()
    other = trm.Solver("sudoku", weights=solver.stored, batch=batch, **HOW)
    for number, answer in zip(order, other.solve_many(PUZZLES[number] for number in order), strict=True):
        same(answer, alone[number])


@pytest.mark.skipif(not kernels.available(), reason="no C kernels here")
def test_the_state_does_not_depend_on_the_batch_at_all(solver: trm.Solver) -> None:
    model, question = solver.stored.model, torch.from_numpy(HARD)
    with torch.inference_mode():
        whole, part = model.start(6), model.start(2)
        for _ in range(3):
            whole, part = model(whole, question).state, model(part, question[3:5]).state
    assert torch.equal(whole.y[3:5], part.y)
    assert torch.equal(whole.z[3:5], part.z)


def test_many_threads_at_once(alone: list[Answer]) -> None:
    fresh = trm.Solver("sudoku", **HOW)  # so that the 4x4 model is made by several threads, too
    numbers = [*range(len(PUZZLES))] * 2
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda number: fresh.solve(PUZZLES[number]), numbers))
        many = list(pool.map(lambda _: fresh.solve_many(PUZZLES), range(2)))
        traces = list(pool.map(lambda answer: [step.tokens for step in answer.trace], found))
    for number, answer, trace in zip(numbers, found, traces, strict=True):
        same(answer, alone[number])
        np.testing.assert_array_equal(trace, [step.tokens for step in alone[number].trace])
    for answer, truth in zip(itertools.chain(*many), alone * 2, strict=True):
        same(answer, truth)


def test_the_seed_decides(solver: trm.Solver) -> None:
    def told(seed: int) -> list[list[int]]:
        how = {"steps": 1, "restarts": 3, "noise": 3.0, "seed": seed, "until": "end"}
        return [step.tokens.tolist() for step in solver.solve(FOUR[0], **how).trace]

    assert told(1) == told(1) != told(2)
    assert told(1)[0] == told(2)[0]  # the model's own start


def test_failure_is_told(solver: trm.Solver) -> None:
    answer = solver.solve(IMPOSSIBLE, steps=6)
    assert (answer.solved, answer.valid, answer.steps) == (False, False, 6)
    best = max(answer.trace, key=lambda step: step.confidence)
    assert answer.tokens.tolist() == best.tokens.tolist()
    assert answer.confidence == pytest.approx(best.confidence)
    assert answer.grid.shape == (4, 4)


def test_settings_of_one_call_stay_there(solver: trm.Solver) -> None:
    short = trm.Solver("sudoku", weights=solver.stored, **{**ONE_START, "steps": 2})
    assert short.solve(IMPOSSIBLE).steps == 2
    assert short.solve(IMPOSSIBLE, steps=3, restarts=1).steps == 6
    assert short.solve(IMPOSSIBLE).steps == 2
    assert short.solve(EASY, steps=5, until="end").steps == 5
    halts = (
        step["halt"] > solver.stored.model.halt_logit
        for step in model_steps(solver.stored, NINE.read(EASY).question[0])
    )
    assert solver.solve(EASY, until="halt", steps=9).steps == next(n for n, halt in enumerate(halts, 1) if halt)


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"restarts": -1}, {"noise": float("nan")}, {"seed": -1}, {"seconds": 0}, {"until": "soon"}]
)
def test_settings_that_make_no_sense(solver: trm.Solver, wrong: dict[str, Any]) -> None:
    for call in (lambda: trm.Solver("sudoku", **wrong), lambda: solver.solve(EASY, **wrong)):
        with pytest.raises(BadInput, match=f"^{next(iter(wrong))} must be "):
            call()
    with pytest.raises(TypeError, match="stepz"):
        solver.solve(EASY, stepz=3)


def test_a_time_limit(solver: trm.Solver, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count()
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    answers = solver.solve_many([IMPOSSIBLE, NINE.to_line(HARD[1]), IMPOSSIBLE], seconds=6, steps=1000)
    assert [answer.steps for answer in answers[::2]] == [5, 5]  # the first look at the clock was for all sizes
    assert 1 <= answers[1].steps <= 3
    with monkeypatch.context() as slower:  # thinking it through once more has no limit
        slower.setattr(time, "monotonic", lambda: 100.0 * next(clock))
        assert [len(answer.trace) for answer in answers] == [answer.steps for answer in answers]
    assert solver.solve(IMPOSSIBLE, seconds=4, steps=1000).steps == 4


def test_sizes(solver: trm.Solver) -> None:
    empty = [np.zeros((size, size), int) for size in (4, 6, 9, 16)]
    answers = solver.solve_many(empty, steps=1)
    assert [answer.grid.shape for answer in answers] == [(4, 4), (6, 6), (9, 9), (16, 16)]
    assert solver.solve_many([]) == []
    assert len(solver.solve_many("\n".join(FOUR), steps=1)) == 4
    spec = Sudoku(2, 2).spec
    config = ModelConfig(mixer="mlp", width=8, layers=1, multiple=8, T=1, n=1, positions="none")
    stored = store.Stored(build(config, spec).eval(), spec, "small")
    small = trm.Solver("sudoku", weights=stored, steps=2, restarts=0)
    assert small.solve(FOUR[0]).grid.shape == (4, 4)
    with pytest.raises(BadInput, match=r"^model 'small': tensor .* the configuration needs"):
        small.solve(EASY)


def maze_solver(**changes: Any) -> trm.Solver:
    spec = Maze(3, 3).spec
    sizes = {"mixer": "local", "width": 8, "layers": 1, "multiple": 8, "T": 1, "n": 1, "positions": "none", **changes}
    config = ModelConfig(**sizes)
    return trm.Solver("maze", weights=store.Stored(build(config, spec).eval(), spec, "maze"), steps=2)


def test_mazes() -> None:
    solver = maze_solver()
    mazes: list[Any] = ["S..\n.#.\n..G", ["S..", ".#.", "..G"], [["S", ".", "."], [".", "#", "."], [".", ".", "G"]]]
    for maze in mazes:
        answer = solver.solve(maze)
        assert (answer.grid.shape, answer.grid.dtype.kind) == ((3, 3), "U")
        assert "\n".join("".join(row) for row in answer.grid) == answer.text
    assert solver.solve("S..G\n....").grid.shape == (2, 4)
    with pytest.raises(BadInput, match="not numbers"):
        solver.solve(np.ones((3, 3), int))
    with pytest.raises(BadInput, match="there is no G"):
        solver.solve(["S..", "..."])


def test_a_longer_path_is_valid_and_not_solved() -> None:
    task = Maze(2, 3)
    question = task.read("S.G\n...").question[0]
    detour = np.array([3, 2, 4, 5, 5, 5], np.uint8)
    assert task.valid(question[None], detour[None])[0]
    assert not Answer(task, detour, question, True, 0.5, 1, 1, list).solved
    direct = np.array([3, 5, 4, 2, 2, 2], np.uint8)
    assert Answer(task, direct, question, True, 0.5, 1, 1, list).solved
    assert not Answer(task, question, question, False, 0.5, 1, 1, list).solved


def test_weights_that_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(find_family("maze")), "weights", None)
    with pytest.raises(BadInput, match="no weights for maze ship"):
        trm.Solver("maze")
    with pytest.raises(BadInput, match="was trained for sudoku, not for maze"):
        trm.Solver("maze", weights="sudoku-mini")
    with pytest.raises(BadInput, match="task 'chess' is unknown"):
        trm.Solver("chess")
    with pytest.raises(BadInput, match="no model 'nowhere'"):
        trm.Solver("sudoku", weights="nowhere")
    with pytest.raises(BadInput, match="an embedding for each puzzle"):
        maze_solver(mixer="mlp", puzzle_ids=3, puzzle_tokens=1, puzzle_width=8)


def test_answers_can_be_kept(solver: trm.Solver) -> None:
    for answer in (solver.solve(FOUR[0]), *solver.solve_many([FOUR[1]])):
        again = pickle.loads(pickle.dumps(answer))
        same(again, answer)
        assert len(again.trace) == answer.steps


def test_names_are_imported_when_they_are_used() -> None:
    code = (
        "import sys, trm; trm.plot.trace; assert trm.__version__; print('torch' in sys.modules, hasattr(trm, 'Solvr'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False False\n", "")
    assert trm.Solver.__module__ == "trm.inference.solver"


@pytest.mark.skipif(sys.platform != "linux", reason="GNU's OpenMP is torch's on Linux")
@pytest.mark.parametrize("own", [None, "77"])
def test_threads_that_wait_give_their_core_away(own: str | None) -> None:
    """Before torch is imported, which reads it, and unless the user says otherwise."""
    others = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    code = "import sys, trm; assert 'torch' not in sys.modules; import os; print(os.environ['GOMP_SPINCOUNT'])"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env=others | ({"GOMP_SPINCOUNT": own} if own else {}),
        check=True,
        capture_output=True,
        text=True,
    )
    assert found.stdout.split() == [own or "1000"]
