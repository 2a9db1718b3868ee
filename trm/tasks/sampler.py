"""Which puzzle a batch slot trains on next, augmented and perhaps made easier.

Every draw is a pure function of the seed, the slot and how many puzzles the slot has taken. So runs on one process and
on eight see the same puzzles, and a run is resumed by its counters: no generator has a state to save. The slots are
those of the global batch, not of a rank.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field

from trm.settings import Settings
from trm.tasks.base import Puzzles, Task, Tokens

ORDER, PUZZLE, HALTING, START, CARRY = range(5)  # streams: the second number in the keys of random generators


class Reveal(Settings):
    """Easier puzzles, with some of their unknown cells filled in from the answer.

    Training has two parts. In the first, at most `most` of the unknown cells are filled in, so that the model learns to
    solve puzzles at all. In the second, the number of cells left unknown has a uniform logarithm, from one to all of
    them, so that nearly full boards are as frequent as nearly empty ones.
    """

    share: float = Field(0.0, ge=0, le=1)  # share of puzzles made easier at the start; linear up to `until`
    most: float = Field(0.5, ge=0, le=1)  # largest share of a puzzle's unknown cells that is filled in until `until`
    until: float = Field(0.6, ge=0, le=1)  # share of training after which the second part begins
    last: float = Field(0.0, ge=0, le=1)  # share of puzzles made easier in the second part

    def at(self, progress: float) -> float:
        """The share of puzzles made easier when `progress`, 0 to 1, of training is done."""
        return self.last if progress >= self.until else self.share + (self.last - self.share) * progress / self.until


class Draw(NamedTuple):
    """A puzzle to train on."""

    question: Tokens  # [cells]
    answer: Tokens  # [cells]
    id: int  # its row of the puzzle-embedding table


class Sampler:
    """Puzzles in endless supply for the slots of a global batch: each one once an epoch, in random order.

    Args:
        puzzles: the training set.
        task: the task that augments them and makes them easier.
        batch: slots of the global batch.
        seed: of all draws.
        augment: whether to show a random image of each puzzle.
        reveal: which puzzles are made easier, and by how much.
    """

    def __init__(self, puzzles: Puzzles, task: Task, batch: int, seed: int, augment: bool, reveal: Reveal) -> None:
        self.puzzles, self.task, self.batch, self.seed = puzzles, task, batch, seed
        self.augment, self.reveal = augment, reveal
        self._order: tuple[int, npt.NDArray[np.int64]] = (-1, np.empty(0, np.int64))

    def draw(self, slot: int, taken: int, progress: float) -> Draw:
        """The puzzle that `slot` takes after `taken` others; `progress`, 0 to 1, is the share of training done."""
        epoch, place = divmod(taken * self.batch + slot, len(self.puzzles))
        row = int(self._epoch(epoch)[place])
        rng = np.random.default_rng([self.seed, PUZZLE, slot, taken])
        question, answer = self.puzzles.question[row], self.puzzles.answer[row]
        if self.augment:
            question, answer = self.task.augment(question, answer, rng)
        easy = self.reveal.at(progress)
        if easy and rng.random() < easy:
            question = self.task.reveal(question, answer, self.shown(question, answer, progress, rng), rng)
        return Draw(question, answer, 0 if self.puzzles.ids is None else int(self.puzzles.ids[row]))

    def shown(self, question: Tokens, answer: Tokens, progress: float, rng: np.random.Generator) -> float:
        """The share of the unknown cells of question [cells] to fill in."""
        if progress < self.reveal.until:
            return rng.random() * self.reveal.most
        unknown = max(1, int((self.task.given(question) != answer).sum()))
        return 1 - float(unknown ** -rng.random())

    def _epoch(self, epoch: int) -> npt.NDArray[np.int64]:
        """The order in which an epoch visits the training set, [rows]."""
        if self._order[0] != epoch:
            rng = np.random.default_rng([self.seed, ORDER, epoch])
            self._order = (epoch, rng.permutation(len(self.puzzles)))
        return self._order[1]
