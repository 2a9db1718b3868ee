"""TRM with another memory: the ablations of the paper's section 4.2 ("single z" and "multi-scale z", table 2)."""

from __future__ import annotations

import torch
from torch import Tensor

from trm.models.base import State
from trm.models.trm import TRM


class SingleTRM(TRM):
    """One state takes both roles: n + 1 times y <- f(x + y) a recursion, the answer read from y."""

    def start(self, batch: int) -> State:
        """z [batch, 0, ...] is empty."""
        y, z = super().start(batch)
        return State(y, z[:, :0])

    def recursion(self, x: Tensor, state: State) -> State:
        y = state.y
        with torch.no_grad():
            for _ in range(self.frozen):
                y = self.blocks(x + y)
        for _ in range(self.config.n + 1 - self.frozen):
            y = self.blocks(x + y)
        return State(y, state.z)


class ScalesTRM(TRM):
    """Each of a recursion's n latent updates has a state of its own: z_i <- f(x + y + z_1 + ... + z_n)."""

    def start(self, batch: int) -> State:
        """z [batch, n, ...], all n starting from the same vector."""
        y, z = super().start(batch)
        return State(y, z.unsqueeze(1).expand(-1, self.config.n, *z.shape[1:]))

    def recursion(self, x: Tensor, state: State) -> State:
        y = state.y
        z = list(state.z.unbind(1))
        context = x + y
        with torch.no_grad():
            for i in range(self.frozen):
                z[i] = self.blocks(context + total(z))
        for i in range(self.frozen, self.config.n):
            z[i] = self.blocks(context + total(z))
        return State(self.answer(y + total(z)), torch.stack(z, dim=1))


def total(parts: list[Tensor]) -> Tensor:
    return torch.stack(parts).sum(0)
