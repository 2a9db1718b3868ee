"""Shortest paths, generated mazes, statistics of sets, and the embedded sets compared with the benchmark."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from maze_cases import ANSWER, SHOWN, SMALL, WAYS, neighbours, queue_label, queue_search, random_questions

from trm.errors import BadInput
from trm.tasks.base import Tokens
from trm.tasks.maze.paths import count_routes, distances
from trm.tasks.maze.sets import (
    EMBEDDED,
    embedded,
    fingerprint,
    generate,
    read_mazes,
    statistics,
    summary,
    usual_least,
    write_set,
)
from trm.tasks.maze.task import PATH, START, WALL, Maze, maze_for
from trm.tasks.text import read_file

GENUINE = Path(__file__).parents[3] / "shared" / "data" / "maze_hard" / "train.csv"
SIZES = [(2, 2), (2, 9), (7, 3), (8, 8), (13, 20)]


# Paths


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_paths_are_those_of_a_queue(height: int, width: int) -> None:
    maze = Maze(height, width)
    question = random_questions(maze, 130, height)
    moves, labelled = maze.moves(question), 0
    for row, length in zip(question, moves.tolist(), strict=True):
        expected = queue_label(maze, row)
        if expected is None:
            assert length == -1
            with pytest.raises(BadInput, match="no path leads from S to G"):
                maze.label(row)
            continue
        assert length == int((expected == PATH).sum()) + 1
        assert (maze.label(row) == expected).all()
        labelled += 1
    assert 30 < labelled <= 130


def test_distances_for_many_mazes_at_once() -> None:
    maze, rng = Maze(6, 9), np.random.default_rng(4)
    question = random_questions(maze, 1100, 1)  # more than one chunk, and not a whole number of words
    start = rng.integers(maze.cells, size=1100)
    found = distances(question != WALL, start, 6, 9)
    for row in [*range(0, 1100, 50), 1023, 1024, 1099]:
        moves, _ = queue_search(maze, question[row], int(start[row]))
        assert found[row].tolist() == [moves.get(cell, -1) for cell in range(maze.cells)]
    assert distances(np.ones((0, 54), np.bool_), np.zeros(0, np.int64), 6, 9).shape == (0, 54)
    snake = np.ones((100, 100), np.bool_)
    snake[1::4, :-1] = snake[3::4, 1:] = False
    assert int(distances(snake.reshape(1, -1), np.array([0]), 100, 100).max()) > 5000


def test_shortest_paths_are_counted() -> None:
    maze = Maze(6, 5)
    question = random_questions(maze, 40, 2)
    ends = np.array([maze.ends(row) for row in question])
    found = count_routes(question != WALL, ends[:, 0], ends[:, 1], 6, 5)
    for row, (start, goal), count in zip(question, ends.tolist(), found.tolist(), strict=True):
        moves, _ = queue_search(maze, row, start)
        ways = {start: 1}
        for cell in sorted(moves, key=lambda cell: moves[cell])[1:]:
            ways[cell] = sum(ways[near] for near in neighbours(maze, cell) if moves.get(near) == moves[cell] - 1)
        assert ways.get(goal, 0) == count
    assert found.max() > 3


# Generation


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    st.integers(5, 14),
    st.integers(5, 14),
    st.integers(0, 2**40),
    st.integers(1, 12),
    st.sampled_from(["hard", "perfect"]),
)
def test_generated_mazes(height: int, width: int, seed: int, least: int, kind: str) -> None:
    maze = Maze(height, width)
    least = min(least, (height + 1) // 2 + (width + 1) // 2)
    puzzles = generate(kind, 5, seed, height, width, least)
    assert (maze.moves(puzzles.question) >= least).all()
    assert maze.shortest(puzzles.question, puzzles.answer).all()
    marks = {fingerprint(maze, question) for question in puzzles.question}
    assert len(marks) == 5
    assert (generate(kind, 3, seed, height, width, least).question == puzzles.question[:3]).all()
    apart = generate(kind, 5, seed, height, width, least, avoid=marks)
    assert not marks & {fingerprint(maze, question) for question in apart.question}
    assert (generate(kind, 5, seed + 1, height, width, least).question != puzzles.question).any()


def test_the_usual_length_grows_with_the_size() -> None:
    assert [usual_least(side, side) for side in (2, 10, 30, 60)] == [2, 33, 109, 232]
    ticks: list[int] = []
    puzzles = generate("hard", 3, 1, 10, 10, tick=lambda: ticks.append(1))
    assert len(ticks) == 3
    assert (Maze(10, 10).moves(puzzles.question) >= 33).all()
    assert len(generate("hard", 0, 1).question) == 0


@pytest.mark.parametrize(("height", "width"), [(9, 9), (8, 13), (2, 6)])
def test_perfect_mazes_are_trees(height: int, width: int) -> None:
    maze = Maze(height, width)
    puzzles = generate("perfect", 3, 1, height, width)
    free = puzzles.question != WALL
    assert (free.sum(1) == maze.degrees(free)[0][free[0]].sum() // 2 + 1).all()
    start = (puzzles.question == START).argmax(1)
    moves = distances(free, start, height, width)
    assert ((moves >= 0) == free).all()
    assert (2 * maze.moves(puzzles.question) >= moves.max(1)).all()
    rooms = ((height + 1) // 2) * ((width + 1) // 2)
    assert (free.sum(1) == 2 * rooms - 1).all()


def test_what_cannot_be_generated_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trm.tasks.maze.sets.PATIENCE", 1 << 20)
    for arguments, words in (
        (("easy", 1, 1), "no kind of maze 'easy'; there are: hard, perfect"),
        (("hard", 1, 1, 1, 9), "1x9 cells is not supported"),
        (("hard", 1, 1, 5, 5, 25), "a path of 25 moves does not fit a maze of 5x5 cells"),
        (("hard", 1, 1, 5, 5, 0), "a path of 0 moves does not fit"),
        (("hard", 1, 1, 5, 5, 20), "found no 5x5 maze with a path of 20 moves; ask for a shorter one"),
        (("perfect", 1, 1, 3, 3, 8), "found no perfect 3x3 maze with a path of 8 moves; ask for a shorter one"),
        (("hard", 9, 1, 2, 2), "found fewer than 9 different mazes of this size and length"),
    ):
        with pytest.raises(BadInput, match=words):
            generate(*arguments)


def test_statistics_of_a_maze_by_hand() -> None:
    found = statistics(SMALL, SMALL.read(WAYS["csv"]).question)
    assert {name: values.tolist() for name, values in found.items()} == {
        "walls": [4],
        "moves from S to G": [6],
        "moves to the farthest cell": [6],
        "shortest paths, log10": [0],
        "rows and columns apart": [6],
        "open cells reached, %": [100],
        "dead ends": [4],
        "2x2 all wall": [0],
        "2x2 all open": [0],
    }


def test_files_are_loaded_and_labelled(tmp_path: Path) -> None:
    path = tmp_path / "maze.txt"
    path.write_text(SHOWN)
    maze, puzzles = read_mazes(path)
    assert maze == SMALL
    assert maze.to_line(puzzles.answer[0]) == ANSWER
    with pytest.raises(BadInput, match="cannot read"):
        read_mazes(tmp_path / "none.txt")
    path.write_text(SHOWN.replace("\n", ""))
    assert read_mazes(path, SMALL).puzzles.answer.tolist() == puzzles.answer.tolist()


# The sets that ship, and the benchmark

# For each statistic: the 10, 25, 50, 75 and 90 per cent quantiles of the benchmark's 1,000 training mazes, and how far
# off ours may be, about three standard errors of a set of this size.
BENCHMARK = {
    "walls": ((304, 318, 334, 349, 364), 5),
    "moves from S to G": ((109, 110, 112, 116, 121), 2),
    "moves to the farthest cell": ((112, 115, 119, 124, 130), 3),
    "shortest paths, log10": ((4.6, 5.55, 6.59, 7.75, 8.95), 0.3),
    "rows and columns apart": ((8, 12, 18, 25, 33), 3),
    "open cells reached, %": ((79.3, 84.6, 89.8, 93.3, 95.5), 1.5),
    "dead ends": ((68, 75, 82, 89, 96), 3),
    "2x2 all wall": ((9, 12, 16, 20, 25), 2),
    "2x2 all open": ((100, 113, 129, 147, 165), 6),
}


@cache
def questions(name: str) -> Tokens:
    return embedded(name).question


@pytest.mark.parametrize("name", EMBEDDED)
def test_the_embedded_sets_are_like_the_benchmark(name: str) -> None:
    puzzles = embedded(name)
    assert puzzles.question.shape == (1000, 900)
    assert puzzles.question.dtype == puzzles.answer.dtype == np.uint8
    assert Maze().shortest(puzzles.question, puzzles.answer).all()
    assert Maze().moves(puzzles.question).min() == 109
    for row in range(0, 1000, 100):
        assert (puzzles.answer[row] == queue_label(Maze(), puzzles.question[row])).all()
    for key, found in summary(Maze(), puzzles.question, (10, 25, 50, 75, 90)).items():
        expected, doubt = BENCHMARK[key]
        assert found == pytest.approx(expected, abs=doubt), key
    with pytest.raises(BadInput, match="no embedded set 'minimal' of mazes; there are: train, validation"):
        embedded("minimal")


def test_no_two_embedded_mazes_are_alike() -> None:
    marks = {fingerprint(Maze(), question) for name in EMBEDDED for question in questions(name)}
    assert len(marks) == 2000


def test_a_set_is_written_the_same_every_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        write_set(tmp_path / f"maze_{name}.npz", questions("train"))
    assert (tmp_path / "maze_a.npz").read_bytes() == (tmp_path / "maze_b.npz").read_bytes()
    assert (tmp_path / "maze_a.npz").stat().st_size < 150_000
    # The embedded set begins with the mazes that its seed gives.
    assert (generate("hard", 3, 2).question == questions("train")[:3]).all()


@pytest.mark.skipif(not GENUINE.exists(), reason="the shared benchmark rows are not here")
def test_all_genuine_answers_are_reproduced() -> None:
    text = read_file(GENUINE)
    maze = maze_for(text)
    assert maze == Maze()
    puzzles = maze.read(text)
    assert len(puzzles) == 1000
    assert (maze.label(puzzles.question) == puzzles.answer).all()
    assert maze.shortest(puzzles.question, puzzles.answer).all()
    marks = {fingerprint(maze, question) for question in puzzles.question}
    assert not marks & {fingerprint(maze, question) for name in EMBEDDED for question in questions(name)}
    found: dict[str, list[float]] = summary(maze, puzzles.question, (10, 25, 50, 75, 90))
    for key, (expected, _) in BENCHMARK.items():
        assert found[key] == pytest.approx(expected, rel=0.01, abs=0.5), key
