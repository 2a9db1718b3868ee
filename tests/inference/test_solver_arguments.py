"""`trm.Solver`: which arguments and arrays it takes, and sending it to other processes."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import trm
from trm.errors import BadInput
from trm.inference.backends import BackendName
from trm.tasks.sudoku.task import SIZES, Sudoku

EASY = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
HARD = "4.....8.5.3..........7......2.....6.....8.4......1.......6.3.7.5..2.....1.4......"
FLAT = [int(sign.replace(".", "0")) for sign in EASY]


@pytest.fixture(scope="module")
def solver() -> trm.Solver:
    return trm.Solver("sudoku", restarts=0, steps=4)


# Processes


@pytest.mark.parametrize("backend", ["torch", "onnx", "auto"])
def test_a_solver_in_another_process(backend: str) -> None:
    """Answers, steps and confidences are equal, and a trace comes with the answer."""
    more: dict[str, Any] = {} if backend == "onnx" else {"seed": 3, "restarts": 2}
    solver = trm.Solver("sudoku", backend=cast(BackendName, backend), steps=9, threads=1, **more)
    solver.solve(EASY)  # a solver that has been used
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        theirs = list(pool.map(solver.solve, [EASY, HARD]))
        many = pool.submit(solver.solve_many, [EASY, HARD]).result()
    for here, there, of_many in zip(map(solver.solve, (EASY, HARD)), theirs, many, strict=True):
        assert (there.text, there.steps, there.starts, there.solved) == (
            here.text,
            here.steps,
            here.starts,
            here.solved,
        )
        assert there.confidence == here.confidence
        assert of_many.text == here.text
        assert [step.text for step in there.trace] == [step.text for step in here.trace]


def test_a_pickled_solver_keeps_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trm.load("sudoku-mini")  # a folder of weights that is named from where it is
    folder = Path(trm.__file__).parent / "weights" / "sudoku-mini"
    monkeypatch.chdir(folder.parent)
    solver = trm.Solver("sudoku", "sudoku-mini", batch=3, noise=0.25, until="sure", sure=0.5)
    solver.batch = 5
    monkeypatch.chdir(tmp_path)
    for again in (pickle.loads(pickle.dumps(solver)), copy.deepcopy(solver), copy.copy(solver)):
        assert (again.thinking, again.batch, again.backend, again.task) == (solver.thinking, 5, "torch", "sudoku")
        assert again.solve(EASY, until="valid").text == solver.solve(EASY, until="valid").text
    relative = trm.Solver("sudoku", os.path.relpath(folder))
    monkeypatch.chdir(folder)
    assert pickle.loads(pickle.dumps(relative)).stored.name == "sudoku-mini"


def test_a_solver_of_a_loaded_model_says_that_it_cannot_be_pickled() -> None:
    with pytest.raises(BadInput, match=r"a loaded model \('sudoku-mini'\) cannot be pickled: make it with the name"):
        pickle.dumps(trm.Solver("sudoku", trm.load("sudoku-mini")))


# Arguments


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("steps", [1.5, True, np.True_, "3", [3], float("inf"), float("nan"), 0, -1, 10**30, 10**5000, 1e300, 1j]),
        ("restarts", [0.5, False, -1, 10**30, float("nan")]),
        ("guesses", [0.5, True, -1, 10**30]),
        ("seed", [1.5, True, -1, 2**63, "0", float("inf")]),
        ("noise", [-1, float("inf"), float("nan"), 1e300, 10**400, "1", True]),
        ("seconds", [0, -1, float("inf"), float("nan"), 1e300, 10**400, "1", True]),
        ("sure", [0, 1.5, -1, float("nan"), "1", True]),
        ("until", ["soon", 1, True]),
        ("threads", [-1, 100_000, 1.5, True, 10**30]),
        ("batch", [0, -1, 1.5, True, 10**30, None]),
    ],
)
def test_values_that_make_no_sense(solver: trm.Solver, name: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(BadInput, match=rf"^{name} must be [^\n]{{1,150}}$"):
            trm.Solver("sudoku", **{name: value})
        if name not in ("threads", "batch"):
            with pytest.raises(BadInput, match=f"^{name} must be "):
                solver.solve(EASY, **{name: value})


def test_numbers_of_numpy_and_whole_floats() -> None:
    kinds: list[Any] = [np.int8(7), np.uint64(7), np.float32(7), 7.0, np.array(7)[()]]
    for kind in kinds:
        made = trm.Solver("sudoku", steps=kind, seed=kind, batch=kind, seconds=kind, noise=kind)
        assert (made.thinking.steps, made.thinking.seed, made.thinking.seconds, made.thinking.noise) == (7, 7, 7.0, 7.0)
        assert [type(one) for one in (made.thinking.steps, made.thinking.seed, made.batch)] == [int] * 3
        assert type(made.thinking.seconds) is type(made.thinking.noise) is float


def test_arguments_that_are_not_there(solver: trm.Solver) -> None:
    """The name is said, with the one that was probably meant; it is a TypeError, as Python's own."""
    for kind in (BadInput, TypeError):
        with pytest.raises(kind, match=r"no argument 'stepz' \(did you mean steps\?\)"):
            trm.Solver("sudoku", stepz=3)
        for call in (solver.solve, solver.watch, solver.solve_many):
            with pytest.raises(kind, match=r"no argument 'restart' \(did you mean restarts\?\)"):
                call(EASY, restart=1)
    with pytest.raises(BadInput, match=r"no argument 'thread' \(did you mean threads\?\)"):
        trm.Solver("sudoku", thread=3)


