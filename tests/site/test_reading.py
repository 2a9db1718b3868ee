"""Rules and reading of the page without a server: in JavaScript as in Python, on good and on damaged puzzles."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from javascript import Script

from trm.serve import Limits
from trm.serve.app import Service
from trm.serve.limits import Queue
from trm.serve.schemas import MazeQuestion, SudokuQuestion
from trm.tasks import load_puzzles
from trm.tasks.maze.sets import generate
from trm.tasks.maze.task import Maze
from trm.tasks.sudoku.task import SIZES, Sudoku

SMALL = {4: ".2.4.3...4.2....", 6: ".2....4......546.......3..6.2...5..4"}
SIDE = 30


def check(task: str, puzzle: Any) -> dict[str, Any]:
    """What the server says of a puzzle."""
    kind = SudokuQuestion if task == "sudoku" else MazeQuestion
    service = Service({}, Limits(side=SIDE), Queue(1, 1))
    found: dict[str, Any] = service.check(kind.model_validate({"task": task, "puzzle": puzzle})).model_dump()
    return found


def sudoku_texts() -> Iterator[str]:
    """Puzzles of every size in the usual forms."""
    nine = load_puzzles(Sudoku(), "embedded", "minimal").question[:3]
    lines = [*SMALL.values(), *(Sudoku().to_line(question) for question in nine)]
    for line in lines:
        task = SIZES[len(line)]
        rows = [line[at : at + task.size] for at in range(0, task.cells, task.size)]
        yield line
        yield "\n".join(rows)
        yield task.draw(task.read(line).question[0])
        yield "\n".join(rows).replace(".", "0")
        yield "# a comment\n" + "\r\n".join(" ".join(row) for row in rows).replace(".", "_") + "\n"
        yield "\n".join("|".join((row[: task.box_width], row[task.box_width :])) for row in rows).replace(".", "*")


def maze_texts() -> Iterator[str]:
    for height, width in ((6, 6), (5, 9), (12, 7)):
        task = Maze(height, width)
        for question in generate("hard", 3, 1, height, width, least=3).question:
            yield task.draw(question)
            yield task.to_line(question) + "\n"
            yield "\r\n" + task.draw(question) + "\n\n"


def damaged(text: str, rng: random.Random, signs: str) -> str:
    """The text with a few characters or lines changed, taken away or put in."""
    for _ in range(rng.randint(1, 2)):
        at = rng.randrange(len(text))
        kind = rng.randrange(5)
        if kind < 2:
            text = text[:at] + rng.choice(signs) + text[at + 1 :]
        elif kind == 2:
            text = text[:at] + text[at + 1 :]
        elif kind == 3:
            text = text[:at] + rng.choice(signs) + text[at:]
        else:
            lines = text.split("\n")
            lines.pop(rng.randrange(len(lines)))
            text = "\n".join(lines) or "."
        text = text or "."
    return text


def cases() -> list[dict[str, Any]]:
    rng = random.Random(1)
    found = []
    for task, texts, signs in (("sudoku", sudoku_texts, "123456789.0_G"), ("maze", maze_texts, "#.SGo")):
        for text in texts():
            found += [{"task": task, "puzzle": text}]
            found += [{"task": task, "puzzle": damaged(text, rng, signs)} for _ in range(12)]
    return found


def test_damaged_puzzles_are_read_and_refused_alike(rules: Script) -> None:
    """The same grid or the same message, and the same cells at fault."""
    puzzles = cases()
    found = rules.run("check", puzzles=puzzles)
    for puzzle, one in zip(puzzles, found, strict=True):
        assert one == check(puzzle["task"], puzzle["puzzle"]), puzzle
    assert 100 < sum(one["ok"] for one in found) < len(found) - 300


NINE = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
ROWS = [NINE[at : at + 9] for at in range(0, 81, 9)]
FORMS: dict[str, list[Any]] = {
    "sudoku": [
        NINE.replace(".", "x"),
        NINE.replace(".", "-"),
        "\n".join(ROWS).replace(".", " "),
        "\n".join(map(",".join, ROWS)).replace(".", "0"),
        "\n".join(map(",".join, ROWS)).replace(".", ""),
        ",".join(NINE).replace(".", ""),
        str([[0 if sign == "." else int(sign) for sign in row] for row in ROWS]),
        f"{NINE}\n{NINE}",
        ".....6....59.....82....8....45........3........6..3.54...325..6..................",  # several solutions
        "",
        "\n\n",
        "Puzzle 1:\n" + "\n".join(ROWS),
        ROWS,
        [[0] * 9] * 9,
        [[1, 1, *[0] * 7], *[[0] * 9] * 8],
        [[0] * 9] * 8,
        [*[[0] * 9] * 8, [0] * 8],
        [[12, *[0] * 8], *[[0] * 9] * 8],
        f"{NINE[:80]}é",
        f"{NINE[:80]}'",
        f"{NINE[:40]} {NINE[40:]}",
        f"{NINE[:41]} {NINE[41:]}",
        "1" * 81,
        "." * 256,
        "5.2|...",
        NINE.replace("9", "0"),
        "12345678." + "." * 72,
        "........." * 7 + ".." + "1.......2",
    ],
    "maze": [
        "S.\n.G",
        ["S#..", "..#G", "#..."],
        ["S#..", "..#G", "#.#."],
        ["S  #", " #G ", "  # "],
        "S . # .\n. . . G\n. # . .",
        "S█.\n..E",
        "S.\n.G\n\nS.\n.G",
        ["S" + "." * 30, "G" + "." * 30],
        "S" + "." * 200 + "G",
        ["S..G", "."],
        "SG",
        "",
        "S.G#.#...",
        ["SS..", "..#G"],
        ["S...", "..#."],
        "S.'\n..G",
        'S ".\n...G',
        [" #S", "  G"],
        [" .S", ". G"],
    ],
}


def test_other_forms_are_read_alike(rules: Script) -> None:
    puzzles = [{"task": task, "puzzle": puzzle} for task, forms in FORMS.items() for puzzle in forms]
    for puzzle, one in zip(puzzles, rules.run("check", puzzles=puzzles), strict=True):
        assert one == check(puzzle["task"], puzzle["puzzle"]), puzzle


def test_answers_are_judged_alike(rules: Script) -> None:
    """Right ones, and those with a few cells changed."""
    rng = np.random.default_rng(2)
    nine, maze = load_puzzles(Sudoku(), "embedded", "minimal"), Maze(9, 7)
    small = generate("hard", 20, 2, 9, 7)
    answers, wanted = list[Any](), list[Any]()
    for task, name, puzzles, most in ((Sudoku(), "sudoku", nine.take(slice(0, 20)), 11), (maze, "maze", small, 6)):
        for question, answer in zip(puzzles.question, puzzles.answer, strict=True):
            for changes in (0, 1, 1, 2, 3):
                tokens = answer.copy()
                tokens[rng.choice(len(tokens), changes, replace=False)] = rng.integers(1, most, changes)
                valid = bool(task.valid(question[None], tokens[None])[0])
                width = task.spec.width
                text = "\n".join(task.to_line(question)[at : at + width] for at in range(0, task.spec.cells, width))
                answers.append({"task": name, "question": text, "tokens": tokens.tolist()})
                wanted.append(
                    {
                        "valid": valid,
                        "right": valid and bool(task.right(question[None], tokens[None])[0]),
                        "faults": [{"cell": one.cell, "message": one.what} for one in task.faults(question, tokens)],
                        "text": task.draw(tokens),
                    }
                )
    assert rules.run("judge", answers=answers) == wanted
    assert 20 < sum(one["valid"] for one in wanted) < len(wanted) - 50


def test_random_numbers(rules: Script) -> None:
    """Normal, equal for equal seeds, and different for others."""
    found = rules.run("random", seeds=[[1, 2], [1, 2], [2, 1], [1, 3]], count=4000)
    first, again, *others = np.array(found["draws"])
    assert (first == again).all()
    assert abs(first.mean()) < 0.05
    assert first.std() == pytest.approx(1, abs=0.04)
    assert np.quantile(first, [0.05, 0.95]) == pytest.approx([-1.645, 1.645], abs=0.12)
    assert all(abs(np.corrcoef(first, other)[0, 1]) < 0.05 for other in others)
    assert sorted(found["order"]) == [*range(4000)] != found["order"]
