"""What is left out of a file is said on standard error, whichever command reads it, and with every option."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import Call, refused, settings
from llm_server import Model

import trm
from trm.tasks import load_puzzles
from trm.tasks.custom.task import Custom
from trm.tasks.maze.task import Maze
from trm.tasks.sudoku.task import Sudoku
from trm.training.config import RunConfig
from trm.training.datasets import training_set

SAID = "mine.csv: left out: 2 comment lines\n"


@pytest.fixture
def commented(small_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four Sudokus of `small_csv` with two comments, in the present folder."""
    monkeypatch.chdir(tmp_path)
    heading, *rows = small_csv.read_text().splitlines()[:5]
    path = tmp_path / "mine.csv"
    path.write_text("\n".join([heading, "# easy ones", *rows[:2], "# hard ones", *rows[2:], ""]))
    return path


@pytest.mark.usefixtures("commented")
@pytest.mark.parametrize("more", [(), ("--json",), ("--limit", "1", "--skip", "3")])
def test_eval_and_compare_say_what_they_left_out(call: Call, tiny_run: Path, more: tuple[str, ...]) -> None:
    for command in ("eval", "compare"):
        done = call(command, str(tiny_run), "--data", "mine.csv", "--steps", "1", *more)
        assert (done.code, done.err) == (0, SAID)


def test_eval_llm_says_what_it_left_out(call: Call, commented: Path, model: Model) -> None:
    done = call("eval-llm", model.url, "--model", "m", "--data", str(commented), "--out", "llm", "--json")
    assert (done.code, done.err) == (0, SAID)
    commented.write_text(commented.read_text().replace("1", "55", 1))
    done = call("eval-llm", model.url, "--model", "m", "--data", str(commented))
    refused(done, "mine.csv: line 3, column question: 17 cells")
    commented.write_text("S.\n#.\n")
    refused(call("eval-llm", model.url, "--model", "m", "--data", str(commented)), "mine.csv: maze 1", "no G")


@pytest.mark.usefixtures("commented")
def test_training_says_what_it_left_out(call: Call) -> None:
    """Once, though each stage reads the data again; and also where `limit` takes the first rows."""
    small = settings("updates=4", "limit=3", "keep_every=2", "stages=sudoku-4x4:0.5:2,sudoku-4x4:0.25:3")
    done = call("train", "sudoku-mini", *small, "--data", "mine.csv", "--out", "run", "--procs", "1")
    assert (done.code, done.err.count("left out"), done.err.startswith(SAID)) == (0, 1, True)
    assert call("train", "sudoku-mini", "--out", "run", "--resume").err.startswith(SAID)
    assert call("history", "run", "run", "--data", "mine.csv", "--steps", "1").err == SAID


def test_files_to_compare_with_and_to_vary(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("data", "sudoku", "new.csv", "--kind", "minimal", "--rows", "2").code == 0
    assert call("data", "maze", "mazes.csv", "--rows", "2", "--height", "8", "--width", "8").code == 0
    for name, extra in (("new.csv", "# a book"), ("mazes.csv", "Maze 1:")):
        Path(name).write_text(Path(name).read_text().replace("\n", f"\n{extra}\n", 1))
    for options in (("--kind", "minimal", "--compare"), ("--kind", "varied", "--like")):
        done = call("data", "sudoku", "other.csv", "--rows", "2", *options, "new.csv")
        assert (done.code, "new.csv: left out: 1 comment line\n" in done.err) == (0, True)
    done = call("data", "maze", "other.csv", "--rows", "1", "--height", "8", "--width", "8", "--compare", "mazes.csv")
    assert (done.code, "mazes.csv: left out: 1 heading\n" in done.err) == (0, True)
    config = RunConfig(task="maze-8x8", data="mazes.csv", limit=1)
    assert training_set(config, Maze(8, 8)).remarks == ("mazes.csv: left out: 1 heading",)


def test_remarks_name_the_file_and_stay_with_a_part(commented: Path, tmp_path: Path) -> None:
    puzzles = load_puzzles(Sudoku(2, 2), str(commented))
    assert puzzles.remarks == puzzles.take([1, 2]).remarks == (SAID.strip(),)
    assert Sudoku(2, 2).read(commented.read_text()).remarks == ("left out: 2 comment lines",)
    (tmp_path / "a\nb.csv").write_text("question,answer\n# x\n1 0 0 0,1 2 2 1\n")
    from trm.tasks.custom.structure import Structure

    custom = Custom(Structure(shape=(2, 2), values=(0, 1, 2), blank=0))
    found = custom.read_file(str(tmp_path / "a\nb.csv"))
    assert found.remarks == (r"a\nb.csv: left out: 1 comment line",)
    assert np.array_equal(found.take([0]).question, found.question)


def test_answers_in_python_have_it() -> None:
    board = "# from a book\n1.3.\n....\n.1.3\n....\n"
    solver = trm.Solver("sudoku", steps=1, restarts=0)
    for answer in (solver.solve(board), *solver.solve_many(board), *solver.solve_many([board])):
        assert answer.remarks == ("left out: 1 comment line",)
    assert [answer.remarks for answer in solver.solve_many([board, "1" + "." * 15])] == [answer.remarks, ()]
