"""The Sudokus that ship: one solution each, no two alike, none to be reported among those to train on."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from trm.errors import BadInput
from trm.tasks.base import Puzzles
from trm.tasks.sudoku.search import SudokuSearch, count_solutions
from trm.tasks.sudoku.sets import (
    EMBEDDED,
    EXTREME,
    embedded,
    fingerprint,
    generate,
    quantiles,
    ratings,
)
from trm.tasks.sudoku.task import SIZES, Sudoku
from trm.tasks.text import read_file

TASKS = list(SIZES.values())
NINE = Sudoku()
SHARED = Path(__file__).parents[3] / "shared" / "data" / "sudoku_extreme"
# The first puzzle of Project Euler, and one that is known to need guesses.
EASY = "..3.2.6..9..3.5..1..18.64....81.29..7.......8..67.82....26.95..8..2.3..9..5.1.3.."
HARD = "8..........36......7..9.2...5...7.......457.....1...3...1....68..85...1..9....4.."


def compiled_solver() -> SudokuSearch:
    pytest.importorskip("numba")
    return SudokuSearch(NINE, compiled=True)


def test_the_embedded_sets_have_one_solution_each_and_are_minimal() -> None:
    solver, rng = compiled_solver(), np.random.default_rng(0)
    for name in EMBEDDED:
        puzzles, rating = embedded(name), ratings(name)
        assert puzzles.question.shape == (1000, 81)
        assert puzzles.question.dtype == puzzles.answer.dtype == np.uint8
        assert rating.shape == (1000,)
        assert rating.dtype == np.int32
        assert NINE.valid(puzzles.question, puzzles.answer).all()
        for row in range(1000):
            assert solver.count(solver.bits(puzzles.question[row]))[0] == 1
        for row in rng.permutation(1000)[:40].tolist():
            bits = solver.bits(puzzles.question[row])
            assert solver.rating(bits) == rating[row]
            for cell in np.flatnonzero(bits):
                bit, bits[cell] = bits[cell], 0
                assert solver.count(bits)[0] == 2
                bits[cell] = bit
    with pytest.raises(BadInput, match="no embedded set 'test'"):
        embedded("test")


def test_the_small_sets_are_hard_and_nothing_else_than_the_generator_makes() -> None:
    six, seen = Sudoku(2, 3), list[int]()
    plain = SudokuSearch(six, compiled=False)
    for name in ("train", "validation"):
        puzzles, rating = embedded(name, six), ratings(name, six)
        assert (puzzles.question.shape, rating.shape, int(rating.min())) == ((1000, 36), (1000,), 1)
        assert six.valid(puzzles.question, puzzles.answer).all()
        seen += fingerprint(six, puzzles.question, puzzles.answer).tolist()
        for row in range(0, 1000, 25):
            count, solution, _ = count_solutions(puzzles.question[row], six)
            assert (count, plain.rating(plain.bits(puzzles.question[row]))) == (1, rating[row])
            assert solution is not None
            assert solution.tolist() == puzzles.answer[row].tolist()
    assert len(set(seen)) == 2000  # no puzzle is another's image, in either set
    again, rating = generate("hard", 4, 1, six, compiled=False)
    assert (again.question == embedded("train", six).question[:4]).all()
    with pytest.raises(BadInput, match="no embedded set 'minimal' of sudoku-6x6; there are: train, validation"):
        embedded("minimal", six)


def marks_of(puzzles: Puzzles) -> tuple[set[int], set[int]]:
    """Fingerprints of the questions and of the answers."""
    return (
        set(fingerprint(NINE, puzzles.question, puzzles.answer).tolist()),
        set(fingerprint(NINE, puzzles.answer, puzzles.answer).tolist()),
    )


def test_no_two_embedded_puzzles_or_solutions_are_equivalent() -> None:
    marks = [marks_of(embedded(name)) for name in EMBEDDED]
    for part in (0, 1):
        assert len(set().union(*(pair[part] for pair in marks))) == 3000


@pytest.mark.skipif(not SHARED.exists(), reason="the shared benchmark rows are not here")
def test_rows_to_report_are_not_among_those_to_train_on() -> None:
    """By fingerprints: no symmetry turns a puzzle of ours, or a genuine training row, into a validation row."""
    train, validation = (marks_of(NINE.read(read_file(SHARED / f"{name}.csv")))[0] for name in ("train", "validation"))
    assert (len(train), len(validation)) == (1000, 1000)
    assert not train & validation
    for name in EMBEDDED:
        assert not marks_of(embedded(name))[0] & (train | validation)


@pytest.mark.parametrize("name", ["train", "validation"])
def test_the_extreme_sets_are_as_hard_as_the_benchmark(name: str) -> None:
    table = dict(EXTREME)
    for share in (0.1, 0.25, 0.5, 0.75, 0.9, 0.95):
        ours = quantiles(ratings(name), (100 * share,))[0]
        # Single digits are coarse in the logarithm: 4 and 5 are 0.18 apart.
        assert abs(math.log1p(ours) - math.log1p(table[share])) < (0.3 if share < 0.3 else 0.15)
    assert 0.05 < float((ratings(name) == 0).mean()) < 0.15


@pytest.mark.skipif(not SHARED.exists(), reason="the shared benchmark rows are not here")
def test_the_table_is_that_of_the_benchmark() -> None:
    solver = compiled_solver()
    questions = NINE.read(read_file(SHARED / "train.csv")).question[:250]
    theirs = [solver.rating(solver.bits(question)) for question in questions]
    table = dict(EXTREME)
    for share in (0.1, 0.5, 0.75, 0.9):
        assert abs(math.log1p(quantiles(theirs, (100 * share,))[0]) - math.log1p(table[share])) < 0.25
