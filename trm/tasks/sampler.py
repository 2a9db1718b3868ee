"""Which puzzle a batch slot takes next. Every draw is a pure function of (seed, slot, how many the slot has taken).

So a run on one process and on eight see the same puzzles, and resuming needs nothing but the counters: there is no
generator state to save. Slots belong to the global batch, not to a rank.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from trm.tasks.base import Puzzles, Task, Tokens

ORDER, PUZZLE, HALTING, START, CARRY = range(5)  # streams of random numbers, which must never coincide


class Reveal(BaseModel):
    """Easier versions of the training puzzles early on: some unknown cells filled in from the answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float = Field(0.0, ge=0, le=1)  # of the puzzles that are made easier at the start of training
    most: float = Field(0.5, ge=0, le=1)  # up to this share of a puzzle's unknown cells is filled in
    until: float = Field(0.6, gt=0, le=1)  # share of training after which none is made easier; falls linearly to it


class Draw(NamedTuple):
    question: Tokens  # [cells]
    answer: Tokens  # [cells]
    id: int  # row of the puzzle-embedding table


class Sampler:
    """Puzzles for the slots of a global batch of `batch`."""

    def __init__(self, puzzles: Puzzles, task: Task, batch: int, seed: int, augment: bool, reveal: Reveal) -> None:
        self.puzzles, self.task, self.batch, self.seed = puzzles, task, batch, seed
        self.augment, self.reveal = augment, reveal
        self._order: tuple[int, npt.NDArray[np.int64]] = (-1, np.empty(0, np.int64))

    def draw(self, slot: int, taken: int, progress: float) -> Draw:
        """The puzzle that `slot` takes after `taken` others; `progress` in [0, 1] is the share of training done."""
        epoch, place = divmod(taken * self.batch + slot, len(self.puzzles))
        row = int(self._epoch(epoch)[place])
        rng = np.random.default_rng([self.seed, PUZZLE, slot, taken])
        question, answer = self.puzzles.question[row], self.puzzles.answer[row]
        if self.augment:
            question, answer = self.task.augment(question, answer, rng)
        easy = self.reveal.share * max(0.0, 1 - progress / self.reveal.until)
        if easy and rng.random() < easy:
            question = self.task.reveal(question, answer, rng.random() * self.reveal.most, rng)
        return Draw(question, answer, 0 if self.puzzles.ids is None else int(self.puzzles.ids[row]))

    def _epoch(self, epoch: int) -> npt.NDArray[np.int64]:
        """The order in which epoch `epoch` visits the training set."""
        if self._order[0] != epoch:
            rng = np.random.default_rng([self.seed, ORDER, epoch])
            self._order = (epoch, rng.permutation(len(self.puzzles)))
        return self._order[1]
