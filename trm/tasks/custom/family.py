"""The family of tasks that a user's data and structure file define."""

from __future__ import annotations

from trm.errors import BadInput
from trm.tasks.base import Task
from trm.tasks.custom.task import FAMILY as NAME
from trm.tasks.custom.task import Custom
from trm.tasks.family import Family


class CustomFamily(Family):
    """Its tasks are known once a model of theirs has been loaded, or a run of theirs begun."""

    name = NAME

    def __init__(self) -> None:
        self.tasks: dict[str, Custom] = {}  # by the name of their spec, which holds a digest of their definition

    def task_names(self) -> tuple[str, ...]:
        return tuple(self.tasks)

    def task(self, name: str) -> Task:
        if name not in self.tasks:
            raise BadInput(f"task {name!r} is unknown: a custom task is defined by a model that was trained for it")
        return self.tasks[name]


FAMILY = CustomFamily()


def remember(task: Custom) -> None:
    """Make a task known to `trm.tasks.get_task` by the name of its spec."""
    FAMILY.tasks[task.spec.name] = task
