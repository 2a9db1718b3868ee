"""Variations of puzzles: other givens, one solution, about as hard, and no images of benchmark rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import Call

from trm.errors import BadInput
from trm.tasks.base import Puzzles
from trm.tasks.sudoku.search import SudokuSearch, count_solutions
from trm.tasks.sudoku.sets import embedded, fingerprint, read_sudokus
from trm.tasks.sudoku.task import BLANK, Sudoku
from trm.tasks.sudoku.vary import vary
from trm.tasks.text import read_file

NINE = Sudoku()
SHARED = Path(__file__).parents[3] / "shared" / "data" / "sudoku_extreme"


def some(name: str, rows: int) -> Puzzles:
    puzzles = embedded(name)
    return Puzzles(puzzles.question[:rows], puzzles.answer[:rows])


def test_variations_are_minimal_puzzles_of_one_solution_and_not_the_same_in_disguise() -> None:
    first = some("train", 6)
    puzzles, rating = vary(first, 27, seed=3, processes=1)
    assert (puzzles.question[:6] == first.question).all()
    assert (puzzles.answer[:6] == first.answer).all()
    solver = SudokuSearch(NINE, compiled=None)
    for question, answer, effort in zip(puzzles.question, puzzles.answer, rating.tolist(), strict=True):
        count, solution, _ = count_solutions(question, NINE, compiled=None)
        assert count == 1
        assert (solution == answer).all()
        assert solver.rating(solver.bits(question)) == effort
    for question in puzzles.question[6:12]:  # every given of a variation is needed
        for cell in np.flatnonzero(question != BLANK):
            opened = question.copy()
            opened[cell] = BLANK
            assert count_solutions(opened, NINE, compiled=None)[0] == 2
    assert len(set(fingerprint(NINE, puzzles.question, puzzles.answer).tolist())) == 27
    grids = fingerprint(NINE, puzzles.answer, puzzles.answer)
    assert len(set(grids.tolist())) > 6  # some solutions are new


def test_variations_are_about_as_hard() -> None:
    first = some("train", 12)
    _, rating = vary(first, 60, seed=0, processes=1)
    away = np.log1p(rating[12:]) - np.log1p(np.tile(rating[:12], 4))
    # A proposal is rated in 4 of 64 orders, so its true hardness may lie outside the bounds.
    assert abs(away.mean()) < 0.2
    assert np.abs(away).max() < 2


def test_the_seed_decides_and_processes_do_not() -> None:
    first = some("minimal", 12)
    one, rating = vary(first, 30, seed=5, processes=1)
    two, _ = vary(first, 30, seed=5, processes=2)
    other, _ = vary(first, 30, seed=6, processes=1)
    assert (one.question == two.question).all()
    assert (one.question[12:] != other.question[12:]).any()
    easy = some("minimal", 1)
    plain, compiled = (vary(easy, 2, seed=5, processes=1, compiled=compiled)[0] for compiled in (False, True))
    assert (plain.question == compiled.question).all()
    assert rating.shape == (30,)


def test_what_cannot_be_varied_is_said() -> None:
    with pytest.raises(BadInput, match="4 rows are fewer than the 5 puzzles"):
        vary(some("train", 5), 4, seed=0)
    small = np.ones((2, 16), np.uint8)
    with pytest.raises(BadInput, match="9x9"):
        vary(Puzzles(small, small), 4, seed=0)


def test_on_the_command_line(call: Call, tmp_path: Path) -> None:
    source, out = tmp_path / "few.csv", tmp_path / "many.csv"
    assert call("data", "sudoku", str(source), "--kind", "minimal", "--rows", "3").code == 0
    made = call("data", "sudoku", str(out), "--kind", "varied", "--like", str(source), "--rows", "7")
    assert (made.code, "many.csv (7)" in made.out) == (0, True)
    assert (read_sudokus(out).question[:3] == read_sudokus(source).question).all()
    for arguments in (["--kind", "varied"], ["--like", str(source)]):
        refused = call("data", "sudoku", str(tmp_path / "none.csv"), *arguments)
        assert (refused.code, "--like" in refused.err) == (2, True)
    few = call("data", "sudoku", str(tmp_path / "none.csv"), "--kind", "varied", "--like", str(source), "--rows", "2")
    assert (few.code, "2 rows" in few.err) == (2, True)


@pytest.mark.skipif(not SHARED.exists(), reason="the shared benchmark rows are not here")
def test_variations_of_training_rows_are_no_validation_rows() -> None:
    """By fingerprints of questions and of solutions: no variation is an image of a row that is reported on."""
    train, validation = (NINE.read(read_file(SHARED / f"{name}.csv")) for name in ("train", "validation"))
    puzzles, _ = vary(Puzzles(train.question[:10], train.answer[:10]), 100, seed=1, processes=1)
    for mine, theirs in ((puzzles.question, validation.question), (puzzles.answer, validation.answer)):
        marks = fingerprint(NINE, theirs, validation.answer)
        assert not set(fingerprint(NINE, mine, puzzles.answer).tolist()) & set(marks.tolist())