@pytest.mark.parametrize("task", ["chess", "", "Sudoku", "sudoku-5x5", 5, None, ["sudoku"]])
def test_tasks_that_are_not_there(task: Any) -> None:
    with pytest.raises(BadInput) as caught:
        trm.Solver(task)
    message = str(caught.value)
    assert (message.count("\n"), "task" in message) == (0, True)
    if isinstance(task, str):
        assert [one.spec.name for one in SIZES.values() if one.spec.name not in message] == []


def test_weights_that_are_none() -> None:
    for weights, words in ((5, "not 5"), ("", "weights is empty"), (["sudoku"], "not \\['sudoku'\\]")):
        with pytest.raises(BadInput, match=words):
            trm.Solver("sudoku", cast(Any, weights))


# Arrays


def test_flat_boards_and_whole_floats(solver: trm.Solver) -> None:
    answer = solver.solve(EASY)
    flat = np.array(FLAT)
    ways: list[Any] = [FLAT, tuple(FLAT), flat, flat.astype(np.uint8), flat.astype(np.float32), list(map(float, FLAT))]
    ways += [flat.reshape(9, 9).astype(float), list(EASY), np.array(list(EASY)), answer.grid * (flat > 0).reshape(9, 9)]
    for way in ways:
        np.testing.assert_array_equal(solver.solve(way).grid, answer.grid)
    for found in solver.solve_many(np.stack([flat, flat])):
        np.testing.assert_array_equal(found.grid, answer.grid)


@pytest.mark.parametrize("size", [4, 6, 9, 16])
def test_flat_boards_of_every_size(solver: trm.Solver, size: int) -> None:
    """A board with one digit, at a place that tells rows from columns."""
    digits = np.zeros((size, size), int)
    digits[1, 2] = size
    for given in (digits.reshape(-1), digits.reshape(-1).tolist(), digits.astype(float)):
        answer = solver.solve(given, steps=1)
        assert answer.grid.shape == (size, size)
        np.testing.assert_array_equal(Sudoku.to_grid(cast(Sudoku, answer.task), answer.question), digits)


@pytest.mark.parametrize(
    ("puzzle", "words"),
    [
        ([5.5, *FLAT[1:]], "cell 1 of the puzzle is 5.5"),
        (np.array(FLAT).reshape(9, 9) + np.eye(9) / 2, "row 1, column 1 of the puzzle is 5.5"),
        ([float("nan")] * 81, "nan"),
        ([float("inf")] * 81, "inf"),
        ([1e300] * 81, "1e+300"),
        ([True] * 81, "not bool of shape (81,)"),
        (FLAT[:-1], "not int64 of shape (80,)"),
        ([-1.0] * 81, "r1c1 is -1, not a digit"),
        ([300] * 81, "r1c1 is 300, not a digit"),
        ([None] * 81, "not object of shape (81,)"),
        (np.zeros((1, 9, 9)), "of shape (1, 9, 9)"),
        (np.zeros(0), "no puzzle found"),
        ([[]], "no puzzle found"),
        (5, "of type int"),
        ("examples/three-sudokus.txt", "is taken for a puzzle; of a file give what is in it"),
        ("pairs.NPZ", "is taken for a puzzle; of a file give what is in it"),
        (Path("x.txt"), "PosixPath" if os.name == "posix" else "WindowsPath"),
        (EASY.encode(), "of type bytes"),
        ({1: 2}, "of type dict"),
        ((sign for sign in EASY), "of type generator"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_arrays_that_are_no_puzzle(solver: trm.Solver, puzzle: Any, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        solver.watch(puzzle)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_flat_mazes_are_refused() -> None:
    """Several shapes have so many cells."""
    with pytest.raises(BadInput, match="not int64 of shape"):
        trm.Solver("maze").watch([1] * 900)
