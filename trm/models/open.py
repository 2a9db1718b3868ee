"""TRM on the open places alone: the (cell, symbol) pairs that no given symbol rules out.

In a puzzle whose symbols stand once in each cell and once in each group, a given symbol leaves nothing to think about
in its own cell, and nothing for that symbol in the cells that share a group with it. Some two thirds of a hard Sudoku's
729 pairs go that way, and so does as much of the work. Everything else is left for the model to find out.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from trm.models.base import Output, State
from trm.models.frames import SymbolFrame
from trm.models.groups import Layout
from trm.models.mixers import GroupsMixer
from trm.models.trm import TRM

SHUT = -100.0  # logit of a symbol that a given rules out
Call = Callable[[nn.Sequential, Tensor], Tensor]  # one use of a network


class OpenTRM(TRM):
    """State, logits and weights are those of `TRM`; the state of places that are not open is zero."""

    def forward(self, state: State, question: Tensor, ids: Tensor | None = None) -> Output:
        """question [batch, cells] tokens (any integer type)."""
        frame, layout = self.parts()
        given = frame.given(question, state.y.dtype)
        places, mask = layout.open_places(given)
        y, z = (part.reshape(-1, part.shape[-1])[places.rows] for part in state)

        def call(network: nn.Sequential, h: Tensor) -> Tensor:
            for block in network:
                h = block(h, places)
            return h

        y, z = self.think(frame.roles[0], y, z, call)

        def spread(rows: Tensor, blank: Tensor) -> Tensor:
            return blank.flatten(0, 2).index_copy(0, places.rows, rows).view_as(blank)

        logits = spread(frame.head(y).squeeze(-1), given.new_full(given.shape, SHUT)) - given * SHUT
        whole = State(spread(y, torch.zeros_like(state.y)), spread(z, torch.zeros_like(state.z)))
        halt, resume = frame.read_halt(whole.y, mask.flatten(1).sum(1)).unbind(-1)
        return Output(whole, logits, halt, resume)

    def dense(self, state: State, question: Tensor, ids: Tensor | None = None) -> Output:
        """`forward` with every place worked on, and those that are not open put back to zero after each block.

        The amount of work does not depend on the puzzles, as a graph of fixed operations needs (`trm/onnx_export.py`).
        """
        frame, layout = self.parts()
        given = frame.given(question, state.y.dtype)
        mask = layout.open_mask(given)
        keep = mask.unsqueeze(-1).to(state.y.dtype)

        def call(network: nn.Sequential, h: Tensor) -> Tensor:
            for block in network:
                h = block(h) * keep  # features of a place at zero are zero, so its groups' sums are without it
            return h

        y, z = self.think(frame.roles[0] * keep, state.y * keep, state.z * keep, call)
        logits = frame.read(y).where(mask, SHUT) - given * SHUT
        halt, resume = frame.read_halt(y, mask.flatten(1).sum(1)).unbind(-1)
        return Output(State(y, z), logits, halt, resume)

    def parts(self) -> tuple[SymbolFrame, Layout]:
        frame, mixer = self.frame, self.blocks[0].mixer
        assert isinstance(frame, SymbolFrame)
        assert isinstance(mixer, GroupsMixer)
        return frame, mixer.layout

    def think(self, x: Tensor, y: Tensor, z: Tensor, call: Call) -> tuple[Tensor, Tensor]:
        """The recursions of a step, the last with gradient. Any shape [..., width] that `call` maps to itself."""
        with torch.no_grad():
            for _ in range(self.config.T - 1):
                y, z = self.recur(x, y, z, call)
        return self.recur(x, y, z, call)

    def recur(self, x: Tensor, y: Tensor, z: Tensor, call: Call) -> tuple[Tensor, Tensor]:
        """One recursion."""
        context = y + x
        for i in range(self.config.n):
            z = call(self.latent(i), context + z)
        return call(self.answer_blocks or self.blocks, y + z), z
