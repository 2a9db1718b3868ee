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

    def over_ranks(self) -> Totals:
        """The sums of all ranks together. Call it on every rank."""
        names = [field.name for field in fields(self)]
        sums = distributed.summed(torch.tensor([getattr(self, name) for name in names], dtype=torch.float64))
        return Totals(**dict(zip(names, sums.tolist(), strict=True)))


NAMES = tuple(field.name for field in fields(Totals))


class Sums:
    """Totals that are summed on a device, where they stay until they are read."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.dtype = torch.float32 if device.type == "mps" else torch.float64  # all that Apple's GPUs have
        self.set(Totals())

    def add(self, **values: Tensor) -> None:
        """Add `values` [sequences], each named as its field of `Totals`."""
        rows = torch.stack([values[name].detach().to(self.dtype) for name in NAMES])
        self.values += rows.sum(-1)

    def set(self, totals: Totals) -> None:
        numbers = [getattr(totals, name) for name in NAMES]
        self.values = torch.tensor(numbers, dtype=self.dtype, device=self.device)

    def read(self) -> Totals:
        """The sums so far. This waits for the device."""
        return Totals(**dict(zip(NAMES, self.values.tolist(), strict=True)))
