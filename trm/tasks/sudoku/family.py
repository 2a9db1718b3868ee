"""The family of Sudokus, 4x4 to 16x16."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from trm.errors import BadInput
from trm.tasks.base import Part, Puzzles, Task
from trm.tasks.family import Family
from trm.tasks.sudoku.task import SIZES, Sudoku, sudoku_for


class SudokuFamily(Family):
    name = "sudoku"
    weights = "sudoku"
    thinking: ClassVar[Mapping[str, Any]] = {"steps": 24, "restarts": 100, "guesses": 2, "noise": 0.5}
    dataset = "sapientinc/sudoku-extreme"
    any_size = True

    def task_names(self) -> tuple[str, ...]:
        return tuple(task.spec.name for task in SIZES.values())

    def task(self, name: str) -> Task:
        for task in SIZES.values():
            if task.spec.name == name:
                return task
        raise BadInput(f"task {name!r} is unknown; choose one of {', '.join(self.task_names())}")

    def task_for(self, text: str, default: Task | None = None) -> Sudoku:
        return sudoku_for(text)

    def task_of_shape(self, shape: tuple[int, ...]) -> Sudoku:
        task = SIZES.get(shape[0] * shape[1])
        if task is None:
            raise BadInput(f"a Sudoku has 4, 6, 9 or 16 rows and columns, not the shape {shape}")
        return task

    def shape_of(self, cells: int) -> tuple[int, int] | None:
        task = SIZES.get(cells)
        return None if task is None else (task.size, task.size)

    def embedded(self, task: Task, part: Part) -> Puzzles:
        from trm.tasks.sudoku import sets

        assert isinstance(task, Sudoku)
        return sets.embedded(part, task)


FAMILY = SudokuFamily()
