"""`trm data`: what it writes can be trained on, and what it prints is so."""

from __future__ import annotations

from pathlib import Path

from conftest import Call

from trm.tasks.sudoku import Sudoku
from trm.tasks.sudoku_data import load_csv
from trm.tasks.sudoku_search import Solver, count_solutions


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
    puzzles, solver = load_csv(first), Solver(Sudoku())
    rows = [line.split(",") for line in first.read_text().splitlines()[1:]]
    assert [int(row[3]) for row in rows] == [solver.rating(solver.bits(question)) for question in puzzles.question]
    assert all(count_solutions(question, Sudoku())[0] == 1 for question in puzzles.question)
    assert Sudoku().valid(puzzles.question, puzzles.answer).all()
    for arguments, words in ((["--kind", "hard"], "--kind hard"), (["--compare", "none.csv"], "none.csv")):
        refused = call("data", "sudoku", str(tmp_path / "third.csv"), *arguments)
        assert (refused.code, refused.out, words in refused.err) == (2, "", True)
    assert not (tmp_path / "third.csv").exists()
