"""Rows of a set or a file, with the model and its task at their size."""

from __future__ import annotations

from typing import NamedTuple

from trm.errors import BadInput
from trm.store.stored import Stored, resize
from trm.tasks import SETS, answered, evaluation_puzzles, find_family, get_task
from trm.tasks.base import Puzzles, Task
from trm.tasks.text import naming, read_file


class Rows(NamedTuple):
    """What a model is evaluated on."""

    stored: Stored
    task: Task
    puzzles: Puzzles


def rows_for(stored: Stored, data: str, rows: slice) -> Rows:
    """Rows of a set (see SETS) or a file, and the model and its task at their size. Raises BadInput.

    The remarks of the puzzles say what was left out of the file; whoever calls this shows them.
    """
    task = get_task(stored.spec.name)
    family = find_family(task.spec.name)
    if family.any_size and data not in SETS:
        text = read_file(data)  # once, as it may be a pipe; its puzzles may have another size than those trained on
        with naming(data):
            task = family.task_for(text, task)
        stored = resize(stored, task.spec)
        with naming(data):
            read = task.read(text).read_from(data)
        puzzles = answered(read, data).take(rows)
    else:
        task = task if data in SETS else family.sized_by_file(task, data)
        stored = stored if task.spec == stored.spec else resize(stored, task.spec)
        puzzles = evaluation_puzzles(task, data).take(rows)
    if not len(puzzles):
        raise BadInput(f"no rows left: --skip {rows.start} leaves out all of the data")
    return Rows(stored, task, puzzles)
