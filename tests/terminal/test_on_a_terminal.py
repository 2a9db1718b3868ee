"""What is shown on a terminal alone: progress, the time left, and no line that is longer than it is wide."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from conftest import Call

from trm import store
from trm.inference.answers import Answer
from trm.inference.puzzles import read_text
from trm.inference.solver import Solver
from trm.tasks import load_puzzles
from trm.tasks.maze.sets import generate
from trm.tasks.maze.task import Maze
from trm.tasks.sudoku.task import Sudoku
from trm.terminal.console import progress_bars
from trm.terminal.progress import step_bar
from trm.terminal.solve import print_answers

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Shown(NamedTuple):
    terminal: str  # without colours
    out: str  # standard output, where it is no terminal


def on_terminal(*arguments: str, width: int = 60, out: bool = True) -> Shown:
    """Run the command on a terminal. `out`: whether its standard output goes there, too."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES", "NO_COLOR")}
    environment |= {"OMP_NUM_THREADS": "1", "TERM": "xterm"}
    command = [sys.executable, "-m", "trm", *arguments]
    with subprocess.Popen(
        command, stdout=theirs if out else subprocess.PIPE, stderr=theirs, env=environment, text=True
    ) as process:
        os.close(theirs)
        shown = bytearray()
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # it has ended
                break
            if not part:
                break
            shown += part
        rest = process.stdout.read() if process.stdout else ""
    os.close(ours)
    return Shown(ESCAPES.sub("", shown.decode()).replace("\r\n", "\n"), rest)


@pytest.fixture(scope="module")
def mazes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    maze = Maze(12, 12)
    question = generate("perfect", 1, 0, 12, 12).question[0]
    path = tmp_path_factory.mktemp("mazes") / "maze.txt"
    path.write_text(maze.draw(question) + "\n")
    return path


def test_a_line_longer_than_the_terminal_is_left_out(mazes: Path) -> None:
    shown = on_terminal("solve", "maze", str(mazes), width=143).terminal
    assert not re.search(r"[#.SGo]{13}", shown)
    assert len(re.findall(r"^[#.SGo]{12}$", shown, re.MULTILINE)) == 12  # the drawing stays
    assert "solved in" in shown


@pytest.mark.parametrize(
    ("width", "terminal", "quiet", "expected"),
    [(15, True, False, False), (16, True, False, True), (15, False, False, True), (15, True, True, True)],
)
def test_where_the_line_of_an_answer_is_printed(
    width: int,
    terminal: bool,
    quiet: bool,
    expected: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    task = Sudoku(2, 2)
    tokens = task.read("1234341221434321").question[0]
    answer = Answer(task, tokens, tokens, True, 0.9, 1, 1, tuple)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert print_answers([answer], trace=False, quiet=quiet)
    assert ("1234341221434321" in capsys.readouterr().out) is expected


def test_solving_many_puzzles_has_a_bar(small_csv: Path) -> None:
    how = ("solve", "sudoku", str(small_csv), "--weights", "sudoku-mini", "--restarts", "0", "--steps", "4")
    shown = on_terminal(*how, out=False)
    assert re.search(r"solving +\S+ +\d+%", shown.terminal)
    assert re.search(r"\d+ of 40 solved", shown.terminal)
    assert "solving" not in shown.out
    silent = on_terminal(*how, "--quiet", out=False)
    assert "%" not in silent.terminal
    assert re.search(r"\d+ of 40 solved", silent.terminal)


@pytest.mark.parametrize("seconds", [None, 1e-6])
def test_the_bar_changes_no_answer(seconds: float | None, small_csv: Path) -> None:
    nine = Sudoku()
    texts = [nine.to_line(row) for row in load_puzzles(nine, "embedded", "minimal").question[:4]]
    small = load_puzzles(Sudoku(2, 2), str(small_csv)).question[:6]
    boards = [read_text(text, "sudoku").boards[0] for text in [*texts, *map(Sudoku(2, 2).to_line, small)]]
    boards = boards[::2] + boards[1::2]
    solver = Solver("sudoku", "sudoku-mini", steps=6, restarts=2, noise=0.5, guesses=2, batch=3, seconds=seconds)
    ticks = list[int]()
    found = solver.solve_boards(boards, tick=ticks.append)
    assert sum(ticks) == len(boards)
    truth = solver.solve_boards(boards)
    assert len({answer.task.spec for answer in truth}) == 2
    for one, other in zip(found, truth, strict=True):
        np.testing.assert_array_equal(one.tokens, other.tokens)
        np.testing.assert_array_equal(one.question, other.question)
        assert (one.steps, one.starts, one.valid, one.solved) == (other.steps, other.starts, other.valid, other.solved)


def test_eval_tells_the_time_left_before_the_first_puzzle_is_done(small_csv: Path, tiny_run: Path) -> None:
    shown = on_terminal("eval", "sudoku-mini", "--data", "minimal", "--limit", "8", "--steps", "32", out=False)
    estimates = re.findall(r"evaluating +\S+ +(\d+)% +(\d+:\d\d:\d\d|-:--:--)", shown.terminal)
    early = [left for share, left in estimates if 0 < int(share) < 90]  # all puzzles are done at the last step
    assert len({share for share, _ in estimates}) > 4
    assert early
    assert "-:--:--" not in early
    assert "8 puzzles" in shown.out


def test_a_bar_counts_steps_and_puzzles_that_end_early(tiny_run: Path) -> None:
    stored = store.load(str(tiny_run))
    question = torch.full((3, 16), 1, dtype=torch.uint8)
    with progress_bars(hidden=True) as progress:
        with step_bar(progress, "evaluating", stored.model, 5, 4) as finish:
            (task,) = progress.tasks
            assert (task.total, task.completed > 0) == (20, True)
            state = stored.model.start(3)
            with torch.inference_mode():
                for done in (3, 6):
                    state, *_ = stored.model(state, question)
                    assert task.completed == done
            finish(3)
            assert task.completed == 12
            finish(2)
            assert task.completed == task.total
        with torch.inference_mode():
            stored.model(stored.model.start(3), question)
        assert task.completed == task.total


def test_pictures_and_files_are_named_when_they_are_written(call: Call, tiny_run: Path, small_csv: Path) -> None:
    folder = tiny_run.parent
    puzzle = "1234341221434321"
    commands = {
        "trace.png": ("solve", "sudoku", puzzle, "--plot"),
        "steps.png": ("eval", str(tiny_run), "--data", str(small_csv), "--steps", "2", "--json", "--png"),
        "history.png": ("history", str(tiny_run), "--png"),
        "compare.png": ("compare", str(tiny_run), "--data", str(small_csv), "--steps", "2", "--png"),
        "compare.md": ("compare", str(tiny_run), "--data", str(small_csv), "--steps", "2", "--markdown"),
    }
    for name, command in commands.items():
        done = call(*command, str(folder / name))
        assert done.code == 0, done.err
        assert done.err.splitlines()[-1] == f"wrote {folder / name}"
        assert (folder / name).stat().st_size > 0


def test_where_there_is_no_terminal_long_work_says_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress_bars(hidden=False) as progress:
        clock = [100.0]
        monkeypatch.setattr(progress, "get_time", lambda: clock[-1])
        monkeypatch.setattr(progress, "said", clock[-1])
        task = progress.add_task("evaluating", total=4)
        for seconds in (105.0, 114.0, 116.0, 130.0):
            clock.append(seconds)
            progress.advance(task)
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"evaluating: 75%(, [0-9:]+ left)?\n", err)
