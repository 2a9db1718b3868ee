"""Variants of TRM: HRM, direct prediction, and the paper's ablations of the memory.

HRM (Wang et al., arXiv 2506.21734, section 2) in the terms of TRM: its high-level state z_H is y, its low-level state
z_L is z, and the embedded question x is added to the input of the low-level network. Each of the T high-level cycles
has n low-level ones:

    z_L <- f_L(z_L + z_H + x)   n times, then   z_H <- f_H(z_H + z_L)

That is TRM's recursion with two networks instead of one, and with a gradient through the last call of each only (the
one-step gradient, section 2.3). HRM's halting rule and its bootstrapped target for continuing (Q-learning, section 2.4)
are part of training: `RunConfig(continue_loss=True)`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trm.models.base import State
from trm.models.config import ModelConfig
from trm.models.trm import TRM
from trm.tasks.base import Spec


class HRM(TRM):
    """`config.depths` layers in f_L and f_H, T high-level cycles of n low-level ones (published: 4, 2, 2)."""

    def __init__(self, config: ModelConfig, spec: Spec) -> None:
        super().__init__(config.changed(networks="separate", gradient="one_step"), spec)


class Direct(TRM):
    """The baseline of both papers: a plain transformer of HRM's size that answers in one pass, y <- f(x).

    There is no recursion and no memory, so all supervision steps are the same; train it with `max_steps=1`. HRM's two
    networks of 4 layers correspond to `config.layers` = 8.
    """

    def __init__(self, config: ModelConfig, spec: Spec) -> None:
        super().__init__(config.changed(T=1, networks="shared", gradient="recursion"), spec)

    def start(self, batch: int) -> State:
        """y gives the shape only; z [batch, 0, ...] is empty."""
        state = super().start(batch)
        return state._replace(z=state.z[:, :0])

    def recursion(self, x: Tensor, state: State) -> State:
        return State(self.blocks(x), state.z)


class SingleTRM(TRM):
    """One state in both roles: a recursion is n + 1 times y <- f(x + y), and the answer is read from y."""

    def start(self, batch: int) -> State:
        """z [batch, 0, ...] is empty."""
        state = super().start(batch)
        return state._replace(z=state.z[:, :0])

    def recursion(self, x: Tensor, state: State) -> State:
        y = state.y
        with torch.no_grad():
            for _ in range(self.frozen):
                y = self.blocks(x + y)
        for _ in range(self.config.n + 1 - self.frozen):
            y = self.blocks(x + y)
        return State(y, state.z)


class ScalesTRM(TRM):
    """Each of the n latent updates of a recursion has its own state: z_i <- f(x + y + z_1 + ... + z_n)."""

    def start(self, batch: int) -> State:
        """z [batch, n, ...]; all n begin with the same vector."""
        state = super().start(batch)
        return state._replace(z=state.z.unsqueeze(1).expand(-1, self.config.n, *state.z.shape[1:]))

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
