"""`trm.Solver` with its backends: torch, an exported file, or the file first and torch for what that does not solve."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import trm
from trm import store
from trm.errors import BadInput
from trm.inference import backends, onnx
from trm.inference.answers import Answer
from trm.inference.loop import Thinking, search
from trm.inference.onnx import OnnxBackend
from trm.models.trm import TRM
from trm.tasks import load_puzzles
from trm.tasks.base import Spec
from trm.tasks.sudoku.task import Sudoku

NINE = Sudoku()
EASY = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
HARD = [NINE.to_line(row) for row in load_puzzles(NINE, "embedded", "validation").question[[1, 2, 9, 12, 5, 3]]]
# Not solved by sudoku-mini in 4 starts of 8 steps, and at the second.
SEARCHED = [NINE.to_line(row) for row in load_puzzles(NINE, "embedded", "validation").question[[0, 6]]]
MINI: dict[str, Any] = {"weights": "sudoku-mini", "steps": 4, "restarts": 2, "noise": 0.5, "guesses": 2}


def same(first: Answer, second: Answer) -> None:
    """The same answer after the same steps, to rounding in the confidence."""
    assert first.tokens.tolist() == second.tokens.tolist()
    for name in ("valid", "solved", "steps", "starts"):
        assert getattr(first, name) == getattr(second, name), name
    assert first.confidence == pytest.approx(second.confidence, abs=1e-4)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many puzzles each backend has done a step of."""
    seen = {"torch": 0, "onnx": 0}
    forward, step = TRM.forward, OnnxBackend.step

    def counted_forward(self: TRM, state: Any, question: torch.Tensor, ids: Any = None) -> Any:
        seen["torch"] += len(question)
        return forward(self, state, question, ids)

    def counted_step(self: OnnxBackend, state: Any, question: Any, ids: Any) -> Any:
        seen["onnx"] += len(question)
        return step(self, state, question, ids)

    monkeypatch.setattr(TRM, "forward", counted_forward)
    monkeypatch.setattr(OnnxBackend, "step", counted_step)
    return seen


def test_onnx_makes_one_start_by_the_file_alone(calls: dict[str, int]) -> None:
    solver = trm.Solver("sudoku", backend="onnx", threads=1)
    assert (solver.thinking.steps, solver.thinking.restarts) == (24, 0)
    answers = solver.solve_many([EASY, *HARD], steps=9)
    raw = search(
        OnnxBackend(onnx.load("sudoku", 1)),
        NINE,
        np.concatenate([NINE.read(line).question for line in [EASY, *HARD]]),
        Thinking(9),
    )
    for answer, expected in zip(answers, raw, strict=True):
        assert answer.tokens.tolist() == expected.tokens.tolist()
        assert (answer.valid, answer.steps, answer.starts) == (expected.valid, expected.steps, 1)
        assert answer.confidence == expected.confidence
    assert {answer.solved for answer in answers} == {True, False}
    assert calls["torch"] == 0
    by_torch = trm.Solver("sudoku", restarts=0)
    for line, answer in zip([EASY, *HARD[:2]], answers, strict=False):
        truth = by_torch.solve(line, steps=9)
        same(answer, truth)
        for step, expected_step in zip(answer.trace, truth.trace, strict=True):
            np.testing.assert_array_equal(step.tokens, expected_step.tokens)
            np.testing.assert_allclose(step.cells, expected_step.cells, atol=1e-4)
            for name in ("moved_y", "moved_z", "confidence"):
                assert getattr(step, name) == pytest.approx(getattr(expected_step, name), abs=1e-4), name
    again = pickle.loads(pickle.dumps(answers[1]))
    assert [step.tokens.tolist() for step in again.trace] == [step.tokens.tolist() for step in answers[1].trace]


@pytest.mark.parametrize("given", ["restarts", "noise", "guesses", "seed"])
def test_onnx_has_no_further_starts(given: str) -> None:
    with pytest.raises(BadInput, match=f"one start a puzzle: leave out {given}, or choose torch"):
        trm.Solver("sudoku", backend="onnx", **{given: 1})  # type: ignore[arg-type]
    solver = trm.Solver("sudoku", backend="onnx", **{given: 0})  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="one start a puzzle"):
        solver.solve(EASY, **{given: 2})
    with pytest.raises(BadInput, match="has no torch model"):
        _ = solver.stored


def test_what_a_backend_cannot_do(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="backend must be one of torch, onnx, auto, not 'jax'"):
        trm.Solver("sudoku", backend="jax")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=r"none\.onnx: no such file"):
        trm.Solver("sudoku", "none.onnx", backend="onnx")
    for weights in (store.load("sudoku-mini"), None):
        with pytest.raises(BadInput, match=r"onnx backend is for exported files|no weights for custom"):
            trm.Solver("sudoku" if weights else "custom", weights, backend="onnx")
    with pytest.raises(BadInput, match="no model 'nowhere'"):
        trm.Solver("sudoku", "nowhere", backend="auto")
    with pytest.raises(BadInput, match="was exported for sudoku of 9x9 cells, not for sudoku-4x4"):
        trm.Solver("sudoku", backend="onnx").watch("." * 16)  # at once


