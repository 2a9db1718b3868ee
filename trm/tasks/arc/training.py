"""ARC in training: augmentations drawn when they are needed, by the rule of `trm.tasks.sampler`.

The published data set writes a thousand augmented copies of every task to disk, four million rows. Here a row is a
function of the seed, the slot and a counter, and only the pairs themselves are held.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from trm.errors import BadInput
from trm.tasks.arc.augment import CORNER, Augmentation, encode, identifier, numbered, random_offset, still
from trm.tasks.arc.task import Arc, ArcPuzzles, training_pairs, training_rows
from trm.tasks.arc.text import ArcTask
from trm.tasks.family import DataSettings
from trm.tasks.sampler import PUZZLE, Draw, Reveal, Sampler

AUGMENTATIONS = 1000  # of each task, as published


class ArcSettings(BaseModel):
    """What a run on ARC has and others have not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    augmentations: int = Field(AUGMENTATIONS, ge=0)  # of each task besides the task itself
    by_task: bool = False  # one puzzle embedding for a task, instead of one for each of its augmentations
    keep_leaks: bool = False  # train on pairs that give away a test, as the published set does
    extra: str = ""  # a file or folder of further tasks to train on, their tests too, such as ConceptARC


class ArcSampler(Sampler):
    """Pairs of ARC tasks for the slots of a global batch; every pair once an epoch, each time augmented anew.

    Args:
        tasks: `trm.tasks.arc.task.training_tasks(...)`, leaks dropped or not.
        augmentations: how many there are of each task besides the task itself; 0: it is only moved.
        by_task: one puzzle embedding for a task; else one for each of its augmentations, as published.
        translate: move the grids on the board, both alike; one pair of each augmented task stays where it is.
    """

    def __init__(
        self,
        tasks: Sequence[ArcTask],
        batch: int,
        seed: int,
        augmentations: int = AUGMENTATIONS,
        by_task: bool = False,
        translate: bool = True,
        task: Arc | None = None,
    ) -> None:
        self.rows = training_rows(tasks)
        self.tasks, self.augmentations, self.by_task, self.translate = tuple(tasks), augmentations, by_task, translate
        puzzles = training_pairs(tasks, 0 if by_task else augmentations)
        super().__init__(puzzles, task or Arc(), batch, seed, augment=True, reveal=Reveal())

    @property
    def identifiers(self) -> int:
        """Rows of the puzzle-embedding table, the blank one included."""
        return 1 + len(self.tasks) * (1 if self.by_task else self.augmentations + 1)

    def draw(self, slot: int, taken: int, progress: float) -> Draw:
        """The pair that `slot` takes after `taken` others; the same whatever `progress` is."""
        epoch, place = divmod(taken * self.batch + slot, len(self.rows))
        at, number, pair = self.rows[int(self._epoch(epoch)[place])]
        rng = np.random.default_rng([self.seed, PUZZLE, slot, taken])
        which = int(rng.integers(self.augmentations + 1))
        task = self.tasks[at]
        augmentation: Augmentation = numbered(self.seed, task.id, which)
        assert pair.answer is not None  # rows have answers
        question, answer = augmentation.apply(pair.question), augmentation.apply(pair.answer)
        moved = self.translate and number != still(self.seed, task.id, which, len(task.train + task.test))
        offset = random_offset(rng, question.shape, answer.shape) if moved else CORNER
        id = identifier(at, 0, 0) if self.by_task else identifier(at, which, self.augmentations)
        return Draw(encode(question, offset), encode(answer, offset), id)


def augmentations(settings: DataSettings) -> int:
    """Of each ARC task besides the task itself."""
    return settings.arc.augmentations if settings.augment else 0


def embeddings_each(settings: DataSettings) -> int:
    """Puzzle embeddings for each ARC task: a single one, or one for the task and one for each augmentation."""
    return 1 if settings.arc.by_task else 1 + augmentations(settings)


def sampler_of(puzzles: ArcPuzzles, settings: DataSettings) -> ArcSampler:
    """Raises BadInput where the model's table of puzzle embeddings is not the one that the tasks need."""
    each, tasks = embeddings_each(settings), puzzles.tasks
    sampler = ArcSampler(
        tasks, settings.batch, settings.seed, augmentations(settings), settings.arc.by_task, translate=settings.augment
    )
    have, need = settings.model.puzzle_ids, sampler.identifiers
    if have and have != need:  # 0: the model tells no puzzles apart
        embeddings = f"{each} puzzle embedding{'s' if each > 1 else ''} each"
        raise BadInput(
            f"model.puzzle_ids is {have}, but {len(tasks)} tasks with {embeddings} and a blank one need {need}: "
            f"--set model.puzzle_ids={need}, or other arc.augmentations, arc.by_task or arc.extra"
        )
    return sampler
