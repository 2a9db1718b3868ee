"""Supervision on the way to the answer: a cell is asked only for what it can know after so many steps.

An answer does not say how it is found. In a maze the distances to the goal do (`trm.tasks.maze.task.Maze.hint`). So a
second head learns to read from the latent z what each cell can know by then, and the answer is not asked for before it
can be known. Otherwise the model learns to guess, and cells that it marks too early stay marked.
"""

from __future__ import annotations

from dataclasses import fields
from typing import NamedTuple

import torch
from torch import Tensor

from trm.errors import BadInput
from trm.models.config import ModelConfig
from trm.tasks.base import Hint, Hinted, Task, Tokens
from trm.training.losses import log_softmax
from trm.training.transfer import to_device


class Reach(NamedTuple):
    """What is certain after these steps, [slots of part, cells] bool each. Both are false where neither is certain."""

    known: Tensor  # the cell's answer can be known
    hidden: Tensor  # nothing of the cell's answer can be known yet


class Hints:
    """The hints for the puzzles in a batch's slots, and when each cell can know them.

    Args:
        task: a `Hinted`. The model has two logits for each of its kinds of hint. The second one is for cells whose
            answer is known to differ from the question.
        config: the model's. Information moves between T * n and T * (n + 1) cells in a supervision step.
        slots: in the batch.
        cells: of a puzzle.
        device: of the model.

    Raises:
        BadInput: the task has no hints, or other ones than the model.
    """

    def __init__(self, task: Task, config: ModelConfig, slots: int, cells: int, device: torch.device) -> None:
        self.kinds = task.hints if isinstance(task, Hinted) else 0
        if not self.kinds or config.hints != 2 * self.kinds:
            name = f"{task.spec.name} has {self.kinds} kinds of hint, two logits each"
            raise BadInput(f"model.hints is {config.hints}, and {name}: --set model.hints={2 * self.kinds}")
        self.task = task
        self.slowest, self.fastest = config.T * config.n, config.T * (config.n + 1)  # cells in a supervision step
        self.hint: Hint[Tensor] = Hint(
            *(torch.zeros(slots, cells, dtype=torch.int64, device=device) for _ in fields(Hint))
        )

    def take(self, slot: int, question: Tokens, answer: Tokens) -> None:
        """Keep the hints for the puzzle that `slot` has now; question and answer [cells]."""
        assert isinstance(self.task, Hinted)
        hint = self.task.hint(question, answer)
        for field in fields(Hint):
            kept: Tensor = getattr(self.hint, field.name)
            kept[slot] = to_device(getattr(hint, field.name), kept.device)

    def reach(self, part: slice, steps: Tensor) -> Reach:
        """What can be known of the answers after `steps` [slots of part] supervision steps."""
        steps = steps.unsqueeze(1)
        return Reach(self.hint.known[part] <= self.slowest * steps, self.hint.open[part] > self.fastest * steps)

    def target(self, part: slice, question: Tensor, answer: Tensor, steps: Tensor) -> Tensor:
        """The tokens to ask for after `steps` [slots of part] supervision steps.

        That is the answer's token where it can be known, the question's where nothing can be known, and 0 (not scored)
        in between. So no cell has to guess, and none has to hold back what it knows. question, answer [slots of part,
        cells] -> same
        """
        reach = self.reach(part, steps)
        return torch.where(reach.known, answer, torch.where(reach.hidden, question, 0))

    def loss(self, part: slice, logits: Tensor, steps: Tensor) -> Tensor:
        """Mean cross-entropy over the cells that can know their hint; 0 for a puzzle without any.

        logits [slots of part, cells, 2 * kinds], steps [slots of part] -> [slots of part]
        """
        kind, reach = self.hint.kind[part], self.reach(part, steps)
        heard = self.hint.moves[part] <= self.slowest * steps.unsqueeze(1)
        scored = (kind > 0) & heard & (reach.known | reach.hidden)
        changed = reach.known & (self.hint.known[part] > 0)
        target = (kind - 1 + self.kinds * changed).clamp(min=0)
        loss = -log_softmax(logits).gather(-1, target.unsqueeze(-1)).squeeze(-1) * scored
        return loss.sum(1) / scored.sum(1).clamp(min=1)
