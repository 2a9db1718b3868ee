"""The running batch: every slot holds a puzzle and its state until the sequence halts, then the next puzzle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from trm.models import State
from trm.tasks.sampler import Draw
from trm.training import distributed


@dataclass
class Slots:
    """This rank's part of the running batch. The fields are saved in checkpoints under their names."""

    question: Tensor  # [slots, cells] uint8
    answer: Tensor  # [slots, cells] uint8
    ids: Tensor  # [slots], rows of the puzzle-embedding table
    steps: Tensor  # [slots], supervision steps done on the puzzle
    taken: Tensor  # [slots], puzzles that the slot has taken so far
    halted: Tensor  # [slots] bool: the slot takes a new puzzle at the next step
    y: Tensor  # [slots, ...]
    z: Tensor  # [slots, ...]

    @classmethod
    def empty(cls, start: State, cells: int) -> Slots:
        """As many slots as `start` has rows, all of them halted, so that the first step fills them."""

        def zeros(*shape: int, dtype: torch.dtype = torch.long) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=start.y.device)

        count = len(start.y)
        return cls(
            question=zeros(count, cells, dtype=torch.uint8),
            answer=zeros(count, cells, dtype=torch.uint8),
            ids=zeros(count),
            steps=zeros(count),
            taken=zeros(count),
            halted=torch.ones(count, dtype=torch.bool, device=start.y.device),
            y=start.y.contiguous(),
            z=start.z.contiguous(),
        )

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def first(self) -> int:
        """The number of this rank's first slot among those of all ranks."""
        return distributed.rank() * len(self)

    def state(self, part: slice) -> State:
        return State(self.y[part], self.z[part])

    def store(self, part: slice, state: State) -> None:
        """Keep `state` [slots of part] for the next update, which sends no gradient back through it."""
        self.y[part], self.z[part] = state.y.detach(), state.z.detach()

    def put(self, numbers: list[int], draws: Sequence[Draw]) -> None:
        """Put a new puzzle into each of these slots."""
        # All at once: one copy for each puzzle would keep a GPU waiting.
        self.question[numbers] = torch.from_numpy(np.stack([draw.question for draw in draws])).to(self.question)
        self.answer[numbers] = torch.from_numpy(np.stack([draw.answer for draw in draws])).to(self.answer)
        self.ids[numbers] = torch.tensor([draw.id for draw in draws], device=self.ids.device)
        self.steps[numbers] = 0
        self.taken[numbers] += 1

    def gathered(self) -> dict[str, Tensor]:
        """The slots of all ranks, by the names of the fields. Call it on every rank."""
        return {field.name: distributed.gathered(getattr(self, field.name)) for field in fields(self)}

    def restored(self, content: dict[str, Tensor]) -> Slots:
        """This rank's slots out of what `gathered` gave, with any number of ranks then."""
        part = slice(self.first, self.first + len(self))
        return Slots(**{name: value[part].to(self.y.device).clone() for name, value in content.items()})
