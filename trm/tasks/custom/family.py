"""The family of custom tasks, which a user's data and structure file define."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trm.errors import BadInput
from trm.tasks.base import Task
from trm.tasks.custom.structure import Structure
from trm.tasks.custom.task import FAMILY as NAME
from trm.tasks.custom.task import Custom
from trm.tasks.family import Family


class CustomFamily(Family):
    """Custom tasks. A task becomes known when a model for it is loaded (`trm.store.load` calls `remember`)."""

    name = NAME
    defined_by_weights = True

    def __init__(self) -> None:
        self.tasks: dict[str, Custom] = {}  # by the name of the spec, which holds a digest of the structure

    def task_names(self) -> tuple[str, ...]:
        return tuple(self.tasks)

    def task(self, name: str) -> Task:
        if name not in self.tasks:
            raise BadInput(f"task {name!r} is unknown: a custom task is defined by a model that was trained for it")
        return self.tasks[name]

    def definition(self, task: Task) -> dict[str, Any] | None:
        assert isinstance(task, Custom)
        return task.structure.model_dump(mode="json", exclude_defaults=True)

    def define(self, definition: Mapping[str, Any]) -> Task:
        task = Custom(Structure.model_validate(definition))
        remember(task)
        return task


FAMILY = CustomFamily()


def remember(task: Custom) -> None:
    """Make a task available to `trm.tasks.get_task` by the name of its spec."""
    FAMILY.tasks[task.spec.name] = task
