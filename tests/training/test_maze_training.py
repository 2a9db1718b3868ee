"""Mazes in training, their stages by size, and their scores; a plain queue and enumeration are the judges."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Call
from hypothesis import given, settings
from hypothesis import strategies as st
from maze_cases import every_answer, queue_label, queue_search
from torch import Tensor

from trm.errors import BadInput
from trm.inference.evaluation import evaluate_model
from trm.models import Output, State
from trm.tasks import get_task
from trm.tasks.base import Bools, Puzzles, Scored, Tokens
from trm.tasks.maze import training as maze_training
from trm.tasks.maze.sets import DENSITY, fingerprint, generate, renew, usual_least
from trm.tasks.maze.task import GOAL, OPEN, PATH, START, WALL, Maze
from trm.tasks.maze.training import MazeSettings, TrainingMaze, training_mazes
from trm.tasks.sampler import Reveal, Sampler
from trm.tasks.sudoku.task import Sudoku
from trm.terminal import tables
from trm.training.config import RunConfig
from trm.training.datasets import make_sampler, training_set


@pytest.fixture(autouse=True)
def small_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no test waits for mazes that it does not look at."""
    monkeypatch.setattr(maze_training, "POOL", 40)
    maze_training.pool.cache_clear()


@pytest.fixture(scope="module")
def csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve mazes of 9x9 with answers."""
    maze, puzzles = Maze(9, 9), generate("hard", 12, 1, 9, 9, 20)
    rows = [f"{maze.to_line(q)},{maze.to_line(a)}" for q, a in zip(puzzles.question, puzzles.answer, strict=True)]
    path = tmp_path_factory.mktemp("mazes") / "nine.csv"
    path.write_text("question,answer\n" + "\n".join(rows) + "\n")
    return path


def path_length(maze: Maze, question: Tokens, answer: Tokens) -> int:
    """Moves, after a queue has agreed that `answer` is the right one."""
    expected = queue_label(maze, question)
    assert expected is not None
    assert (answer == expected).all()
    return int((answer == PATH).sum()) + 1


def images(maze: Maze, question: Tokens) -> set[bytes]:
    """The walls alone, turned and mirrored."""
    return {bytes(image) for image in (question == WALL)[maze.symmetries]}


# What a maze is made into


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.integers(6, 9), st.integers(5, 9), st.booleans())
def test_other_ends_keep_the_walls(seed: int, height: int, width: int, turned: bool) -> None:
    plain, rng = Maze(height, width), np.random.default_rng(seed)
    puzzles = generate("hard", 1, seed, height, width, 8)
    question, answer = puzzles.question[0], puzzles.answer[0]
    task = TrainingMaze(height, width, plain, turned=turned, moved=1.0, least=6)
    ends = set()
    for _ in range(12):
        made, label = task.augment(question, answer, rng)
        assert path_length(plain, made, label) >= 6
        assert bytes(made == WALL) in images(plain, question)
        assert turned or ((made == WALL) == (question == WALL)).all()
        ends.add(task.ends(made))
    assert len(ends) > 3
    hardest = TrainingMaze(height, width, plain, moved=1.0, least=1000)  # never more than the maze itself has
    made, label = hardest.augment(question, answer, rng)
    assert path_length(plain, made, label) >= path_length(plain, question, answer)


def test_near_ends_are_as_often_close_as_far_apart() -> None:
    plain, rng = Maze(9, 8), np.random.default_rng(0)
    puzzles = generate("hard", 1, 3, 9, 8, 16)
    question, answer = puzzles.question[0], puzzles.answer[0]
    task = TrainingMaze(9, 8, plain, turned=False, near=0.5, least=6)
    moves, kept = [], 0
    for _ in range(400):
        made, label = task.augment(question, answer, rng)
        assert ((made == WALL) == (question == WALL)).all()
        moves.append(path_length(plain, made, label))
        kept += bytes(made) == bytes(question)
    assert 160 < kept < 240
    assert min(moves) == 1
    assert max(moves) > 12
    close, far = (sum(a <= length < b for length in moves) / (400 - kept) for a, b in ((1, 3), (8, 99)))
    assert close > 0.3
    assert far > 0.1
    walls = np.full(72, WALL, np.uint8)
    walls[[0, 71]] = START, GOAL
    with pytest.raises(BadInput, match="next to each other"):
        plain.near_ends(walls, rng)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.integers(2, 9), st.integers(3, 8), st.integers(1, 7), st.booleans())
def test_windows_are_parts_of_the_maze(seed: int, height: int, width: int, least: int, turned: bool) -> None:
    large, small, rng = Maze(9, 8), Maze(height, width), np.random.default_rng(seed)
    puzzles = generate("hard", 1, seed, 9, 8, 12)
    least = min(least, height + width - 3)
    walls = (puzzles.question[0] == WALL).reshape(9, 8)
    windows = [walls[y : y + height, x : x + width].reshape(-1) for y in range(10 - height) for x in range(9 - width)]
    shown = {image for window in windows for image in images(small, np.where(window, WALL, OPEN))}
    task = TrainingMaze(height, width, large, turned=turned, least=least)
    if (height, width) == (9, 8):
        return
    for _ in range(5):
        made, label = task.augment(puzzles.question[0], puzzles.answer[0], rng)
        assert path_length(small, made, label) >= least
        assert bytes(made == WALL) in shown
        assert turned or bytes(made == WALL) in {bytes(window) for window in windows}


def test_a_window_that_is_not_there_is_said() -> None:
    question = generate("hard", 1, 1, 9, 9, 20).question[0]
    with pytest.raises(BadInput, match=r"no two cells of a window of 4x4 cells are 16 moves apart: --set maze.least"):
        TrainingMaze(4, 4, Maze(9, 9), least=16).augment(question, question, np.random.default_rng(0))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.integers(2, 11), st.integers(3, 11), st.integers(1, 12))
def test_new_mazes_are_solvable_and_long_enough(seed: int, height: int, width: int, least: int) -> None:
    maze, least = Maze(height, width), min(least, height + width - 3)
    question = generate("hard", 1, seed, height, width, least).question[0]
    task = TrainingMaze(height, width, maze, new=True, least=least)
    made, label = task.augment(question, question, np.random.default_rng(seed))
    assert path_length(maze, made, label) >= least
    assert ((made == WALL) | (made == OPEN)).sum() == maze.cells - 2
    again, _ = task.augment(question, question, np.random.default_rng(seed))
    assert (again == made).all()


def test_new_mazes_have_the_distribution_of_hard_mazes() -> None:
    """A long walk on 3x3 mazes against all of them, each with its probability."""
    maze, least, steps = Maze(3, 3), 4, 1500
    every, odds = [], []
    density = np.arange(DENSITY[0], DENSITY[1] + 1) / 256
    for start, goal in itertools.permutations(range(9), 2):
        for walls in itertools.product((WALL, OPEN), repeat=7):
            question = np.full(9, START, np.uint8)
            question[goal] = GOAL
            question[[cell for cell in range(9) if cell not in (start, goal)]] = walls
            every.append(question)
            # Every cell but the start, which is put somewhere, is a wall with a probability that is random itself.
            odds.append((density ** (question == WALL).sum() * (1 - density) ** ((question != WALL).sum() - 1)).mean())
    table = np.array(every)
    weight = np.where(maze.moves(table) >= least, odds, 0)
    weight /= weight.sum()
    rng, question, walk = np.random.default_rng(5), table[weight.argmax()], []
    for _ in range(steps):
        question = renew(maze, question, rng, least)
        walk.append(question)
    drawn = np.array(walk)
    assert (maze.moves(drawn) >= least).all()
    whats: list[Callable[[Tokens], Bools]] = [
        lambda rows: rows == WALL,
        lambda rows: rows == START,
        lambda rows: rows == GOAL,
        lambda rows: (rows == WALL).sum(1)[:, None] == np.arange(6),
        lambda rows: maze.moves(rows)[:, None] == np.arange(9),
    ]
    for what in whats:
        expected, found = weight @ what(table), what(drawn).mean(0)
        error = np.sqrt(expected * (1 - expected) / (steps / 3)) + 1e-9  # neighbours on the walk are alike
        assert (abs(found - expected) < 4.5 * error).all()


# Where mazes come from


def test_rows_of_a_file_as_they_are(csv: Path) -> None:
    config = RunConfig(task="maze-9x9", data=str(csv), limit=5, batch=2, augment=False)
    puzzles = training_set(config, Maze(9, 9))
    sampler = make_sampler(config, Maze(9, 9), puzzles)
    drawn = {bytes(draw.question): bytes(draw.answer) for draw in (sampler.draw(k % 2, k // 2, 0) for k in range(10))}
    whole = Maze(9, 9).read(csv.read_text())
    assert drawn == {bytes(q): bytes(a) for q, a in zip(whole.question[:5], whole.answer[:5], strict=True)}
    turned = make_sampler(config.changed(augment=True), Maze(9, 9), training_set(RunConfig(
        task="maze-9x9", data=str(csv), limit=5), Maze(9, 9)))  # fmt: skip
    for k in range(10):
        draw = turned.draw(0, k, 0)
        assert path_length(Maze(9, 9), draw.question, draw.answer) >= 20


def test_answers_are_made_where_a_file_has_none(tmp_path: Path) -> None:
    path = tmp_path / "drawn.txt"
    path.write_text("S.#..\n#...#\n..#.G\n")
    puzzles = training_mazes(Maze(3, 5), str(path), 0, True, MazeSettings())
    assert Maze(3, 5).to_line(puzzles.answer[0]) == "So#..#ooo#..#oG"
    long = tmp_path / "long.csv"
    long.write_text("question\n" + "S" + "." * 13 + "G\n")  # 3x5 as well as 5x3
    for maze in (Maze(3, 5), Maze(5, 3)):
        assert training_mazes(maze, str(long), 0, True, MazeSettings()).question.shape == (1, 15)


def test_what_a_run_cannot_train_on_is_said(csv: Path) -> None:
    for maze, source, words in (
        (Maze(9, 10), str(csv), "are 9x9, too small for maze-9x10"),
        (Maze(10, 10), str(csv), "are 9x9, too small for maze-10x10"),
        (Maze(), "no.csv", "cannot read"),
    ):
        with pytest.raises(BadInput, match=words):
            training_mazes(maze, source, 0, True, MazeSettings())
    with pytest.raises(BadInput, match="data=generated is for mazes, and not for sudoku-4x4"):
        training_set(RunConfig(task="sudoku-4x4", data="generated"), Sudoku(2, 2))
    with pytest.raises(BadInput, match="limit is not for ARC"):
        training_set(RunConfig(task="arc-agi-1", limit=5), get_task("arc-agi-1"))


def test_a_limit_is_for_every_task(small_csv: Path) -> None:
    config = RunConfig(task="sudoku-4x4", data=str(small_csv), limit=7)
    whole = training_set(config.changed(limit=0), Sudoku(2, 2))
    assert (training_set(config, Sudoku(2, 2)).question == whole.question[:7]).all()


def generated(seed: int = 0) -> Sampler:
    config = RunConfig(task="maze-7x8", data="generated", batch=8, seed=seed, maze=MazeSettings(least=0.6))
    return make_sampler(config, Maze(7, 8), training_set(config, Maze(7, 8)))


def test_generated_mazes_never_end_and_depend_on_seed_slot_and_count_alone() -> None:
    maze, sampler, again = Maze(7, 8), generated(), generated()
    order = [(slot, taken) for taken in range(30) for slot in range(8)]
    drawn = {at: sampler.draw(*at, 0.0) for at in order}
    for at in reversed(order[::17]):
        assert (again.draw(*at, 0.5).question == drawn[at].question).all()
    for draw in drawn.values():
        assert path_length(maze, draw.question, draw.answer) >= round(0.6 * usual_least(7, 8))
    assert len({fingerprint(maze, draw.question) for draw in drawn.values()}) == len(drawn)  # of a pool of 40
    other = generated(1)
    assert not any((other.draw(*at, 0.0).question == drawn[at].question).all() for at in order[:20])


def test_the_usual_30x30_begins_with_the_embedded_set() -> None:
    puzzles = training_mazes(Maze(), "generated", 0, True, MazeSettings())
    assert len(puzzles) == 1000
    made, label = puzzles.task.augment(puzzles.question[3], puzzles.answer[3], np.random.default_rng(0))
    assert path_length(Maze(), made, label) >= 109
    assert ((made == WALL) != (puzzles.question[3] == WALL)).sum() > 50


# Scores


class Told(torch.nn.Module):
    """Answers what it is told, one step after the other."""

    first_token = 0
    halt_logit = 0.0

    def __init__(self, answers: Tensor) -> None:
        super().__init__()
        self.answers = answers  # [steps, rows, cells]

    def start(self, batch: int) -> State:
        return State(torch.zeros(batch), torch.zeros(batch))

    def forward(self, state: State, question: Tensor, ids: Tensor | None = None) -> Output:
        step = int(state.y[0])
        logits = torch.nn.functional.one_hot(self.answers[step].long(), 6).float()
        return Output(State(state.y + 1, state.z), logits, torch.zeros(len(question)))


def test_shortest_paths_are_counted_at_every_step() -> None:
    """All ways to mark a maze with a short and a long way, as one row each, against lengths by a queue."""
    maze = Maze(3, 4)
    question = maze.read("S..G\n.##.\n....").question[0]
    marked = every_answer(question)
    best = queue_search(maze, question, 0)[0][3]
    shortest = [bool(maze.valid(question[None], row[None])[0]) and (row == PATH).sum() + 1 == best for row in marked]
    puzzles = Puzzles(np.repeat(question[None], 256, 0), np.repeat(maze.label(question)[None], 256, 0))
    told = torch.from_numpy(np.stack([marked, puzzles.answer, puzzles.question]))
    found = evaluate_model(Told(told), maze, puzzles, steps=3, batch=256)
    assert found.extra["shortest"].tolist() == [sum(shortest), 256, 0] == [1, 256, 0]
    assert found.valid.tolist() == [2, 256, 0]
    assert found.as_dict()["shortest"] == [round(1 / 256, 6), 1.0, 0.0]
    header = [str(column.header) for column in tables.accuracy(found, "", halting=True).columns]
    assert header == ["step", "exact", "95 % interval", "cells", "obeys rules", "shortest"]
    assert isinstance(maze, Scored)
    assert not isinstance(Sudoku(), Scored)


# From end to end


def test_train_evaluate_and_solve_at_any_size(call: Call, tmp_path: Path, csv: Path) -> None:
    small = ["model.width=8", "model.n=1", "batch=4", "micro=2", "updates=10", "max_steps=3", "maze.least=0.3"]
    small += ["stages=maze-4x4:0.2:2,maze-5x6:0.4:5", "task=maze-7x7", "limit=9", "save_every=3"]
    out, sets = tmp_path / "run", [part for setting in small for part in ("--set", setting)]
    trained = call(
        "train", "maze", "--data", str(csv), "--out", str(out), "--procs", "1", "--threads", "1", *sets
    )  # fmt: skip
    assert (trained.code, trained.out) == (0, ""), trained.err
    config = json.loads((out / "config.json").read_text())
    assert (config["task"]["name"], config["about"]["data"]["rows"]) == ("maze-7x7", 9)
    result = call("eval", str(out), "--data", str(csv), "--skip", "9", "--steps", "2", "--json")
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert (found["task"], found["rows"], len(found["shortest"])) == ("maze-9x9", 3, 2)
    assert "shortest" in call("eval", str(out), "--data", str(csv), "--steps", "2").out
    drawn = tmp_path / "maze.txt"
    drawn.write_text("S.#..\n#...#\n..#.G\n")
    solved = call("solve", "maze", str(drawn), "--weights", str(out), "--steps", "2")
    assert solved.code in (0, 1), solved.err
    assert len(solved.out.splitlines()[-1]) == 15


def test_reveal_marks_part_of_the_path() -> None:
    config = RunConfig(
        task="maze-7x8", data="generated", batch=8, maze=MazeSettings(least=0.6), reveal=Reveal(share=1.0, most=1.0)
    )
    sampler = make_sampler(config, Maze(7, 8), training_set(config, Maze(7, 8)))
    draws = [sampler.draw(slot, 0, 0.0) for slot in range(8)]
    assert any((draw.question == PATH).any() for draw in draws)
    assert all(Maze(7, 8).shortest(draw.question[None], draw.answer[None])[0] for draw in draws)
