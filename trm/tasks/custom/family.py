"""The family of custom tasks, which a user's data and structure file define."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trm.errors import BadInput
from trm.tasks.base import Task
from trm.tasks.custom.structure import Structure
from trm.tasks.custom.task import FAMILY as NAME
from trm.tasks.custom.task import Custom
from trm.tasks.custom.text import drawn_shape, read_pairs
from trm.tasks.family import Family

NPZ = ".npz"
MOST_SIZES = 16  # that are known at a time


class CustomFamily(Family):
    """Custom tasks. A task becomes known when a model for it is loaded (`trm.store.load` calls `remember`)."""

    name = NAME
    defined_by_weights = True

    def __init__(self) -> None:
        self.tasks: dict[str, Custom] = {}  # by the name of the spec, which holds a digest of the structure
        self.sizes: dict[str, Custom] = {}  # the last ones of other sizes

    def task_names(self) -> tuple[str, ...]:
        return tuple(self.tasks)

    def task(self, name: str) -> Task:
        found = self.tasks.get(name) or self.sizes.get(name)
        if found is None:
            raise BadInput(
                f"task {name!r} is unknown: a custom task is defined by the model that was trained for it, in the size "
                "of its training"
            )
        return found

    def sized(self, name: str, shape: tuple[int, ...]) -> Task:
        return self.known(self.task(name), shape)

    def sized_by_file(self, task: Task, path: str) -> Task:
        assert isinstance(task, Custom)
        if not task.structure.any_size or not path.lower().endswith(NPZ):  # the shape of text is declared
            return task
        return self.known(task, read_pairs(path, task.structure).shape)

    def task_for(self, text: str, default: Task | None = None) -> Task:
        """`default` in the size of a grid that is drawn in `text`, if its structure allows for any size."""
        assert isinstance(default, Custom)
        shape = drawn_shape(text) if default.structure.any_size else None
        height, width = default.structure.shape
        own = shape is not None and (shape[1] == height * width or (shape[1] == width and shape[0] % height == 0))
        if shape is None or own:  # boards of its own size, drawn or one a line
            return default
        return self.known(default, shape)

    def known(self, task: Task, shape: tuple[int, ...]) -> Task:
        """The task on a board of that shape, which is known by its name for a while. Raises BadInput."""
        assert isinstance(task, Custom)
        sized = task.sized(shape)
        if sized is not task:
            self.sizes[sized.spec.name] = sized
            for name in [*self.sizes][:-MOST_SIZES]:
                self.sizes.pop(name, None)
        return sized

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
