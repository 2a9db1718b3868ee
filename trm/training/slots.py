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
from trm.training.transfer import HostCopy, to_device


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

    def __post_init__(self) -> None:
        # Which slots halt, and how many puzzles each has taken, decides on the host which puzzles come next.
        self.halted_here, self.taken_here = HostCopy(self.halted), self.taken.cpu().numpy().copy()

    @classmethod
    def empty(cls, start: State, cells: int, taken: Tensor | None = None) -> Slots:
        """As many slots as `start` has rows, all of them halted, so that the first step fills them.

        `taken` [slots] puzzles have been taken by each so far; None: none.
        """

        def zeros(*shape: int, dtype: torch.dtype = torch.long) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=start.y.device)

        count = len(start.y)
        return cls(
            question=zeros(count, cells, dtype=torch.uint8),
            answer=zeros(count, cells, dtype=torch.uint8),
            ids=zeros(count),
            steps=zeros(count),
            taken=zeros(count) if taken is None else taken,
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

    def halt(self, part: slice, stop: Tensor) -> None:
        """Say which slots of `part` end their puzzle with the latest step, stop [slots of part]."""
        self.halted[part] = stop
        self.halted_here.update(part, stop)

    def ended(self, part: slice) -> list[int]:
        """The rows of `part` whose slots have halted. A GPU is waited for only until it has done that step."""
        rows: list[int] = np.flatnonzero(self.halted_here.read(part)).tolist()
        return rows

    def put(self, numbers: list[int], draws: Sequence[Draw]) -> None:
        """Put a new puzzle into each of these slots."""
        # All at once: one copy for each puzzle would keep a GPU waiting.
        device, rows = self.question.device, to_device(np.array(numbers), self.question.device)
        self.question[rows] = to_device(np.stack([draw.question for draw in draws]), device)
        self.answer[rows] = to_device(np.stack([draw.answer for draw in draws]), device)
        self.ids[rows] = to_device(np.array([draw.id for draw in draws], np.int64), device)
        self.steps.index_fill_(0, rows, 0)
        self.taken.index_add_(0, rows, torch.ones_like(rows))
        self.taken_here[numbers] += 1

    def gathered(self) -> dict[str, Tensor]:
        """The slots of all ranks, by the names of the fields. Call it on every rank."""
        return {field.name: distributed.gathered(getattr(self, field.name)) for field in fields(self)}

    def restored(self, content: dict[str, Tensor]) -> Slots:
        """This rank's slots out of what `gathered` gave, with any number of ranks then."""
        part = slice(self.first, self.first + len(self))
        return Slots(**{name: value[part].to(self.y.device).clone() for name, value in content.items()})
