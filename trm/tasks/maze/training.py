"""What a run on mazes trains on: rows of a set, other ends in their walls, windows on them, or new mazes from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from pydantic import Field

from trm.errors import BadInput
from trm.settings import Settings
from trm.tasks import hub
from trm.tasks.base import Puzzles, Tokens
from trm.tasks.maze.sets import embedded, generate, read_mazes, renew, usual_least
from trm.tasks.maze.task import Maze

GENERATED = "generated"  # the source of new mazes
POOL = 512  # mazes that new ones are made from
POOL_SEED = 1 << 32  # far from any seed that people give to `trm data maze`


class MazeSettings(Settings):
    """Settings that only runs on mazes have."""

    ends: float = Field(0.0, ge=0, le=1)  # share of the mazes that get another start and goal in the same walls
    near: float = Field(0.0, ge=0, le=1)  # share of the mazes that get ends at any distance, often close together
    # New mazes, windows and other ends have a path of at least this share of the usual length (109 moves at 30x30).
    least: float = Field(1.0, gt=0, le=1)


@dataclass(frozen=True)
class TrainingMaze(Maze):
    """A `Maze` whose `augment` turns a row of the data into a maze to train on."""

    rows: Maze = field(default_factory=Maze)  # the size of the data's mazes; windows are cut out of larger ones
    new: bool = False  # make a new maze from each
    turned: bool = True  # turn and mirror at random
    moved: float = 0.0  # share of the mazes that get other ends
    least: int = 1  # moves from S to G in what is made
    near: float = 0.0  # share of the mazes that then get ends at any distance

    def augment(self, question: Tokens, answer: Tokens, rng: np.random.Generator) -> tuple[Tokens, Tokens]:
        """A maze of this size, [cells] each, from a row of the data, [cells of `rows`] each.

        Raises BadInput if no window has a path of `least` moves.
        """
        changed = question
        if self.new:
            changed = renew(self, question, rng, self.least)
        elif (self.rows.height, self.rows.width) != (self.height, self.width):
            try:
                changed = self.rows.crop(question, rng, self.height, self.width, self.least)
            except BadInput as error:
                raise BadInput(f"{error}: --set maze.least=... lower") from None
        elif self.moved and rng.random() < self.moved:
            # No more than the maze's own ends are apart, so that such ends exist.
            changed = self.other_ends(question, rng, min(self.least, int(self.moves(question[None])[0])))
        if self.near and rng.random() < self.near:
            changed = self.near_ends(changed, rng)
        if self.turned:
            return super().augment(changed, answer, rng)
        return changed, answer if changed is question else self.label(changed)


@dataclass(frozen=True)
class MazePuzzles(Puzzles):
    """Rows of the data, and the task, perhaps of a smaller size, that makes mazes to train on from them."""

    task: TrainingMaze = TrainingMaze()


def training_mazes(maze: Maze, source: str, limit: int, turned: bool, settings: MazeSettings) -> MazePuzzles:
    """What a run on mazes trains on.

    Args:
        maze: the size of the mazes to train on.
        source: `generated`, `embedded`, `hub` (the benchmark's training rows), or the path of a file, whose mazes may
            be larger and need no answers.
        limit: use only the first rows, this many; 0: all.
        turned: turn and mirror the mazes at random.
        settings: for the mazes that are made.

    Raises:
        BadInput: no such file, a bad maze, mazes smaller than those to train on, or none with a path that long.
    """
    least = max(1, round(settings.least * usual_least(maze.height, maze.width)))
    rows, new = maze, source == GENERATED
    if new:
        puzzles = pool(maze.height, maze.width, least)
    elif source == "embedded":
        rows, puzzles = Maze(), embedded("train")
    elif source == "hub":
        rows, puzzles = Maze(), hub.download(Maze()).puzzles
    else:
        rows, puzzles = read_mazes(source, maze)
    if rows.height < maze.height or rows.width < maze.width:
        raise BadInput(f"the mazes of {source} are {rows.height}x{rows.width}, too small for {maze.spec.name}")
    if limit:
        puzzles = puzzles.take(slice(0, limit))
    task = TrainingMaze(maze.height, maze.width, rows, new, turned, settings.ends, least, settings.near)
    return MazePuzzles(puzzles.question, puzzles.answer, remarks=puzzles.remarks, task=task)


@lru_cache(maxsize=4)
def pool(height: int, width: int, least: int) -> Puzzles:
    """Hard mazes of a size from which `renew` makes others; always the same ones. Made in seconds where none ship."""
    if (height, width, least) == (30, 30, usual_least(30, 30)):
        return embedded("train")
    return generate("hard", POOL, POOL_SEED, height, width, least)
