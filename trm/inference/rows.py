"""Rows of a set or a file, with the model and its task at their size."""

from __future__ import annotations

from trm.errors import BadInput
from trm.store.stored import Stored, resize
from trm.tasks import answered, get_task, load_puzzles
from trm.tasks.base import Puzzles, Task
from trm.tasks.maze.task import Maze, maze_for
from trm.tasks.sudoku.task import Sudoku, sudoku_for
from trm.tasks.text import read_file

SETS = ("embedded", "minimal", "hub")


def rows_for(stored: Stored, data: str, rows: slice) -> tuple[Stored, Task, Puzzles]:
    """Rows of a set or a file, and the model and its task at their size. Raises BadInput."""
    task = get_task(stored.spec.name)
    if isinstance(task, Maze | Sudoku) and data not in SETS:
        text = read_file(data)  # once, as it may be a pipe; its puzzles may have another size than those trained on
        task = maze_for(text, task) if isinstance(task, Maze) else sudoku_for(text)
        stored = resize(stored, task.spec)
        puzzles = answered(task.read(text), data).take(rows)
    else:
        minimal = data == "minimal"
        puzzles = load_puzzles(task, "embedded" if minimal else data, "minimal" if minimal else "validation").take(rows)
    if not len(puzzles):
        raise BadInput(f"no rows left: --skip {rows.start} of the data is all of it")
    return stored, task, puzzles
