"""Reading, checking and varying mazes; the oracles are a plain queue and enumeration."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from maze_cases import ANSWER, SHOWN, SMALL, WAYS, every_answer, neighbours, queue_label, random_questions

from trm.errors import BadInput
from trm.tasks import get_task
from trm.tasks.base import Task, Tokens
from trm.tasks.maze.sets import complete, fingerprint, generate
from trm.tasks.maze.task import CHARACTERS, GOAL, OPEN, PATH, START, WALL, Maze, maze_for
from trm.terminal import boards


def failure(text: str, maze: Maze | None = None) -> str:
    with pytest.raises(BadInput) as caught:
        (maze or maze_for(text)).read(text)
    return str(caught.value)


def test_the_task_keeps_its_contract() -> None:
    task: Task = Maze()
    assert (task.spec.name, task.spec.cells, task.spec.vocab, task.spec.symbols) == ("maze", 900, 6, 0)
    assert Maze(10, 20).spec.name == "maze-10x20"
    for maze in (Maze(), Maze(10, 20), Maze(100, 100)):
        assert get_task(maze.spec.name) == maze
    for name in ("maze-", "maze-0x5", "maze-3x3x3", "maze-3x3\n", "maze-+3x3", "maze-٣x3"):
        with pytest.raises(BadInput, match="is unknown; a maze is called maze"):
            get_task(name)
    for size in ("maze-1x5", "maze-101x5", "maze-999999999x2"):
        with pytest.raises(BadInput, match=r"is not supported \(2x2 to 100x100\)"):
            get_task(size)


def test_import_is_light() -> None:
    code = "import sys, trm.tasks.maze.sets; print({'torch', 'numba', 'huggingface_hub'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


# Reading and drawing


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_writing_reads_the_same(way: str) -> None:
    if "csv" not in way and way != "one line":  # these cannot tell 3x5 from 5x3
        assert maze_for(WAYS[way]) == SMALL
    puzzles = SMALL.read(WAYS[way])
    assert [SMALL.draw(row) for row in puzzles.question] == [SHOWN]
    assert puzzles.answer.any() == (way == "csv")
    assert (complete(puzzles, SMALL).answer == SMALL.read(WAYS["csv"]).answer).all()


def test_several_mazes_and_rows_of_spaces() -> None:
    text = "   \nS#G\n   \n\n...\nSGo\n###\n  \nS#G\n   \n   "
    assert maze_for(text) == Maze(3, 3)
    lines = [Maze(3, 3).to_line(row) for row in Maze(3, 3).read(text).question]
    assert lines == ["...S#G...", "...SGo###", "S#G......"]
    assert maze_for("\n".join(lines)) == Maze(3, 3)
    assert (Maze(3, 3).read("\n".join(lines)).question == Maze(3, 3).read(text).question).all()
    assert maze_for("question,answer\n" + lines[0] + ",\n") == Maze(3, 3)
    assert maze_for('source,question\n"a, b",' + lines[0] + "\n") == Maze(3, 3)
    assert [maze_for(text) for text in ("", "question\n", "question\nSG\n", "a,question\nx\n", "S.G")] == [Maze()] * 5


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(2, 12), st.integers(2, 12), st.integers(0, 2**32), st.sampled_from(". "))
def test_what_is_drawn_reads_back(height: int, width: int, seed: int, blank: str) -> None:
    maze = Maze(height, width)
    question = random_questions(maze, 8, seed)
    question = question[maze.moves(question) >= 0]
    rng = np.random.default_rng(seed)
    tokens = [maze.reveal(row, maze.label(row), rng.random(), rng) for row in question]
    drawn = [maze.draw(row).replace(".", blank) for row in tokens]
    for row, text in zip(tokens, drawn, strict=True):
        assert (maze.read(text).question == row).all()
        assert (maze.read(maze.to_line(row)).question == row).all()
        assert maze_for(text) == maze
    if tokens:
        assert (maze.read("\n\n".join(drawn)).question == tokens).all()


LINE = SHOWN.replace("\n", "")


NONE = "is not a wall (#), an open cell (a space or .), S, G or o (path)"
LOST = "; write . for open cells, since spaces at the end of a line are easily lost"
HEAD = f"question,answer\n{LINE},"
COLUMN = "maze 1 (line 2), column answer: "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no maze found: the input is empty"),
        (" \n\n", "no maze found: the input is empty"),
        ("question\n", "no maze found: the CSV has a heading and no rows"),
        (SHOWN.replace("S", "."), "maze 1 (line 1): there is no S (start)"),
        (SHOWN.replace("G", "#"), "maze 1 (line 1): there is no G (goal)"),
        (SHOWN[:-1] + ".\n\n" + SHOWN, "maze 1 (line 1): there is no G (goal)"),
        (SHOWN + "\n\n" + SHOWN.replace("#.G", "GSG"), "maze 2 (line 5): more than one S (start): r1c1, r3c4"),
        (SHOWN.replace("\n..#", "\nGG#"), "maze 1 (line 1): more than one G (goal): r3c1, r3c2, r3c5"),
        (SHOWN.replace("#...#", "#####"), "maze 1 (line 1): no path leads from S to G"),
        (SHOWN.replace("#...#", "#.x.#"), f"line 2, character 3: 'x' {NONE}"),
        (SHOWN.replace("#...#", "#\t..#"), f"line 2, character 2: '\\t' {NONE}"),
        (SHOWN.replace("#...#", "#..."), f"maze 1 (line 2): row 2 has 4 cells instead of 5{LOST}"),
        (SHOWN.replace("#...#", "#...##"), "maze 1 (line 2): row 2 has 6 cells instead of 5"),
        ("S..\n" + SHOWN[6:], f"maze 1 (line 1): row 1 has 3 cells instead of 15 for a whole maze or 5{LOST}"),
        (SHOWN[:-6], "maze 1 (line 1): the maze ends after 2 rows instead of 3"),
        (SHOWN[:5] + "\n\n" + SHOWN, "maze 1 (line 2): the maze ends after 1 row instead of 3"),
        (LINE + ".", "maze 1 (line 1): row 1 has 16 cells instead of 15 for a whole maze or 5"),
        ("question,answer\n1,2,3\n", "line 2: 3 columns instead of 2"),
        (f"question,answer\n{LINE}.,\n", "line 2, column question: 16 cells instead of 15"),
        (f"{HEAD}{ANSWER}o\n", "line 2, column answer: 16 cells instead of 15"),
        (f"{HEAD}{ANSWER[:-1]}?\n", f"line 2, column answer, character 15: '?' {NONE}"),
        (f"{HEAD}So...{ANSWER[5:]}\n", f"{COLUMN}r1c3 is . where the question has #"),
        (f"{HEAD}{ANSWER[:-2]}##\n", f"{COLUMN}r3c4 is # where the question has ."),
        (f"{HEAD}{ANSWER[:-2]}.G\n", f"{COLUMN}the path is cut off at r2c4"),
        (f"{HEAD}{LINE}\n", f"{COLUMN}the path is cut off at r1c1"),
        (f"{HEAD}{ANSWER.replace('..', '.o', 1)}\n", f"{COLUMN}the path is cut off at r1c5"),
        (f"{HEAD}{ANSWER.replace('..', 'oo', 1)}\n", f"{COLUMN}the path is cut off at r1c5"),
    ],
)
def test_errors_name_the_place(text: str, message: str) -> None:
    assert failure(text, SMALL) == message


def test_faults_of_answers() -> None:
    maze = Maze(4, 4)
    for answer, words in (
        ("SG........oo..oo", "r3c3 is not on the path from S to G"),
        ("SG..oo..........", "the path branches or touches itself at r1c1"),
        ("SG..............", None),
    ):
        tokens = np.array([CHARACTERS.index(c) for c in answer], np.uint8)
        question = np.where(tokens == PATH, OPEN, tokens).astype(np.uint8)
        assert maze.fault(question, tokens) == words
        assert bool(maze.valid(question[None], tokens[None])[0]) is (words is None)


def test_sizes_out_of_range() -> None:
    assert failure("S" + "." * 100 + "\n" + "." * 100 + "G").startswith(
        "a maze of 2x101 cells is not supported (2x2 to"
    )
    assert "103x103" in failure("SG" + "." * (103**2 - 2))
    assert failure("S..G.") == "maze 1 (line 1): row 1 has 5 cells instead of 900 for a whole maze or 30" + (
        "; write . for open cells, since spaces at the end of a line are easily lost"
    )
    wide = "S" + "." * 99 + "\n" + "." * 99 + "G"
    assert maze_for(wide) == Maze(2, 100)
    assert maze_for(wide).moves(maze_for(wide).read(wide).question).tolist() == [100]


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    st.one_of(st.text(max_size=200), st.text("#. SGo\n", max_size=200), st.text('#.SGo\n,"qusetionawr', max_size=200)),
    st.integers(0, 30),
    st.characters(codec="utf-8"),
)
def test_no_other_error_whatever_the_text(text: str, at: int, junk: str) -> None:
    for trial in (
        text,
        "question,answer\n" + text,
        SHOWN[:at] + junk + SHOWN[at + 1 :],
        SHOWN[:at] + junk + SHOWN[at:],
    ):
        for maze in (None, SMALL):
            message = ""
            try:
                (maze or maze_for(trial)).read(trial)
            except BadInput as error:
                message = str(error)
            assert message == "" or (message.isprintable() and len(message) < 200)


# Checking


def chordless(maze: Maze, question: Tokens, path: list[int], goal: int) -> Iterator[frozenset[int]]:
    """The cells of every path from path[0] to the goal that touches itself nowhere."""
    if path[-1] == goal:
        yield frozenset(path)
        return
    for near in neighbours(maze, path[-1]):
        if question[near] != WALL and sum(cell in path for cell in neighbours(maze, near)) == 1 and near not in path:
            yield from chordless(maze, question, [*path, near], goal)


@pytest.mark.parametrize(
    ("height", "width", "rows", "density"), [(3, 3, 60, 0.2), (3, 3, 8, 0.0), (4, 4, 6, 0.15), (2, 5, 20, 0.1)]
)
def test_valid_and_shortest_agree_with_enumeration(height: int, width: int, rows: int, density: float) -> None:
    maze, rng, right = Maze(height, width), np.random.default_rng(rows), 0
    for _ in range(rows):
        question = np.where(rng.random(maze.cells) < density, WALL, OPEN).astype(np.uint8)
        start, goal = rng.permutation(maze.cells)[:2].tolist()
        question[[start, goal]] = START, GOAL
        answers = every_answer(question)
        expected = set(chordless(maze, question, [start], goal))
        marked = [frozenset(np.flatnonzero(answer >= START).tolist()) for answer in answers]
        questions = np.repeat(question[None], len(answers), 0)
        assert maze.valid(questions, answers).tolist() == [cells in expected for cells in marked]
        least = min(map(len, expected), default=0)
        assert maze.shortest(questions, answers).tolist() == [
            cells in expected and len(cells) == least for cells in marked
        ]
        right += len(expected)
    assert right > 20


def test_loops_apart_from_the_path_are_not_valid() -> None:
    """All 16,384 answers to a 4x4 maze with room for a loop of four cells."""
    maze, question = Maze(4, 4), np.full(16, OPEN, np.uint8)
    question[:2] = START, GOAL
    answers = every_answer(question)
    assert maze.valid(np.repeat(question[None], len(answers), 0), answers).sum() == 1


def test_answers_that_change_the_question_are_not_valid() -> None:
    puzzles = SMALL.read(WAYS["csv"])
    question, answer = np.repeat(puzzles.question, 15 * 256, 0), np.repeat(puzzles.answer, 15 * 256, 0)
    cell, token = np.divmod(np.arange(15 * 256), 256)
    answer[np.arange(15 * 256), cell] = token
    assert SMALL.valid(question, answer).sum() == 15  # those in which the cell keeps its token
    without = np.where(puzzles.question == START, OPEN, puzzles.question).astype(np.uint8)
    assert not SMALL.valid(without, without).any()
    marked = np.where(puzzles.question == OPEN, PATH, puzzles.question).astype(np.uint8)
    assert SMALL.valid(marked, puzzles.answer).all()
    assert (SMALL.label(marked) == puzzles.answer).all()


# Variations


@pytest.mark.parametrize(("height", "width"), [(7, 7), (4, 9)])
def test_augmented_mazes_are_labelled_anew(height: int, width: int) -> None:
    maze, rng = Maze(height, width), np.random.default_rng(3)
    puzzles = generate("hard", 4, 1, height, width, least=6)
    turned_labels = 0
    for question, answer in zip(puzzles.question, puzzles.answer, strict=True):
        images = {image.tobytes() for image in question[maze.symmetries]}
        seen = set()
        for _ in range(60):
            turned, label = maze.augment(question, answer, rng)
            assert (label == queue_label(maze, turned)).all()
            which = [image.tobytes() for image in question[maze.symmetries]].index(turned.tobytes())
            turned_labels += int((label != answer[maze.symmetries[which]]).any())
            seen.add(turned.tobytes())
        assert seen == images
        assert len(images) == (8 if height == width else 4)
        assert {fingerprint(maze, np.frombuffer(image, np.uint8)) for image in images} == {fingerprint(maze, question)}
    assert turned_labels
    assert len({fingerprint(maze, question) for question in puzzles.question}) == 4


def test_reveal_marks_the_share_it_says_and_keeps_the_answer() -> None:
    maze, rng = Maze(12, 12), np.random.default_rng(3)
    puzzle = generate("hard", 1, 2, 12, 12)
    question, answer = puzzle.question[0], puzzle.answer[0]
    length = int((answer == PATH).sum())
    for share in (0.0, 0.3, 1.0):
        easier = maze.reveal(question, answer, share, rng)
        assert int((easier == PATH).sum()) == round(share * length)
        assert ((easier == question) | (easier == answer)).all()
        assert (maze.label(easier) == answer).all()
        assert maze.shortest(easier[None], answer[None]).all()
        assert fingerprint(maze, easier) == fingerprint(maze, question)
    assert not (question == PATH).any()
    with pytest.raises(ValueError, match="share"):
        maze.reveal(question, answer, 1.5, rng)


def test_other_ends_and_windows() -> None:
    maze, rng = Maze(14, 11), np.random.default_rng(5)
    question = generate("hard", 1, 3, 14, 11).question[0]
    starts = set()
    for least in (1, 10, 20) * 5:
        moved = maze.other_ends(question, rng, least)
        assert ((moved == WALL) == (question == WALL)).all()
        assert maze.moves(moved[None])[0] >= least
        starts.add(maze.ends(moved)[0])
        window = maze.crop(question, rng, 6, 7, least // 2)
        assert Maze(6, 7).moves(window[None])[0] >= max(1, least // 2)
        grid, walls = question.reshape(14, 11) == WALL, window.reshape(6, 7) == WALL
        assert any((grid[y : y + 6, x : x + 7] == walls).all() for y in range(9) for x in range(5))
    assert len(starts) > 5
    with pytest.raises(BadInput, match="no two cells of this maze are 150 moves apart"):
        maze.other_ends(question, rng, 150)
    with pytest.raises(BadInput, match="no two cells of a window of 6x7 cells are 40 moves apart"):
        maze.crop(question, rng, 6, 7, 40)
    with pytest.raises(BadInput, match="maze-14x11 has no window of 15x3 cells"):
        maze.crop(question, rng, 15, 3)


def test_the_terminal_finds_every_cell() -> None:
    puzzle = SMALL.read(WAYS["csv"])
    padded = puzzle.answer[0].copy()
    padded[0] = 0
    for answer in (puzzle.answer[0], padded):
        assert boards.grid(SMALL, puzzle.question[0], answer).plain == SMALL.draw(answer)
    assert SMALL.to_line(puzzle.answer[0]) == ANSWER
