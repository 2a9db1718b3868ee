"""Pictures of traces, from Python and from the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from conftest import Call
from hypothesis import given
from hypothesis import strategies as st

import trm
from trm import plot
from trm.errors import BadInput, TrmError
from trm.inference.answers import Board, Step
from trm.tasks.sudoku.task import Sudoku

NINE = Sudoku()
EMPTY, FOUR = "1...............", "12..341.2143432."
IMPOSSIBLE = "123............4"  # r1c4 has to be 4 and cannot


def test_a_picture_of_a_trace(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    answer = trm.Solver("sudoku").solve(IMPOSSIBLE, steps=2, restarts=1, guesses=0, noise=0.5)
    top, bottom = plot.draw(answer).subfigs
    titles = [axes.get_title().split(", best")[0] for axes in top.axes]
    assert titles == ["start 1, step 1", "start 1, step 2", "start 2, step 3", "start 2, step 4"]
    shown = [np.asarray(axes.images[0].get_array()) for axes in top.axes]
    given, unknown = ink(shown[0], 4, 0, 0), ink(shown[0], 4, 3, 2)
    assert given > unknown > 0
    confidence, movement = bottom.axes
    lines = {line.get_label(): np.asarray(line.get_ydata()).tolist() for line in confidence.lines}
    assert lines["that the answer is right"] == [step.confidence for step in answer.trace[:2]]  # of the first start
    assert lines["taken as the answer"] == [answer.confidence]
    assert np.asarray(movement.lines[0].get_ydata()).tolist() == [step.moved_y for step in answer.trace[:2]]
    maze = trm.Solver("maze").solve("S..\n.#.\n..G", steps=1, restarts=0)
    plot.trace(maze, tmp_path / "trace.png")
    assert (tmp_path / "trace.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(BadInput, match="cannot write"):
        plot.trace(maze, tmp_path)


def ink(picture: npt.NDArray[np.uint8], size: int, row: int, column: int) -> int:
    """How much darker than white a cell is, without its lines, of a board of `size` cells that fills the picture."""
    cell = picture.shape[0] / size
    down, across = (slice(round((at + 0.1) * cell), round((at + 0.9) * cell)) for at in (row, column))
    return int((255 - picture[down, across].astype(int)).sum())


@given(st.integers(1, 200), st.integers(3, 6), st.data())
def test_the_steps_that_are_shown(count: int, most: int, data: st.DataObject) -> None:
    board = Board(NINE, NINE.read("." * 81).question[0])
    cells = np.ones((9, 9), np.float32)
    steps = [
        Step(board.task, board.tokens, n, 0, False, 0.5, cells[..., None], cells, 1.0, 1.0) for n in range(1, count + 1)
    ]
    chosen = steps[data.draw(st.integers(0, count - 1))]
    numbers = [step.number for step in plot.shown_steps(steps, chosen, most)]
    assert numbers == sorted(set(numbers))
    assert {1, chosen.number, count} <= set(numbers)
    assert len(numbers) <= most


def test_the_steps_at_which_something_happens() -> None:
    """Of 300 steps in three starts, those are shown in which the probabilities move, and the best of each start."""
    moving, best = {40, 41, 42, 43}, {60: 0.9, 150: 0.8}
    board = Board(NINE, NINE.read("." * 81).question[0])
    chances, still, steps = np.full((9, 9, 9), 1 / 9, np.float32), np.zeros((9, 9), np.float32), []
    for number in range(1, 301):
        if number in moving:
            chances = np.roll(np.eye(9, dtype=np.float32)[np.zeros((9, 9), int)], number, 2)
        start, sure = (number - 1) // 100, best.get(number, 0.1)
        steps.append(Step(board.task, board.tokens, number, start, False, sure, chances, still, 1.0, 1.0))
    numbers = {step.number for step in plot.shown_steps(steps, steps[-1], 8)}
    assert {1, 60, 150, 300} <= numbers
    assert len(numbers & moving) >= 3


def test_plot_from_the_command_line(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "trace.png"
    done = call("solve", "sudoku", FOUR, "--quiet", "--plot", str(path))
    assert (done.code, done.err, len(done.out)) == (0, f"wrote {path}\n", 17)
    assert path.read_bytes().startswith(b"\x89PNG")
    for arguments, words in (
        ([f"{EMPTY}\n{EMPTY}", "--plot", str(path)], "one puzzle, and there are 2"),
        ([EMPTY, "--plot", str(tmp_path)], "is a folder"),
        ([EMPTY, "--plot", str(path), "--backend", "onnx"], "--plot needs the torch backend"),
    ):
        refused = call("solve", "sudoku", *arguments)
        assert (refused.code, refused.out, words in refused.err) == (2, "", True)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    refused = call("solve", "sudoku", EMPTY, "--plot", str(path))
    assert (refused.code, refused.out, "pip install 'trm[plot]'" in refused.err) == (1, "", True)
    with pytest.raises(TrmError, match="needs matplotlib"):
        plot.new_figure(1, 1)


def test_a_picture_of_an_evaluation(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    path, drawn = tmp_path / "steps.png", []
    monkeypatch.setattr("trm.plot.figures.save", lambda figure, path: drawn.append(figure))
    asked = ["eval", "sudoku-mini", "--data", "minimal", "--limit", "5", "--steps", "6", "--until", "sure", "--json"]
    found = json.loads(call(*asked, "--png", str(path)).out)
    (axes,) = drawn[0].axes
    (line,) = axes.lines
    assert np.asarray(line.get_xdata()).tolist() == found["steps"]
    assert np.asarray(line.get_ydata()).tolist() == pytest.approx([100 * share for share in found["exact"]], abs=1e-3)
    monkeypatch.undo()
    assert call(*asked, "--png", str(path)).code == 0
    assert path.read_bytes().startswith(b"\x89PNG")
    refused = call(*asked, "--png", str(tmp_path))
    assert (refused.code, refused.out) == (2, "")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    refused = call(*asked, "--png", str(path))
    assert (refused.code, refused.out, "needs matplotlib" in refused.err) == (1, "", True)
