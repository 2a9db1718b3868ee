"""The interface between the loop over supervision steps and the library that computes them. Numpy only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from trm.tasks.base import Bools, Ints, Tokens

Floats = npt.NDArray[np.float32]
S = TypeVar("S")  # a backend's state: y and z
S_co = TypeVar("S_co", covariant=True)


class Movement(NamedTuple):
    """Root mean square of what a step added to the state of one puzzle."""

    y: float
    z: float  # 0 where the model has none
    cells: Floats  # [cells], of z in each cell; of y where the model has no z


def movement_of(y: Floats, z: Floats, cells: int) -> Movement:
    """The movement of a step that added y and z [tokens, ...] each, of which the last `cells` tokens are the cells."""
    moved = z if z.any() else y
    squares = np.square(moved[len(moved) - cells :]).reshape(cells, -1)
    return Movement(root_mean_square(y), root_mean_square(z), np.sqrt(squares.mean(-1)))


def root_mean_square(values: Floats) -> float:
    return float(np.sqrt(np.square(values).mean())) if values.size else 0.0


class Outcome(Protocol[S_co]):
    """The result of one supervision step of a batch. Each backend computes it with its own library."""

    @property
    def state(self) -> S_co:
        """The state after the step."""
        ...

    @property
    def tokens(self) -> Tokens:
        """[batch, cells], the likeliest token of each cell."""
        ...

    @property
    def halts(self) -> Bools:
        """[batch], whether the model halts: its halting logit is above the model's `halt_logit`."""
        ...

    @property
    def halting(self) -> Floats:
        """[batch], sigmoid of the halting logit."""
        ...

    def confidence(self, question: Tokens) -> Floats:
        """The model's belief that its answers to question [batch, cells] are right. -> [batch], 0..1"""
        ...

    def probabilities(self, place: int) -> Floats:
        """Of the tokens in each cell, at one place of the batch. -> [cells, tokens - first_token]"""
        ...

    def movement(self, place: int) -> Movement:
        """How far the step moved the state, at one place of the batch."""
        ...


class Backend(Protocol[S]):
    """A model as the loop needs it."""

    @property
    def first_token(self) -> int:
        """The token that the first probability of a cell stands for."""
        ...

    def start(self, seeds: Sequence[int | None], noise: float) -> S:
        """A row for each of `seeds`: the model's initial state, plus noise of this deviation drawn with the seed."""
        ...

    def step(self, state: S, question: Tokens, ids: Ints | None) -> Outcome[S]:
        """One supervision step on question [batch, cells]; ids [batch]: puzzle embeddings, where there are several."""
        ...

    def join(self, first: S, second: S) -> S:
        """The rows of both states."""
        ...

    def keep(self, state: S, rows: Bools) -> S:
        """The rows where `rows` [batch] is true."""
        ...
