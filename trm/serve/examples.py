"""Example puzzles: from the embedded sets, or made with the package's generator for sizes that these do not have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from trm.errors import BadInput
from trm.inference.solver import Solver
from trm.serve.checking import to_json
from trm.serve.schemas import ArcPuzzle, Example, Pair
from trm.tasks import family_name, find_family, get_task, resizable
from trm.tasks.base import Tokens
from trm.tasks.maze import sets as maze_sets
from trm.tasks.maze.task import Maze
from trm.tasks.sudoku import sets as sudoku_sets
from trm.tasks.sudoku.task import Sudoku
from trm.tasks.text import printable

KINDS = (("minimal", "easy"), ("minimal", "hard"), ("validation", "extreme"))  # (embedded set, what it is called)
FIRST = 12  # so many rows of each set
SHOWN = 24  # puzzles of a task that is known by its model
OPENING = 14  # the row of the extreme ones that the page solves first: it takes 12 steps, enough to be watched
EASY = 36  # givens of an easy one
WINDOWS = ((8, 1), (15, 2), (20, 3), (30, 0))  # (side of a maze, embedded row that it is cut from)
OTHERS = {  # (height, width) of a box -> a puzzle
    (2, 2): ".2.4.3...4.2....",
    (2, 3): ".2....4......546.......3..6.2...5..4",
    (4, 4): (
        "9.A.384...1G7.5..45G7F...8E.316.31...5A.F4769C....7BE6..593C.84."
        "1..6.EB.92F8.3.4.54921.GE.D.F......A4D..C.6.5..8.BD3..9F475.G..C"
        ".G.F9..385.E1AB.5.BE.7281........89D1.6A3.4FE2C54AC..B.E.6...D.."
        "..F..974..A...D.B.85G3F.D1...7...D14.2..6.87CG93G93..C.D....4.8F"
    ),
}


def examples() -> list[Example]:
    return [*sudokus(), *mazes(), *arc_tasks()]


def own_examples(solvers: Mapping[str, Solver], files: Mapping[str, str]) -> Iterator[Example]:
    """Puzzles of the tasks that are known by their model: from `files`, by the name of the task, or else from the file
    that the model was trained on, if it can still be read, or else those that the task itself has for validation.

    Raises BadInput for a file that cannot be read, or for a task that is not there.
    """
    own = {name: solver for name, solver in solvers.items() if name not in resizable()}
    for name in files:
        if name not in own:
            raise BadInput(
                f"examples of {name}: no such model; there are {', '.join(own) or 'none: name it by --weights'}"
            )
    for name, solver in own.items():
        task = get_task(solver.task)
        file = files.get(name)
        chosen = file or trained_on(solver)
        try:
            if chosen is None:
                label, puzzles = "validation", task.puzzles("validation")
            else:
                task = find_family(task.spec.name).sized_by_file(task, chosen)
                label, puzzles = printable(Path(chosen).name), task.read_file(chosen)
        except BadInput:
            if file:
                raise
            continue
        for question in puzzles.question[:SHOWN]:
            yield Example(task=name, name=label, puzzle=to_json(task, question))


def trained_on(solver: Solver) -> str | None:
    """The file that a model of this machine was trained on, if it is still there. A downloaded model names none."""
    run = solver.stored.about.get("run")
    path = run.get("data") if isinstance(run, dict) and solver.stored.local else None
    return path if isinstance(path, str) and Path(path).is_file() else None


def sudokus() -> Iterator[Example]:
    task, rng = Sudoku(), np.random.default_rng(0)
    yield example(task, "extreme", sudoku_sets.embedded("validation").question[OPENING])
    for part, name in KINDS:
        puzzles = sudoku_sets.embedded(part)
        for question, answer in zip(puzzles.question[:FIRST], puzzles.answer[:FIRST], strict=True):
            yield example(task, name, fill_in(question, answer, EASY, rng) if name == "easy" else question)
    for boxes, line in OTHERS.items():
        task = Sudoku(*boxes)
        yield example(task, f"{task.size}x{task.size}", task.read(line).question[0])


def fill_in(question: Tokens, answer: Tokens, givens: int, rng: np.random.Generator) -> Tokens:
    """question [cells] with cells filled in from the answer until so many are given. -> [cells]"""
    unknown = rng.permutation(np.flatnonzero(question != answer))
    filled: Tokens = question.copy()
    more = unknown[: len(unknown) - len(question) + givens]
    filled[more] = answer[more]
    return filled


def mazes() -> Iterator[Example]:
    question = maze_sets.embedded("validation").question
    for side, row in WINDOWS:
        least = maze_sets.usual_least(side, side) // 2
        cut = question[row] if side == 30 else Maze().crop(question[row], np.random.default_rng(row), side, side, least)
        yield example(Maze(side, side), f"{side}x{side}", cut)


def example(task: Sudoku | Maze, name: str, tokens: Tokens) -> Example:
    line, width = task.to_line(tokens), task.spec.width
    lines = [line[at : at + width] for at in range(0, len(line), width)]
    return Example(task="sudoku" if family_name(task.spec.name) == "sudoku" else "maze", name=name, puzzle=lines)


def arc_tasks() -> Iterator[Example]:
    """Two tasks made here, in the style of ARC."""
    rng = np.random.default_rng(1)
    mirrored = [pair(grid, grid[:, ::-1]) for grid in (noise(rng, 3 + side % 3, 4 + side) for side in range(4))]
    yield Example(task="arc", name="mirror", puzzle=ArcPuzzle(train=mirrored[:3], test=mirrored[3:]))
    filled = [pair(*hollow(rng, side)) for side in (6, 8, 9, 11)]
    yield Example(task="arc", name="fill the frame", puzzle=ArcPuzzle(train=filled[:3], test=filled[3:]))


def noise(rng: np.random.Generator, height: int, width: int) -> Tokens:
    """A grid [height, width] of black and two random colours."""
    colours = np.concatenate([[0, 0], 1 + rng.permutation(9)[:2]])
    return rng.choice(colours, (height, width)).astype(np.uint8)


def hollow(rng: np.random.Generator, side: int) -> tuple[Tokens, Tokens]:
    """A frame on a black board, empty and filled, [side, side] each."""
    grid = np.zeros((side, side), np.uint8)
    y, x = (int(at) for at in rng.integers(0, side - 4, 2))
    grid[y : y + 4, x : x + 4] = 3
    grid[y + 1 : y + 3, x + 1 : x + 3] = 0
    answer = grid.copy()
    answer[y + 1 : y + 3, x + 1 : x + 3] = 4
    return grid, answer


def pair(question: Tokens, answer: Tokens) -> Pair:
    return Pair(input=question.tolist(), output=answer.tolist())
