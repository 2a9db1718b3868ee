"""Supervision on the way to the answer: a second head learns, from the latent z, what a task can tell of it.

An answer says nothing of how it is found. In a maze, the distance to the goal does (`trm.tasks.maze.Maze.hint`), and
scoring it where it can be known already gives every cell something to learn in every supervision step.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from trm.errors import BadInput
from trm.models.config import ModelConfig
from trm.tasks.base import Hinted, Task, Tokens


class Hints:
    """The hints of the puzzles in a batch's slots.

    Args:
        task: must be a `Hinted` with as many kinds of hint as the model has logits for. Raises BadInput if not.
        config: the model's; news travels at least T * n cells a supervision step.
        slots, cells: sizes of the batch.
        device: of the model.
    """

    def __init__(self, task: Task, config: ModelConfig, slots: int, cells: int, device: torch.device) -> None:
        have = task.hints if isinstance(task, Hinted) else 0
        if have != config.hints:
            name = f"{task.spec.name} has {have} kinds of hint"
            raise BadInput(f"model.hints is {config.hints}, and {name}: --set model.hints={have}")
        self.task, self.pace = task, config.T * config.n
        self.kind = torch.zeros(slots, cells, dtype=torch.uint8, device=device)
        self.moves = torch.zeros(slots, cells, dtype=torch.int64, device=device)

    def take(self, slot: int, question: Tokens) -> None:
        """Slot `slot` has question [cells] now."""
        assert isinstance(self.task, Hinted)
        kind, moves = self.task.hint(question)
        self.kind[slot], self.moves[slot] = torch.from_numpy(kind), torch.from_numpy(moves)

    def loss(self, part: slice, logits: Tensor, steps: Tensor) -> Tensor:
        """Mean cross-entropy over the cells that can know, of logits [slots of part, cells, kinds] after `steps` [slots
        of part] supervision steps. -> [slots of part], 0 where none can.
        """
        kind = self.kind[part].long()
        known = (kind > 0) & (self.moves[part] <= self.pace * steps.unsqueeze(1))
        target = (kind - 1).clamp(min=0)
        loss = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none").view_as(target) * known
        return loss.sum(1) / known.sum(1).clamp(min=1)
