"""What the recursion carries and returns, the same for every model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class State(NamedTuple):
    """The recursion's memory between supervision steps."""

    y: Tensor  # current answer, [batch, tokens, width] or [batch, cells, symbols, width]
    z: Tensor  # latent reasoning, same shape (other memories: see trm/models/variants.py)
    steps: Tensor | None = None  # [batch], supervision steps done; only networks that take turns count them

    def map(self, change: Callable[[Tensor], Tensor]) -> State:
        """`change` applied to every part."""
        return State(change(self.y), change(self.z), None if self.steps is None else change(self.steps))

    def take(self, rows: Tensor) -> State:
        """Rows by number, or those where `rows` [batch] is true."""
        return self.map(lambda part: part[rows])

    def detach(self) -> State:
        return self.map(Tensor.detach)


class Output(NamedTuple):
    """The result of one supervision step."""

    state: State  # attached to the graph; training detaches it once a window
    logits: Tensor  # [batch, cells, tokens - first_token]
    halt: Tensor  # [batch], the halting logit q: the log-odds of "my answer is right"
    resume: Tensor | None = None  # [batch], the continue logit, where the model has one
    hints: Tensor | None = None  # [batch, cells, kinds of hint], where the model has such a head

    def to(self, dtype: torch.dtype) -> Output:
        """The same in `dtype`: training computes its losses in full precision from the output of autocast."""
        resume, hints = (None if x is None else x.to(dtype) for x in (self.resume, self.hints))
        state = self.state._replace(y=self.state.y.to(dtype), z=self.state.z.to(dtype))  # a count keeps its type
        return Output(state, self.logits.to(dtype), self.halt.to(dtype), resume, hints)


class Model(Protocol):
    """The interface that training, evaluation and solving rely on."""

    first_token: int  # the token that logits[..., 0] stands for
    halt_logit: float  # the model halts where the halting logit is above it; the paper's is 0

    def start(self, batch: int) -> State:
        """The state before the first supervision step."""
        ...

    def __call__(self, state: State, question: Tensor, ids: Tensor | None = None) -> Output: ...


def select(mask: Tensor, new: State, old: State) -> State:
    """Rows of `new` where mask [batch] is true, of `old` elsewhere."""

    def pick(new: Tensor, old: Tensor) -> Tensor:
        return new.where(mask.view(-1, *[1] * (new.ndim - 1)), old)

    steps = None if new.steps is None or old.steps is None else pick(new.steps, old.steps)
    return State(pick(new.y, old.y), pick(new.z, old.z), steps)


def join(states: Sequence[State]) -> State:
    """The rows of several states of one model, in order."""
    counts = [state.steps for state in states if state.steps is not None]
    return State(
        torch.cat([state.y for state in states]),
        torch.cat([state.z for state in states]),
        torch.cat(counts) if counts else None,
    )
