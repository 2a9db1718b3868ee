"""One record for each puzzle family: everything that depends on which family a task belongs to.

A new family of this package is a folder in `trm.tasks` whose `family.py` holds such a record, and a line in `HOMES`. A
family from outside the package is made by `register_task`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cache, cached_property, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from trm.errors import BadInput, in_one_line
from trm.tasks.base import Part, Puzzles, Task, features_fault
from trm.tasks.text import naming

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from trm.tasks.arc.training import ArcSettings
    from trm.tasks.maze.training import MazeSettings
    from trm.tasks.sampler import Reveal, Sampler

ENTRY_POINTS = "trm.tasks"  # the group in which installed packages name their tasks

# The modules of the package's own families, in the order in which people see their names. A family is imported when it
# is looked up, so that reading a Sudoku does not take the time to import the others.
HOMES = {
    "sudoku": "trm.tasks.sudoku.family",
    "maze": "trm.tasks.maze.family",
    "arc": "trm.tasks.arc.family",
    "custom": "trm.tasks.custom.family",
}


class HasPuzzleIds(Protocol):
    @property
    def puzzle_ids(self) -> int: ...


class DataSettings(Protocol):
    """The settings of a training run that a family supplies its puzzles by (see `trm.training.config.RunConfig`)."""

    @property
    def data(self) -> str: ...
    @property
    def limit(self) -> int: ...
    @property
    def augment(self) -> bool: ...
    @property
    def batch(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def reveal(self) -> Reveal: ...
    @property
    def maze(self) -> MazeSettings: ...
    @property
    def arc(self) -> ArcSettings: ...
    @property
    def model(self) -> HasPuzzleIds: ...


class Family(ABC):
    """A puzzle family. The defaults suit a family of one task that is read from text or files."""

    name: str
    weights: ClassVar[str | None] = None  # the model that is used by default: the best one that ships
    thinking: ClassVar[Mapping[str, Any]] = {"steps": 64}  # default fields of `trm.inference.Thinking`
    dataset: ClassVar[str | None] = None  # repository of the public set on the Hugging Face hub
    any_size: ClassVar[bool] = False  # whether its puzzles come in several sizes, which their text shows
    defined_by_weights: ClassVar[bool] = False  # whether a model is needed to know the task
    votes: ClassVar[bool] = False  # whether it is scored by votes over augmentations instead of row by row

    # Tasks

    def task_names(self) -> tuple[str, ...]:
        """The names that people are shown; `task` may accept others."""
        return (self.name,)

    @abstractmethod
    def task(self, name: str) -> Task:
        """The task of that name. Raises BadInput if there is none."""

    def task_for(self, text: str, default: Task | None = None) -> Task:
        """The task in the size of the first puzzle in `text`; `default` where that is unclear."""
        return default or self.task(self.name)

    def sized(self, name: str, shape: tuple[int, ...]) -> Task:
        """The task of that name for a grid of numbers of that shape. Raises BadInput for a shape without a task."""
        return self.task_of_shape(shape) if self.any_size else self.task(name)

    def sized_by_file(self, task: Task, path: str) -> Task:
        """The task in the size of the puzzles in a file that is no text. Raises BadInput."""
        return task

    def task_of_shape(self, shape: tuple[int, ...]) -> Task:
        """The task for a grid of whole numbers of that shape. Raises BadInput for a shape that no task has."""
        return self.task(self.name)

    def shape_of(self, cells: int) -> tuple[int, int] | None:
        """The rows and columns of a board of `any_size` with so many cells; None if there is none, or several."""
        return None

    def definition(self, task: Task) -> dict[str, Any] | None:
        """What a file says of a task `defined_by_weights` besides its name, ready for JSON; None for other tasks."""
        return None

    def define(self, definition: Mapping[str, Any]) -> Task:
        """The task of a `definition`, which `task` then knows by its name. Raises ValueError if it is none."""
        raise ValueError(f"the name of a task of {self.name} says all")

    # Puzzles

    def embedded(self, task: Task, part: Part) -> Puzzles:
        """A set that ships with the package. Raises BadInput for a task that has none."""
        return task.puzzles(part)

    def load_puzzles(self, task: Task, source: str, part: Part) -> Puzzles:
        """See `trm.tasks.load_puzzles`."""
        if source == "embedded":
            return self.embedded(task, part)
        if source == "hub":
            from trm.tasks import hub

            return hub.download(task, file="train.csv" if part == "train" else "test.csv").puzzles
        return answered(task.read_file(source), source)

    # Training

    def training_set(self, task: Task, settings: DataSettings) -> Puzzles:
        """The puzzles that a run trains on. Raises as `trm.tasks.load_puzzles` does."""
        if settings.data == "generated":
            raise BadInput(f"data=generated is for mazes, and not for {task.spec.name}")
        puzzles = self.load_puzzles(task, settings.data, "train")
        return puzzles.take(slice(0, settings.limit)) if settings.limit else puzzles

    def held_out(self, task: Task, settings: DataSettings) -> Puzzles:
        """Puzzles to check training with, which are never trained on. Raises BadInput if there are none."""
        try:
            return self.embedded(task, "validation")
        except BadInput:
            missing = f"no held-out puzzles of task {task.spec.name!r} to check training with"
            raise BadInput(f"{missing}: --set check_every=0") from None

    def sampler(self, task: Task, puzzles: Puzzles, settings: DataSettings) -> Sampler:
        """The sampler that supplies the slots of a batch with the puzzles of `training_set`."""
        from trm.tasks.sampler import Sampler

        return Sampler(puzzles, task, settings.batch, settings.seed, settings.augment, settings.reveal)


class RegisteredFamily(Family):
    """A family of one task that `register_task` was given, or that an installed package has."""

    def __init__(self, name: str, make: Callable[[], Task], embedded: Callable[[Part], Puzzles] | None = None) -> None:
        self.name, self.make, self.own_sets = name, make, embedded

    @cached_property
    def only(self) -> Task:
        """Its task. Raises BadInput for one whose characters are not those of its tokens."""
        task = self.make()
        known = task.characters
        if known and not len(known) == len({*known}) == task.spec.vocab:
            raise BadInput(
                f"task {self.name!r} has {task.spec.vocab} tokens, but the characters {known!r}: one for each"
            )
        if fault := features_fault(task.spec.features, task.spec.vocab):
            raise BadInput(f"task {self.name!r}: {fault}")
        return task

    def task(self, name: str) -> Task:
        return self.only

    def embedded(self, task: Task, part: Part) -> Puzzles:
        return super().embedded(task, part) if self.own_sets is None else self.own_sets(part)


REGISTERED: dict[str, RegisteredFamily] = {}


def register_task(name: str, make: Callable[[], Task], embedded: Callable[[Part], Puzzles] | None = None) -> None:
    """Make a task available by name in this process, like those of the package.

    An installed package names its tasks in the group of entry points `trm.tasks` instead, so that every command knows
    them. Their names must not begin with `sudoku-`, `maze-`, `arc-` or `custom-`.

    Args:
        name: the name in its `spec`.
        make: returns the task; its class will do.
        embedded: returns its puzzles for `data="embedded"`: those to train on (`train`) or to test with (`validation`)
            [default: the task's method `puzzles`].
    """
    REGISTERED[name] = RegisteredFamily(name, make, embedded)


@cache
def register_installed() -> None:
    """Register the tasks of installed packages. A task is imported when it is used; registered ones have precedence."""
    from importlib.metadata import entry_points  # which takes 40 ms to import

    for point in entry_points(group=ENTRY_POINTS):
        if point.name.split("-")[0] not in HOMES:
            REGISTERED.setdefault(point.name, RegisteredFamily(point.name, partial(make_installed, point)))


def make_installed(point: EntryPoint) -> Task:
    """The task of an installed package. Raises BadInput if it cannot be imported or made."""
    try:
        task = point.load()()
    except Exception as error:  # whatever a stranger's module raises
        why = in_one_line(error)
        raise BadInput(f"task {point.name!r} of an installed package, {point.value}, cannot be used: {why}") from error
    if not isinstance(task, Task):
        raise BadInput(f"task {point.name!r} of an installed package, {point.value}, is no class of `trm.Task`")
    if task.spec.name != point.name:
        raise BadInput(f"task {point.name!r} of an installed package calls itself {task.spec.name!r}: name both alike")
    return task


def registered(task: str) -> RegisteredFamily | None:
    """The family of a task from outside this package; None if there is none of that name."""
    if task not in REGISTERED and task.split("-")[0] not in HOMES:
        register_installed()
    return REGISTERED.get(task)


def family_name(task: str) -> str:
    """The name of the family of a task: `sudoku` for `sudoku-6x6`."""
    return task if registered(task) else task.split("-")[0]


def find_family(task: str) -> Family:
    """The family of the task of that name, such as `sudoku-6x6`, or the family of that name. Raises BadInput."""
    if found := registered(task):
        return found
    home = HOMES.get(family_name(task))
    if home is None:
        raise unknown(task)
    family: Family = import_module(home).FAMILY
    return family


def get_task(name: str) -> Task:
    """The task of that name: `sudoku`, `sudoku-6x6`, `maze-20x40`, `arc-agi-1`, or one that was registered.

    Raises BadInput if there is none.
    """
    return find_family(name).task(name)


def unknown(name: str) -> BadInput:
    """The error for a name that no task has."""
    register_installed()
    known = {task for home in HOMES for task in find_family(home).task_names()} | REGISTERED.keys()
    return BadInput(f"task {name!r} is unknown; choose one of {', '.join(sorted(known))}")


def resizable() -> list[str]:
    """The names of the families whose puzzles come in several sizes, which their text shows."""
    return [name for name in HOMES if find_family(name).any_size]


def answered(puzzles: Puzzles, source: str) -> Puzzles:
    """The puzzles themselves. Raises BadInput, naming the file `source`, if one of them has no answer."""
    unanswered = ~puzzles.answer.any(axis=1)
    if unanswered.any():
        with naming(source):
            raise BadInput(f"puzzle {int(unanswered.argmax()) + 1} has no answer; use a CSV with both")
    return puzzles
