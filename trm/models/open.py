"""TRM on the open places alone: the (cell, symbol) pairs that no given symbol rules out.

In a puzzle whose symbols stand once in each cell and once in each group, a given symbol leaves nothing to think about
in its own cell, and nothing for that symbol in the cells that share a group with it. Some two thirds of a hard Sudoku's
729 pairs go that way, and so does as much of the work. Everything else is left for the model to find out.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trm.models.base import Output, State
from trm.models.frames import SymbolFrame
from trm.models.groups import Places
from trm.models.mixers import GroupsMixer
from trm.models.trm import TRM

SHUT = -100.0  # logit of a symbol that a given rules out


class OpenTRM(TRM):
    """State, logits and weights are those of `TRM`; the state of places that are not open is zero."""

    def forward(self, state: State, question: Tensor, ids: Tensor | None = None) -> Output:
        """question [batch, cells] tokens (any integer type)."""
        frame, mixer = self.frame, self.blocks[0].mixer
        assert isinstance(frame, SymbolFrame)
        assert isinstance(mixer, GroupsMixer)
        given = frame.given(question, state.y.dtype)
        places, mask = mixer.layout.open_places(given)
        shape = state.y.shape
        x = frame.roles[0]
        y, z = (part.reshape(-1, shape[-1])[places.rows] for part in state)
        with torch.no_grad():
            for _ in range(self.config.T - 1):
                y, z = self.recur(x, y, z, places)
        y, z = self.recur(x, y, z, places)

        def spread(rows: Tensor, blank: Tensor) -> Tensor:
            return blank.flatten(0, 2).index_copy(0, places.rows, rows).view_as(blank)

        logits = spread(frame.head(y).squeeze(-1), given.new_full(given.shape, SHUT)) - given * SHUT
        whole = State(spread(y, torch.zeros_like(state.y)), spread(z, torch.zeros_like(state.z)))
        halt, resume = frame.read_halt(whole.y, mask.flatten(1).sum(1)).unbind(-1)
        return Output(whole, logits, halt, resume)

    def recur(self, x: Tensor, y: Tensor, z: Tensor, places: Places) -> tuple[Tensor, Tensor]:
        """One recursion on rows [places, width]."""
        context = y + x
        for _ in range(self.config.n):
            z = self.call(context + z, places)
        return self.call(y + z, places), z

    def call(self, h: Tensor, places: Places) -> Tensor:
        for block in self.blocks:
            h = block(h, places)
        return h
