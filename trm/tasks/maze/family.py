"""The family of mazes, 2x2 to 100x100."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from trm.errors import BadInput
from trm.tasks.base import Part, Puzzles, Task
from trm.tasks.family import DataSettings, Family
from trm.tasks.maze.task import Maze, maze_for

if TYPE_CHECKING:
    from trm.tasks.sampler import Sampler


class MazeFamily(Family):
    name = "maze"
    weights = "maze"
    # Information spreads 5 moves a step and must go from G to S and back: enough for paths of some 600 moves.
    thinking: ClassVar[Mapping[str, Any]] = {"steps": 256, "restarts": 3, "noise": 0.5}
    dataset = "sapientinc/maze-30x30-hard-1k"
    any_size = True

    def task(self, name: str) -> Task:
        """Raises BadInput for what is no name of a maze, and for a size that is not supported."""
        if name == Maze().spec.name:
            return Maze()
        size = re.fullmatch(r"maze-([1-9][0-9]{0,8})x([1-9][0-9]{0,8})", name)
        if size is None:
            raise BadInput(f"task {name!r} is unknown; a maze is called maze (30x30) or, for example, maze-20x40")
        return Maze(int(size[1]), int(size[2]))

    def task_for(self, text: str, default: Task | None = None) -> Maze:
        return maze_for(text, default if isinstance(default, Maze) else None)

    def task_of_shape(self, shape: tuple[int, ...]) -> Maze:
        raise BadInput("a maze is text, or lines of the characters #.SG, not numbers")

    def embedded(self, task: Task, part: Part) -> Puzzles:
        if task != Maze():
            return super().embedded(task, part)
        from trm.tasks.maze import sets

        return sets.embedded(part)

    def training_set(self, task: Task, settings: DataSettings) -> Puzzles:
        from trm.tasks.maze.training import training_mazes

        assert isinstance(task, Maze)
        return training_mazes(task, settings.data, settings.limit, settings.augment, settings.maze)

    def sampler(self, task: Task, puzzles: Puzzles, settings: DataSettings) -> Sampler:
        from trm.tasks.maze.training import MazePuzzles
        from trm.tasks.sampler import Sampler

        if not isinstance(puzzles, MazePuzzles):
            return super().sampler(task, puzzles, settings)
        return Sampler(puzzles, puzzles.task, settings.batch, settings.seed, augment=True, reveal=settings.reveal)


FAMILY = MazeFamily()