@pytest.fixture
def auto() -> trm.Solver:
    solver = trm.Solver("sudoku", backend="auto", **MINI)
    assert solver._backends.sizes is None
    return solver


def test_auto_needs_no_torch_for_what_the_file_solves(auto: trm.Solver, calls: dict[str, int]) -> None:
    answer = auto.solve(EASY, steps=16)
    assert answer.solved
    assert (calls["torch"], calls["onnx"]) == (0, answer.steps)
    assert auto._backends.sizes is None


def test_auto_goes_on_in_torch_from_the_next_start(auto: trm.Solver, calls: dict[str, int]) -> None:
    """Where the file does not solve a puzzle, the steps of its start are not computed again."""
    lines: list[str] = [EASY, *SEARCHED]
    how: dict[str, Any] = {"steps": 8, "restarts": 3}
    answers = auto.solve_many(lines, **how)
    easy, unsolved, restarted = answers
    assert (easy.solved, easy.starts) == (True, 1)
    assert (unsolved.solved, unsolved.steps, unsolved.starts) == (False, 32, 4)
    assert (restarted.solved, restarted.starts) == (True, 2)
    assert calls == {"onnx": easy.steps + 16, "torch": 24 + restarted.steps - 8}
    for answer, expected in zip(answers, trm.Solver("sudoku", **MINI).solve_many(lines, **how), strict=True):
        same(answer, expected)  # the guesses are drawn from the same belief, to rounding
    calls.update(onnx=0, torch=0)
    steps = [(step.number, step.start) for step in unsolved.trace]  # by the same backends once more
    assert steps == [(at + 1, at // 8) for at in range(32)]
    assert calls == {"onnx": 8, "torch": 24}
    kept = auto.solve_many(lines, trace=True, **how)
    calls.update(onnx=0, torch=0)
    assert [len(answer.trace) for answer in kept] == [easy.steps, 32, restarted.steps]
    assert [step.tokens.tolist() for step in kept[1].trace] == [step.tokens.tolist() for step in unsolved.trace]
    assert calls == {"onnx": 0, "torch": 0}


def test_watching_auto(auto: trm.Solver, calls: dict[str, int]) -> None:
    steps = list(auto.watch(HARD[1]))
    assert [(step.number, step.start) for step in steps] == [(at + 1, at // 4) for at in range(12)]
    assert [step.answer is None for step in steps] == [True] * 11 + [False]
    assert (calls["onnx"], calls["torch"]) == (4, 8)


def test_without_restarts_the_attempt_of_the_file_stands(auto: trm.Solver, calls: dict[str, int]) -> None:
    answer = auto.solve(HARD[1], restarts=0)
    assert (answer.solved, answer.steps, answer.starts, calls["torch"]) == (False, 4, 1, 0)


@pytest.mark.parametrize("case", ["many", "seconds", "size", "folder"])
def test_where_auto_is_torch(case: str, calls: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes: dict[str, Any] = {"seconds": 60.0} if case == "seconds" else {}
    lines = {"many": [EASY] * (backends.FEW + 1), "size": ["12..341.2143432."]}.get(case, [EASY])
    if case == "folder":
        monkeypatch.chdir(tmp_path)
        (tmp_path / "sudoku-mini").symlink_to(store.SHIPPED / "sudoku-mini")
    solver = trm.Solver("sudoku", backend="auto", **MINI)
    answers = solver.solve_many(lines, restarts=0, **changes)
    assert calls["onnx"] == 0
    for answer, expected in zip(
        answers, trm.Solver("sudoku", **MINI).solve_many(lines, restarts=0, **changes), strict=True
    ):
        assert answer.tokens.tolist() == expected.tokens.tolist()
        assert (answer.confidence, answer.steps) == (expected.confidence, expected.steps)


def test_tokens_that_have_been_read_are_solved_as_text_is() -> None:
    solver = trm.Solver("sudoku", restarts=0)
    question = np.concatenate([NINE.read(line).question for line in HARD[:3]])
    for one, other in zip(
        solver.solve_tokens(NINE, question, steps=5), solver.solve_many(HARD[:3], steps=5), strict=True
    ):
        assert one.tokens.tolist() == other.tokens.tolist()
        assert (one.confidence, one.steps) == (other.confidence, other.steps)


def test_a_resized_model_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Spec] = []
    resize = store.resize

    def noted(stored: store.Stored, spec: Spec) -> store.Stored:
        made.append(spec)
        return resize(stored, spec)

    monkeypatch.setattr(store, "resize", noted)
    solver = trm.Solver("sudoku", "sudoku-mini", steps=1, restarts=0)
    for _ in range(2):
        solver.solve_many(["." * 16, "." * 81, "." * 36])
    assert [spec.name for spec in made] == ["sudoku-4x4", "sudoku-6x6"]
