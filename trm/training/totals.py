"""What a run sums up between two lines of its log."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from trm.training import distributed


@dataclass
class Totals:
    """Sums over supervision steps. Accuracy counts sequences that have ended, as the published training log does."""

    loss: float = 0.0  # of the answer
    halt_loss: float = 0.0  # of the halting logit and, with the continue loss, of the continue logit
    sequences: float = 0.0  # one for every supervision step of every sequence
    finished: float = 0.0  # sequences that have ended
    exact: float = 0.0  # of them those whose answer is entirely right
    steps: float = 0.0  # supervision steps that they took
    hint_loss: float = 0.0

    @classmethod
    def of(cls, dtype: torch.dtype, **values: Tensor) -> Totals:
        """Sums of `values` [sequences], each named as its field. All are copied from the device at once, in `dtype`."""
        rows = torch.stack([value.detach().to(dtype) for value in values.values()]).cpu().double()
        return cls(**dict(zip(values, rows.sum(-1).tolist(), strict=True)))

    def add(self, other: Totals) -> None:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    def over_ranks(self) -> Totals:
        """The sums of all ranks together. Call it on every rank."""
        names = [field.name for field in fields(self)]
        sums = distributed.summed(torch.tensor([getattr(self, name) for name in names], dtype=torch.float64))
        return Totals(**dict(zip(names, sums.tolist(), strict=True)))
