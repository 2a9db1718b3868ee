"""The tiny recursive model that is trained on one ARC task: a state for every cell and colour.

All weights are shared over cells and colours. Colours are told apart only by where they lie, and by a name where they
have one (black, and those that play a part of their own), so exchanging the others changes nothing else.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trm.models.base import State
from trm.models.kernels.fused import add_norm, gated, swiglu_norm
from trm.models.layers import Linear, SwiGLU, truncated_normal


class Batch(NamedTuple):
    """Questions of one task on canvases of one size, [batch, height, width]; smaller ones are padded."""

    planes: Tensor  # [batch, planes, height, width] int64: colours, -1 where a plane has nothing
    places: Tensor  # [batch, height, width, kinds]: what is known of a cell besides its colours
    canvas: Tensor  # [batch, height, width] bool: false in the padding
    view: Tensor  # [batch] int64: which of the eight symmetries of the square
    target: Tensor  # [batch, height, width] int64: the answer's colours, -1 where there is none


class Block(nn.Module):
    """Gated features of a (cell, colour) are summed over the cells around it, all cells above, below, to the left and
    to the right, the whole canvas, and the colours of the cell; a linear map each leads back. Then a SwiGLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.w_features = Linear(width, 2 * width)
        self.w_near = Linear(9 * width, width)
        self.w_far = Linear(6 * width, width)
        self.mlp = SwiGLU(width, 3.0, 8)

    def forward(self, h: Tensor, inside: Tensor) -> Tensor:
        """h [batch, colours, height, width, C], inside [batch, 1, height, width, 1], 1 on the canvas -> as h"""
        features = gated(h, self.w_features.weight) * inside
        height, width, channels = h.shape[2:]
        flat = features.view(-1, height, width, channels)
        kernel = self.w_near.weight.view(channels, channels, 3, 3)
        near = F.conv2d(flat.permute(0, 3, 1, 2), kernel, padding=1).permute(0, 2, 3, 1)
        vertical, horizontal = _before(height, h), _before(width, h)
        columns, rows = flat.view(-1, height, width * channels), flat.view(-1, width, channels)
        lines = [
            (vertical @ columns).view_as(flat),
            (vertical.T @ columns).view_as(flat),
            (horizontal @ rows).view_as(flat),
            (horizontal.T @ rows).view_as(flat),
        ]
        up, down, left, right, grid, cell = self.w_far.weight.view(6, channels, channels)
        sums = sum(F.linear(line, weight) for line, weight in zip(lines, (up, down, left, right), strict=True))
        area = inside.sum((2, 3), keepdim=True)
        everywhere = F.linear(4 * features.sum((2, 3), keepdim=True) / area, grid)
        here = F.linear(features.sum(1, keepdim=True), cell)
        mixed = (near + sums).view_as(h) + everywhere + here
        return swiglu_norm(add_norm(h, mixed), self.mlp.w_in.weight, self.mlp.w_out.weight)


def _before(length: int, like: Tensor) -> Tensor:
    """[length, length]: a third where the column comes before the row, else 0."""
    return torch.ones(length, length, dtype=like.dtype, device=like.device).tril(-1) / 3


class AdaptModel(nn.Module):
    """One supervision step: n latent updates and an answer update, all with gradient (T = 1).

    Args:
        width: channels of a (cell, colour).
        n: latent updates.
        planes, kinds: as the batches have.
        names: of each colour that occurs, its number among the named ones, from 1; 0: it has no name.
    """

    names: Tensor
    start: Tensor

    def __init__(self, width: int, n: int, planes: int, kinds: int, names: list[int]) -> None:
        super().__init__()
        self.n = n
        self.register_buffer("names", torch.tensor(names), persistent=False)
        self.w_planes = Linear(planes, width)
        self.w_places = Linear(kinds, width)
        self.w_empty = Linear(planes, width)
        self.named = nn.Parameter(truncated_normal((max(names) + 1, width), 1.0))
        self.view = nn.Parameter(torch.zeros(8, width))  # nothing depends on the direction until it has to
        self.blocks = nn.Sequential(Block(width))  # the optimiser knows matrices of blocks by this name
        self.head = Linear(width, 1)
        self.register_buffer("start", truncated_normal((2, width), 1.0))

    def embed(self, batch: Batch) -> Tensor:
        """-> x [batch, colours, height, width, C]"""
        colours = torch.arange(len(self.names))
        planes = batch.planes.permute(0, 2, 3, 1).unsqueeze(1)
        here = (planes == colours.view(-1, 1, 1, 1)).to(self.named.dtype)
        x = (
            2 * self.w_planes(here)
            + self.w_empty((planes >= 0).to(here.dtype))
            + self.w_places(batch.places).unsqueeze(1)
        )
        x = x + self.named[self.names].view(1, -1, 1, 1, x.shape[-1])
        out: Tensor = x + self.view[batch.view].view(-1, 1, 1, 1, x.shape[-1])
        return out

    def begin(self, x: Tensor) -> State:
        return State(self.start[0].expand_as(x), self.start[1].expand_as(x))

    def forward(self, state: State, batch: Batch) -> tuple[State, Tensor]:
        """-> the next state, and logits [batch, height, width, colours]"""
        y, z, x, block = state.y, state.z, self.embed(batch), self.blocks[0]
        inside = batch.canvas[:, None, :, :, None].to(x.dtype)
        for _ in range(self.n):
            z = block(x + y + z, inside)
        y = block(y + z, inside)
        return State(y, z), self.head(y).squeeze(-1).permute(0, 2, 3, 1)
