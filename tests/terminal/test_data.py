"""`trm data`: the puzzles that it writes and the table that it prints."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import Call

from trm.tasks.sudoku import search as sudoku_search
from trm.tasks.sudoku.search import SudokuSearch, count_solutions
from trm.tasks.sudoku.sets import fingerprint, read_sudokus
from trm.tasks.sudoku.task import SIZES, Sudoku
from trm.terminal import data as make


def test_puzzles_made_on_the_command_line(call: Call, tmp_path: Path) -> None:
    """The file can be trained on, the same seed makes it again, and --compare shows both sets' quantiles."""
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    done = call("data", "sudoku", str(first), "--kind", "minimal", "--rows", "6", "--seed", "4")
    assert (done.code, "first.csv (6)" in done.out) == (0, True)
    shown = call(
        "data", "sudoku", str(second), "--kind", "minimal", "--rows", "6", "--seed", "4", "--compare", str(first)
    )
    assert second.read_bytes() == first.read_bytes()
    lines = [line.split("│")[2:-1] for line in shown.out.splitlines() if ".csv (6)" in line]
    assert len(lines) == 2
    assert [cell.strip() for cell in lines[0]] == [cell.strip() for cell in lines[1]]
    puzzles, solver = read_sudokus(first), SudokuSearch(Sudoku())
    rows = [line.split(",") for line in first.read_text().splitlines()[1:]]
    assert [int(row[3]) for row in rows] == [solver.rating(solver.bits(question)) for question in puzzles.question]
    assert all(count_solutions(question, Sudoku())[0] == 1 for question in puzzles.question)
    assert Sudoku().valid(puzzles.question, puzzles.answer).all()
    bad = {"--kind harder": ["--kind", "harder"], "none.csv": ["--compare", "none.csv"], "--size 5": ["--size", "5"]}
    bad |= {
        "goes with --kind minimal": ["--size", "6"],
        "--size 4": ["--size", "4", "--kind", "varied", "--like", str(first)],
    }
    for words, arguments in bad.items():
        refused = call("data", "sudoku", str(tmp_path / "third.csv"), *arguments)
        assert (refused.code, refused.out, words in refused.err) == (2, "", True)
    assert not (tmp_path / "third.csv").exists()


@pytest.mark.parametrize("numba", [True, False])
def test_making_without_numba_is_said_to_be_slow(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, numba: bool
) -> None:
    """The puzzles are the same either way."""
    if numba:
        pytest.importorskip("numba")
    asked = ["--kind", "minimal", "--rows", "2", "--seed", "4"]
    assert call("data", "sudoku", str(tmp_path / "as-installed.csv"), *asked).code == 0
    for module in (make, sudoku_search):
        monkeypatch.setattr(module, "has_numba", lambda: numba)
    done = call("data", "sudoku", str(tmp_path / "asked-for.csv"), *asked)
    assert (done.code, "without numba" in done.err) == (0, not numba)
    assert (tmp_path / "asked-for.csv").read_bytes() == (tmp_path / "as-installed.csv").read_bytes()


@pytest.mark.parametrize(("size", "rows"), [(4, 20), (6, 9)])
def test_puzzles_of_another_size_and_weights_trained_on_9x9(call: Call, tmp_path: Path, size: int, rows: int) -> None:
    """Each has one solution and no given too many, no two are alike, and `trm eval` takes them."""
    path = tmp_path / "made.csv"
    made = call("data", "sudoku", str(path), "--kind", "minimal", "--size", str(size), "--rows", str(rows))
    assert (made.code, f"made.csv ({rows})" in made.out) == (0, True)
    puzzles = read_sudokus(path)
    sudoku = SIZES[puzzles.question.shape[1]]
    assert (sudoku.size, len(puzzles)) == (size, rows)
    assert len(set(fingerprint(sudoku, puzzles.question, puzzles.answer).tolist())) == rows
    for question, answer in zip(puzzles.question, puzzles.answer, strict=True):
        count, solution, _ = count_solutions(question, sudoku)
        assert solution is not None
        assert (count, solution.tolist()) == (1, answer.tolist())
        for given in np.flatnonzero(question > 1):
            assert count_solutions(np.where(np.arange(len(question)) == given, 1, question), sudoku)[0] == 2
    found = call("eval", "sudoku-mini", "--data", str(path), "--steps", "2", "--json")
    assert (json.loads(found.out)["task"], json.loads(found.out)["rows"]) == (f"sudoku-{size}x{size}", rows)
