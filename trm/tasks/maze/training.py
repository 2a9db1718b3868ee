"""Mazes in training: rows as they are, other ends in their walls, windows on them, or new mazes without end."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from trm.errors import BadInput
from trm.tasks import hub
from trm.tasks.base import Puzzles, Tokens
from trm.tasks.maze.sets import complete, embedded, generate, renew, usual_least
from trm.tasks.maze.task import Maze, maze_for
from trm.tasks.text import read_file

GENERATED = "generated"  # the source that is not a set
POOL = 512  # mazes from which others are made
POOL_SEED = 1 << 32  # far from the seeds that people give to `trm data maze`


class MazeSettings(BaseModel):
    """What a run on mazes has and others have not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ends: float = Field(0.0, ge=0, le=1)  # share of the mazes that get another start and goal in the same walls
    # The path of new mazes, windows and other ends is at least this share of the usual one for the size (109 at 30x30).
    least: float = Field(1.0, gt=0, le=1)


@dataclass(frozen=True)
class TrainingMaze(Maze):
    """`Maze` whose `augment` makes a maze to train on from a row of the data."""

    rows: Maze = field(default_factory=Maze)  # the size of the data's mazes; of larger ones windows are shown
    new: bool = False  # make another maze from each
    turned: bool = True  # into one of its symmetric images
    moved: float = 0.0  # share that gets other ends
    least: int = 1  # moves

    def augment(self, question: Tokens, answer: Tokens, rng: np.random.Generator) -> tuple[Tokens, Tokens]:
        """question, answer: [cells of `rows`] -> [cells]. Raises BadInput where no window has a path that long."""
        changed = question
        if self.new:
            changed = renew(self, question, rng, self.least)
        elif (self.rows.height, self.rows.width) != (self.height, self.width):
            try:
                changed = self.rows.crop(question, rng, self.height, self.width, self.least)
            except BadInput as error:
                raise BadInput(f"{error}: --set maze.least=... lower") from None
        elif self.moved and rng.random() < self.moved:
            # The maze's own ends are that far apart, so there are such ends.
            changed = self.other_ends(question, rng, min(self.least, int(self.moves(question[None])[0])))
        if self.turned:
            return super().augment(changed, answer, rng)
        return changed, answer if changed is question else self.label(changed)


@dataclass(frozen=True)
class MazePuzzles(Puzzles):
    """Rows of the data, and the task that makes training mazes from them, of another size perhaps."""

    task: TrainingMaze = TrainingMaze()


def training_mazes(maze: Maze, source: str, limit: int, turned: bool, settings: MazeSettings) -> MazePuzzles:
    """What a run on mazes of this size is trained on.

    Args:
        maze: the size of the mazes to train on.
        source: 'generated', 'embedded', 'hub' (the benchmark's training rows), or a file's path; its mazes may be
            larger, and need no answers.
        limit: take the first so many rows of it; 0: all.
        turned: show symmetric images.
        settings: of the mazes that are made.

    Raises:
        BadInput: no such file, a bad maze, mazes smaller than those to train on, or a path that is too long for them.
    """
    least = max(1, round(settings.least * usual_least(maze.height, maze.width)))
    rows, new = maze, source == GENERATED
    if new:
        puzzles = pool(maze.height, maze.width, least)
    elif source == "embedded":
        rows, puzzles = Maze(), embedded("train")
    elif source == "hub":
        rows, puzzles = Maze(), hub.download(Maze())
    else:
        text = read_file(source)
        rows = maze_for(text, maze)
        puzzles = complete(rows.read(text), rows)
    if rows.height < maze.height or rows.width < maze.width:
        raise BadInput(f"the mazes of {source} are {rows.height}x{rows.width}, too small for {maze.spec.name}")
    if limit:
        puzzles = puzzles.take(slice(0, limit))
    task = TrainingMaze(maze.height, maze.width, rows, new, turned, settings.ends, least)
    return MazePuzzles(puzzles.question, puzzles.answer, task=task)


@lru_cache(maxsize=4)
def pool(height: int, width: int, least: int) -> Puzzles:
    """Hard mazes of a size for `renew` to begin with, always the same; made in seconds where they do not ship."""
    if (height, width, least) == (30, 30, usual_least(30, 30)):
        return embedded("train")
    return generate("hard", POOL, POOL_SEED, height, width, least)
