"""What a run on ARC trains on: pairs of its tasks, augmented when they are drawn.

The published data set holds a thousand augmented copies of every task on disk, four million rows. Here each row is a
function of the seed, the slot and a counter (see `trm.tasks.sampler`), and only the pairs themselves are in memory.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from trm.errors import BadInput
from trm.settings import Settings
from trm.tasks.arc.augment import CORNER, Augmentation, encode, identifier, numbered, random_offset, still
from trm.tasks.arc.task import Arc, ArcPuzzles, training_pairs, training_rows
from trm.tasks.arc.text import ArcTask
from trm.tasks.family import DataSettings
from trm.tasks.sampler import PUZZLE, Draw, Reveal, Sampler

AUGMENTATIONS = 1000  # of each task, as in the published set


class ArcSettings(Settings):
    """Settings that only runs on ARC have."""

    augmentations: int = Field(AUGMENTATIONS, ge=0)  # of each task, besides the task itself
    by_task: bool = False  # one puzzle embedding for each task, instead of one for each augmentation of it
    keep_leaks: bool = False  # train on pairs that give away a test too, as the published set does
    extra: str = ""  # a file or folder of further tasks to train on with their tests, such as ConceptARC


class ArcSampler(Sampler):
    """Pairs of ARC tasks for the slots of a global batch: each pair once an epoch, newly augmented every time.

    Args:
        tasks: what `trm.tasks.arc.task.training_tasks` returns, with or without their leaks.
        batch: slots of the global batch.
        seed: of the random numbers.
        augmentations: how many there are of each task, besides the task itself; 0: grids are only moved.
        by_task: one puzzle embedding for each task, instead of one for each augmentation of it as published.
        translate: move the two grids of a pair on the board, by the same offset. One pair of each augmented task always
            stays at the corner.
        task: None: ARC-AGI-1.
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
        """Rows of the puzzle-embedding table, including the blank one."""
        return 1 + len(self.tasks) * (1 if self.by_task else self.augmentations + 1)

    def draw(self, slot: int, taken: int, progress: float) -> Draw:
        """The pair that `slot` takes after `taken` others. It does not depend on `progress`."""
        epoch, place = divmod(taken * self.batch + slot, len(self.rows))
        row = self.rows[int(self._epoch(epoch)[place])]
        rng = np.random.default_rng([self.seed, PUZZLE, slot, taken])
        which = int(rng.integers(self.augmentations + 1))
        task = self.tasks[row.task]
        augmentation: Augmentation = numbered(self.seed, task.id, which)
        assert row.pair.answer is not None
        question, answer = augmentation.apply(row.pair.question), augmentation.apply(row.pair.answer)
        moved = self.translate and row.number != still(self.seed, task.id, which, len(task.train + task.test))
        offset = random_offset(rng, question.shape, answer.shape) if moved else CORNER
        id = identifier(row.task, 0, 0) if self.by_task else identifier(row.task, which, self.augmentations)
        return Draw(encode(question, offset), encode(answer, offset), id)


def augmentations(settings: DataSettings) -> int:
    """How many augmentations a run has of each task, besides the task itself."""
    return settings.arc.augmentations if settings.augment else 0


def embeddings_each(settings: DataSettings) -> int:
    """How many puzzle embeddings each task has: one, or one for the task itself and one for each augmentation."""
    return 1 if settings.arc.by_task else 1 + augmentations(settings)


def sampler_of(puzzles: ArcPuzzles, settings: DataSettings) -> ArcSampler:
    """The sampler of a run. Raises BadInput if the model's table of puzzle embeddings has the wrong size."""
    each, tasks = embeddings_each(settings), puzzles.tasks
    sampler = ArcSampler(
        tasks, settings.batch, settings.seed, augmentations(settings), settings.arc.by_task, translate=settings.augment
    )
    have, need = settings.model.puzzle_ids, sampler.identifiers
    if have and have != need:  # 0: the model has no puzzle embeddings
        embeddings = f"{each} puzzle embedding{'s' if each > 1 else ''} each"
        raise BadInput(
            f"model.puzzle_ids is {have}, but {len(tasks)} tasks with {embeddings} and a blank one need {need}: "
            f"--set model.puzzle_ids={need}, or other arc.augmentations, arc.by_task or arc.extra"
        )
    return sampler
