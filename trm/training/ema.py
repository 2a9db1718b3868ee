"""An exponential moving average of the trained weights; evaluation uses the average."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Ema:
    """average <- decay * average + (1 - decay) * weights, once per update. Buffers are not averaged."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.average = {name: p.detach().clone() for name, p in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        live = [p.detach() for _, p in model.named_parameters()]
        torch._foreach_lerp_(list(self.average.values()), live, 1.0 - self.decay)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Inside the `with` block, `model` has the averaged weights."""
        live = {name: p.detach().clone() for name, p in model.named_parameters()}
        copy_weights(model, self.average)
        try:
            yield
        finally:
            copy_weights(model, live)


@torch.no_grad()
def copy_weights(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Copy `weights` into the model's parameters of the same names."""
    for name, p in model.named_parameters():
        p.copy_(weights[name])
