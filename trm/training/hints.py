"""Supervision on the way to the answer: what can be known by now, instead of all of it from the first step.

An answer says nothing of how it is found. In a maze, the distances to the goal do (`trm.tasks.maze.task.Maze.hint`). A
second head learns from the latent z what a cell can know already, and the answer is asked for no sooner than it can be
known: a model that must guess learns to guess, and marks that it set too early stay.
"""

from __future__ import annotations

from dataclasses import fields

import torch
import torch.nn.functional as F
from torch import Tensor

from trm.errors import BadInput
from trm.models.config import ModelConfig
from trm.tasks.base import Hint, Hinted, Task, Tokens


class Hints:
    """The hints of the puzzles in a batch's slots, and what of them is known after so many supervision steps.

    Args:
        task: must be a `Hinted`. The model has two logits for each of its kinds of hint: the second ones are for cells
            whose answer is known to be other than what the question has there. Raises BadInput if that does not fit.
        config: the model's; news travels T * n cells a supervision step or more, and at most T * (n + 1).
        slots, cells: sizes of the batch.
        device: of the model.
    """

    def __init__(self, task: Task, config: ModelConfig, slots: int, cells: int, device: torch.device) -> None:
        self.kinds = task.hints if isinstance(task, Hinted) else 0
        if not self.kinds or config.hints != 2 * self.kinds:
            name = f"{task.spec.name} has {self.kinds} kinds of hint, two logits each"
            raise BadInput(f"model.hints is {config.hints}, and {name}: --set model.hints={2 * self.kinds}")
        self.task, self.pace, self.fastest = task, config.T * config.n, config.T * (config.n + 1)
        self.hint: Hint[Tensor] = Hint(
            *(torch.zeros(slots, cells, dtype=torch.int64, device=device) for _ in fields(Hint))
        )

    def take(self, slot: int, question: Tokens, answer: Tokens) -> None:
        """Slot `slot` has question and answer [cells] now."""
        assert isinstance(self.task, Hinted)
        hint = self.task.hint(question, answer)
        for field in fields(Hint):
            getattr(self.hint, field.name)[slot] = torch.from_numpy(getattr(hint, field.name))

    def answered(self, part: slice, steps: Tensor) -> tuple[Tensor, Tensor]:
        """After `steps` [slots of part] supervision steps: where the answer is known, and where nothing can be known of
        it yet. [slots of part, cells] bool each
        """
        steps = steps.unsqueeze(1)
        return self.hint.known[part] <= self.pace * steps, self.hint.open[part] > self.fastest * steps

    def target(self, part: slice, question: Tensor, answer: Tensor, steps: Tensor) -> Tensor:
        """What of the answer to ask for after `steps` [slots of part] supervision steps: of each cell the question's
        token as long as nothing can be known, the answer's from when it is known, and 0 between. All [slots of part,
        cells]. So no cell has to guess, and none to wait with what it knows.
        """
        known, nothing = self.answered(part, steps)
        return torch.where(known, answer, torch.where(nothing, question, 0))

    def loss(self, part: slice, logits: Tensor, steps: Tensor) -> Tensor:
        """Mean cross-entropy over the cells that can know, of logits [slots of part, cells, 2 * kinds] after `steps`
        [slots of part] supervision steps. -> [slots of part], 0 where none can.
        """
        kind, (known, nothing) = self.hint.kind[part], self.answered(part, steps)
        scored = (kind > 0) & (self.hint.moves[part] <= self.pace * steps.unsqueeze(1)) & (known | nothing)
        changed = known & (self.hint.known[part] > 0)
        target = (kind - 1 + self.kinds * changed).clamp(min=0)
        loss = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none").view_as(target) * scored
        return loss.sum(1) / scored.sum(1).clamp(min=1)
