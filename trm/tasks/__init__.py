"""Puzzle families by name, and where their puzzles come from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from trm.errors import BadInput
from trm.tasks.base import Puzzles, Spec, Task, Tokens
from trm.tasks.sudoku import SIZES, Sudoku, read_file

__all__ = ["Puzzles", "Spec", "Task", "Tokens", "get_task", "load_puzzles", "register_task", "spec_of"]

Part = Literal["train", "validation", "minimal"]

TASKS: dict[str, Callable[[], Task]] = {task.spec.name: lambda task=task: task for task in SIZES.values()}  # type: ignore[misc]

# Boards whose puzzles cannot be read yet, for building and describing models. Tokens: field order of the benchmarks'
# published encodings (maze: padding, `# SGo`; ARC: padding, end marker, ten colours).
BOARDS = {
    "maze": Spec("maze", 30, 30, vocab=6, first_symbol=6),
    "arc-agi-1": Spec("arc-agi-1", 30, 30, vocab=12, first_symbol=12),
    "arc-agi-2": Spec("arc-agi-2", 30, 30, vocab=12, first_symbol=12),
}


def spec_of(name: str) -> Spec:
    """The board of a task. Raises BadInput for a name that is not registered."""
    return BOARDS[name] if name in BOARDS and name not in TASKS else get_task(name).spec


def register_task(name: str, make: Callable[[], Task]) -> None:
    """Make the task that `make()` returns available by name, as the package's own are."""
    TASKS[name] = make


def get_task(name: str) -> Task:
    """Raises BadInput for a name that is not registered."""
    if name not in TASKS:
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
    from trm.tasks import sudoku_data

    if task != Sudoku():
        raise BadInput(f"task {task.spec.name!r} has no embedded puzzles; give a file with --data PATH")
    return sudoku_data.embedded(part)
