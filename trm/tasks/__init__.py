"""Puzzle families by name, and where their puzzles come from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from trm.errors import BadInput
from trm.tasks.arc import Arc, evaluation_pairs, training_pairs, training_tasks
from trm.tasks.base import Puzzles, Spec, Task, Tokens
from trm.tasks.maze import Maze, by_name
from trm.tasks.sudoku import SIZES, Sudoku, read_file

__all__ = ["Puzzles", "Spec", "Task", "Tokens", "get_task", "load_puzzles", "register_task"]

Part = Literal["train", "validation", "minimal"]

TASKS: dict[str, Callable[[], Task]] = {task.spec.name: lambda task=task: task for task in SIZES.values()}  # type: ignore[misc]
TASKS["maze"] = Maze
TASKS |= {name: lambda name=name: Arc(name) for name in ("arc-agi-1", "arc-agi-2")}  # type: ignore[misc]


def register_task(name: str, make: Callable[[], Task]) -> None:
    """Make the task that `make()` returns available by name, as the package's own are."""
    TASKS[name] = make


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
        source: `embedded` (our own, shipped in the package), `hub` (the public set, downloaded), or a file's path.
        part: which of the embedded sets; of the public set, its training rows or else its test rows.

    Raises:
        BadInput: no such file, a bad puzzle, or a file without answers.
        TrmError: the public set cannot be downloaded.
    """
    if source == "embedded":
        return embedded(task, part)
    if source == "hub":
        from trm.tasks import hub

        return hub.download(task, file="train.csv" if part == "train" else "test.csv")
    puzzles = task.read(read_file(source))
    unanswered = ~puzzles.answer.any(axis=1)
    if unanswered.any():
        raise BadInput(f"{Path(source).name}: puzzle {int(unanswered.argmax()) + 1} has no answer; use a CSV with both")
    return puzzles


def embedded(task: Task, part: Part) -> Puzzles:
    """One of the sets that ship in the package. Raises BadInput for a task that has none."""
    if task == Sudoku():
        from trm.tasks import sudoku_data

        return sudoku_data.embedded(part)
    if task == Maze():
        from trm.tasks import maze_data

        return maze_data.embedded(part)
    if isinstance(task, Arc):
        from trm.tasks.arc_leak import drop_leaks
        from trm.tasks.arc_read import load

        sets = load(task.name)
        tasks, _ = drop_leaks(training_tasks(*sets), sets.evaluation)
        return training_pairs(tasks) if part == "train" else evaluation_pairs(sets.evaluation, tasks)
    raise BadInput(f"task {task.spec.name!r} has no embedded puzzles; give a file with --data PATH")
