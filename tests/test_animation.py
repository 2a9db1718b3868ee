"""Animations of answers: what their frames show, how long, in how many bytes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
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
from trm.inference.answers import Answer, Step
from trm.plot import looks
from trm.plot.steps import glows
from trm.tasks.base import Task
from trm.tasks.custom.structure import Structure
from trm.tasks.custom.task import Custom
from trm.tasks.maze.task import Maze
from trm.tasks.sudoku.task import Sudoku

Image = pytest.importorskip("PIL.Image")

EXTREME = ".8..3...2...8.....4..26........2.86...1....358....3..4..9.5.4.6....4....25...8..3"
MARGIN, HEAD = 24, 34  # pixels left of a board, and above it besides
Pixels = npt.NDArray[np.uint8]

FOUR = ".2.4.3...4.2...."


def read(path: Path) -> tuple[list[Pixels], list[int]]:
    """The frames of an animation, [height, width, 3] each, and their times in milliseconds."""
    frames, times = [], []
    with Image.open(path) as film:
        for number in range(film.n_frames):
            film.seek(number)
            frames.append(np.asarray(film.convert("RGB")))
            times.append(round(film.info["duration"]))
    return frames, times


def cell_of(frame: Pixels, side: int, row: int, column: int) -> npt.NDArray[np.int64]:
    """The pixels of a cell without the lines around it."""
    y, x = MARGIN + HEAD + row * side, MARGIN + column * side
    return frame[y + 3 : y + side - 2, x + 3 : x + side - 2].astype(np.int64)


def middle(frame: Pixels, side: int, row: int, column: int) -> tuple[int, ...]:
    """The colour at a cell's centre."""
    part = cell_of(frame, side, row, column)
    return tuple(part[len(part) // 2, len(part) // 2].tolist())


def ink(part: npt.NDArray[np.int64], ground: looks.Colour) -> int:
    return int(np.abs(part - np.array(ground)).sum())


def made(
    task: Task, question: str, steps: Sequence[tuple[str, npt.NDArray[np.float32], npt.NDArray[np.float32]]]
) -> Answer:
    """An answer with these steps: the board, the probabilities and the memory of each."""
    asked, trace = task.read(question).question[0], []
    for number, (text, chances, memory) in enumerate(steps, 1):
        tokens = task.read_cells(text)[0] if isinstance(task, Sudoku | Maze) else asked
        trace.append(Step(task, tokens, number, 0, False, number / len(steps), chances, memory, 1.0, 1.0))
    last = trace[-1]
    return Answer(task, last.tokens, asked, False, last.confidence, len(trace), 1, lambda: trace)


def maze_answer() -> Answer:
    """A corridor round a wall, found in three steps while the memory moves from G to S."""
    task, chances = Maze(3, 4), np.full((3, 4, 6), 0.0, np.float32)
    chances[..., 0] = 1
    memory = np.zeros((3, 3, 4), np.float32)
    memory[0] = 1.4  # a start's first step: everywhere
    memory[1, 0, 3], memory[1, 0, 2] = 1.4, 0.6
    memory[2, 0, 1] = 1.0
    texts = ("S..G\n.##.\n....", "S..G\n.##.\n....", "SooG\n.##.\n....")
    return made(task, texts[0], [(text, chances, moved) for text, moved in zip(texts, memory, strict=True)])


def test_a_maze_glows_where_its_memory_moves(tmp_path: Path) -> None:
    plot.animation(maze_answer(), path := tmp_path / "maze.gif")
    frames, times = read(path)
    look, side = looks.DARK, 64
    for frame in frames:
        assert middle(frame, side, 1, 1) == look.wall
        assert frame[2, 2].tolist() == list(look.ground)
    question, first, second, third, last = *frames[:4], frames[-1]
    for frame in (question, first):  # every cell moves in the first step, so that none glows
        assert middle(frame, side, 0, 1) == middle(frame, side, 2, 2) == look.board
    bright = [sum(middle(frame, side, 0, 2)) for frame in (first, second)]
    assert bright[0] < bright[1]
    assert middle(second, side, 0, 2) == looks.glow_colour(look, 0.6)
    assert middle(second, side, 2, 2) == look.board
    corner = third[MARGIN + HEAD + 6, MARGIN + 2 * side + 6]  # beside the path: what is left of the glow
    assert corner.tolist() == list(looks.glow_colour(look, 0.6 * looks.FADE))
    assert sum(middle(second, side, 0, 2)) > int(corner.sum()) > sum(look.board)
    assert middle(third, side, 0, 1) == look.model
    assert middle(last, side, 0, 1) == middle(last, side, 0, 2) == look.good
    assert sum(times) == looks.QUESTION + sum(looks.step_times(3)) + looks.SWEEPS * looks.SWEEP + looks.LAST
    assert times[-1] >= 2000


def test_a_small_board_has_room_for_the_words(tmp_path: Path) -> None:
    chances, still = np.full((2, 2, 6), 0.2, np.float32), np.zeros((2, 2), np.float32)
    plot.animation(made(Maze(2, 2), "SG\n..", [("SG\n..", chances, still)]), path := tmp_path / "maze.gif")
    frames, _ = read(path)
    assert frames[0].shape[1] == 192 + 2 * MARGIN
    column = (frames[0].shape[1] - 2 * 64) // 2
    assert frames[0][MARGIN + HEAD + 100, column + 40].tolist() == list(looks.DARK.board)
    assert frames[0][MARGIN + HEAD + 100, column - 10].tolist() == list(looks.DARK.ground)


def sudoku_answer(right: bool) -> Answer:
    task, solution = Sudoku(2, 2), "1234341221434321"
    values = np.array([int(digit) - 1 for digit in solution]).reshape(4, 4)
    sure, unsure = np.eye(4, dtype=np.float32)[values], np.full((4, 4, 4), 0.25, np.float32)
    hint = unsure.copy()
    hint[3, 3] = 0.7, 0.28, 0.01, 0.01  # two candidates, and two that are left out
    still = np.zeros((4, 4), np.float32)
    last = solution if right else solution[:-1] + "2"
    return made(task, "1" + "." * 15, [(solution, unsure, still), (solution, hint, still), (last, sure, still)])


def test_candidates_grow_and_settle(tmp_path: Path) -> None:
    for dark in (True, False):
        plot.animation(sudoku_answer(right=True), path := tmp_path / "sudoku.gif", dark=dark)
        look, side = looks.look(dark), 64
        frames, times = read(path)
        assert len(frames) == len(times) == 1 + 3 + looks.SWEEPS + 1
        assert times[:4] == [looks.QUESTION, *looks.step_times(3)]
        question, first, second, third, last = *frames[:4], frames[-1]
        assert ink(cell_of(question, side, 0, 0), look.board) > 0  # what is given
        assert ink(cell_of(question, side, 3, 3), look.board) == 0
        cells = [cell_of(frame, side, 3, 3) for frame in (first, second, third)]
        half = len(cells[0]) // 2
        parts = [ink(cell[:half, :half], look.board) for cell in cells]  # the upper left quarter: digit 1
        assert 0 < parts[0] < parts[1]
        assert ink(cells[0][half:], look.board) > 0  # digits 3 and 4
        assert ink(cells[1][half:], look.board) == 0
        centres = [ink(cell[half - 8 : half + 8, half - 4 : half + 4], look.board) for cell in cells]
        assert max(centres[:2]) < centres[2]
        assert look.model in {tuple(pixel) for pixel in cells[2].reshape(-1, 3).tolist()}
        assert look.good in {tuple(pixel) for pixel in cell_of(last, side, 3, 3).reshape(-1, 3).tolist()}


def test_cells_that_break_the_rules_are_red(tmp_path: Path) -> None:
    plot.animation(answer := sudoku_answer(right=False), path := tmp_path / "sudoku.gif")
    frames, _ = read(path)
    wrong = {fault.cell for fault in answer.task.faults(answer.question, answer.tokens)}
    assert len(frames) == 5
    assert 15 in wrong
    for cell in range(16):
        row, column = divmod(cell, 4)
        corner = frames[-1][MARGIN + HEAD + row * 64 + 5, MARGIN + column * 64 + 5].tolist()
        assert (corner != list(looks.DARK.board)) == (cell in wrong)
        assert (corner[0] > corner[2] + 20) == (cell in wrong)


def test_numbers_of_any_other_task(tmp_path: Path) -> None:
    task = Custom(Structure(shape=(2, 3), values=tuple(range(10, 16))))
    chances = np.zeros((2, 2, 3, 7), np.float32)
    chances[0, ..., 6], chances[1, ..., 6] = 0.3, 1.0
    still = np.zeros((2, 3), np.float32)
    asked = np.arange(1, 7, dtype=np.uint8)
    steps = [Step(task, asked[::-1], 1 + n, 0, False, 0.2, chances[n], still, 1.0, 0.0) for n in range(2)]
    plot.animation(Answer(task, asked[::-1], asked, False, 0.2, 2, 1, lambda: steps), path := tmp_path / "blink.gif")
    frames, _ = read(path)
    weak, strong = (ink(cell_of(frame, 64, 0, 0), looks.DARK.board) for frame in frames[1:3])
    assert 0 < weak < strong


def test_signs_and_colours_of_a_task(tmp_path: Path) -> None:
    dark, light = "#102030", "#ffd75e"
    declared = {"signs": {1: "o"}, "colours": {1: light, 2: dark}, "shape": [1, 3], "values": [0, 1, 2]}
    task = Custom(Structure.model_validate(declared))
    assert [sign.text for sign in task.signs] == ["0", "o", "2"]
    asked, answer = np.array([1, 1, 1], np.uint8), np.array([1, 2, 3], np.uint8)
    chances = np.zeros((1, 3, 4), np.float32)
    np.put_along_axis(chances, answer.reshape(1, 3, 1).astype(np.int64), 1.0, axis=2)
    steps = [Step(task, answer, 1, 0, True, 1.0, chances, np.zeros((1, 3), np.float32), 1.0, 0.0)]
    plot.animation(Answer(task, answer, asked, False, 1.0, 1, 1, lambda: steps), path := tmp_path / "own.png")
    corners = [frame[MARGIN + HEAD + 5, MARGIN + 5 :: 64][:3].tolist() for frame in read(path)[0]]
    board = list(looks.DARK.board)
    assert corners[0] == [board] * 3
    assert corners[1] == [board, list(looks.rgb(light)), list(looks.rgb(dark))]


@given(st.lists(st.floats(0, 1.5, width=32), min_size=1, max_size=30), st.integers(1, 30))
def test_a_glow_fades(memory: list[float], restart: int) -> None:
    task, tokens = Maze(2, 2), np.array([3, 2, 2, 4], np.uint8)
    chances = np.ones((2, 2, 6), np.float32)
    steps = [
        Step(task, tokens, n + 1, n // restart, False, 0.0, chances, np.full((2, 2), moved, np.float32), 1.0, 1.0)
        for n, moved in enumerate(memory)
    ]
    for number, glow in enumerate(glows(steps)):
        start = number - number % restart
        lit = [min(memory[n], 1) * looks.FADE ** (number - n) for n in range(start + 1, number + 1)]
        assert glow[0, 0] == pytest.approx(max(lit, default=0.0), abs=1e-6)


@given(st.integers(1, 100))
def test_times_are_slow_at_both_ends(count: int) -> None:
    times = looks.step_times(count)
    assert len(times) == count
    assert times == times[::-1]
    half = times[: (count + 1) // 2]
    assert all(early >= late for early, late in pairwise(half))
    assert times[0] == looks.SLOW


def test_a_real_trace_is_small_and_side_by_side(tmp_path: Path) -> None:
    answer = trm.Solver("sudoku").solve(EXTREME, steps=26, restarts=0, guesses=0)
    plot.animation(answer, path := tmp_path / "one.gif")
    assert path.stat().st_size < 300_000
    one, times = read(path)
    assert len(times) == answer.steps + 2 + looks.SWEEPS * answer.solved
    plot.animation([answer, maze_answer()], path)
    both, _ = read(path)
    assert len(both) == len(one)
    width = one[0].shape[1]
    for alone, beside in zip(one, both, strict=True):  # the palettes differ by little
        assert np.abs(alone.astype(int) - beside[: len(alone), :width]).mean() < 3


@pytest.mark.parametrize("ending", [".gif", ".webp", ".png"])
def test_every_format_shows_the_same(ending: str, tmp_path: Path) -> None:
    from trm.plot.films import frames, merged

    answer, path = maze_answer(), tmp_path / f"maze{ending.upper()}"
    drawn = merged(frames([answer], looks.DARK))
    plot.animation(answer, path)
    found, times = read(path)
    assert times == [frame.time for frame in drawn]
    for frame, pixels in zip(drawn, found, strict=True):
        assert np.abs(np.asarray(frame.picture).astype(int) - pixels).mean() < 2
    with Image.open(path) as film:
        assert film.info["loop"] == 0


def test_what_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = maze_answer()
    for name in ("film.mp4", "film"):
        with pytest.raises(BadInput, match=r"\.gif, \.webp or \.png") as caught:
            plot.animation(answer, tmp_path / name)
        assert "\n" not in str(caught.value)
    (tmp_path / "folder.gif").mkdir()
    (tmp_path / "file").write_text("")
    for name in ("folder.gif", "file/film.gif"):
        with pytest.raises(BadInput):
            plot.check_animation(tmp_path / name)
    with pytest.raises(BadInput, match="no answer"):
        plot.animation([], tmp_path / "film.gif")
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.delitem(sys.modules, "PIL.ImageDraw")
    with pytest.raises(TrmError, match=r"an animation needs Pillow: pip install 'trm\[plot\]'"):
        plot.check_animation(tmp_path / "film.gif")
    assert not (tmp_path / "film.gif").exists()


def test_the_package_imports_no_pictures() -> None:
    names = "{'PIL', 'matplotlib', 'torch'}"
    subprocess.run(
        [sys.executable, "-c", f"import sys, trm; trm.plot.animation; assert not {names} & set(sys.modules)"],
        check=True,
    )


def test_the_animation_of_the_readme() -> None:
    path = Path(__file__).parent.parent / "docs" / "thinking.gif"
    assert path.stat().st_size < 1_000_000
    frames, times = read(path)
    assert frames[0].shape[:2] == (472, 816)
    assert 2000 <= times[-1] <= 3000
    assert 5_000 < sum(times) < 20_000


def test_an_animation_from_the_command_line(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "thinking.gif"
    done = call("solve", "sudoku", f"{FOUR}\n{FOUR}", "--quiet", "--gif", str(path))
    assert (done.code, len(done.out)) == (0, 2 * 17)
    assert f"wrote {path}\n" in done.err
    with Image.open(path) as film:
        assert film.n_frames > 2
    five = "\n".join([FOUR] * 5)
    for puzzle, file, words in ((FOUR, "x.mp4", "give x.mp4 one of these"), (five, "x.gif", "at most 4 puzzles")):
        refused = call("solve", "sudoku", puzzle, "--gif", file)
        assert (refused.code, refused.out, words in refused.err) == (2, "", True)
