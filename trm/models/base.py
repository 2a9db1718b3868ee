"""What the recursion carries and returns, the same for every model."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class State(NamedTuple):
    """The recursion's memory between supervision steps."""

    y: Tensor  # current answer, [batch, tokens, width] or [batch, cells, symbols, width]
    z: Tensor  # latent reasoning, same shape (other memories: see trm/models/variants.py)


class Output(NamedTuple):
    """One supervision step's result."""

    state: State  # attached to the graph; training detaches it once a window
    logits: Tensor  # [batch, cells, tokens - first_token]
    halt: Tensor  # [batch], > 0 means "my answer is right" (the paper's q)
    resume: Tensor | None = None  # [batch], the continue logit, where the model has one
    hints: Tensor | None = None  # [batch, cells, kinds of hint], where the model has such a head

    def to(self, dtype: torch.dtype) -> Output:
        """The same in `dtype`: what a model returns under autocast, for losses that are computed in full."""
        resume, hints = (None if x is None else x.to(dtype) for x in (self.resume, self.hints))
        state = State(self.state.y.to(dtype), self.state.z.to(dtype))
        return Output(state, self.logits.to(dtype), self.halt.to(dtype), resume, hints)


class Model(Protocol):
    """The interface that training, evaluation and solving rely on."""

    first_token: int  # the token that logits[..., 0] stands for

    def start(self, batch: int) -> State:
        """The state before the first supervision step."""
        ...

    def __call__(self, state: State, question: Tensor, ids: Tensor | None = None) -> Output: ...


def select(mask: Tensor, new: State, old: State) -> State:
    """Rows of `new` where mask [batch] is true, of `old` elsewhere."""

    def pick(a: Tensor, b: Tensor) -> Tensor:
        return a.where(mask.view(-1, *[1] * (a.ndim - 1)), b)

    return State(pick(new.y, old.y), pick(new.z, old.z))
