"""The tiny recursive model that is trained on one ARC task: its state has a vector for every cell and colour.

All weights are shared over cells and colours. Three things tell colours apart: the cells that they are in; roles, such
as that of the rarest; and a name (a learned embedding) for black and the colours that the task is about. Exchanging two
colours without a name exchanges them in the answer and changes nothing else. A colour that a question has not, and that
has no name, cannot be answered, so an example has no layer for it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from trm.models.base import State
from trm.models.kernels.canvas import canvas_mix
from trm.models.kernels.fused import swiglu_norm
from trm.models.layers import Linear, RecursiveBlock, SwiGLU, truncated_normal
from trm.models.precision import Precision, in_precision

LARGE = 3.0  # groups of weights that are matrices shrink by so many times the amount


class Batch(NamedTuple):
    """Examples of one task on canvases of one size; smaller canvases are padded."""

    planes: Tensor  # [batch, planes, height, width] int64: number of the colour, -1 where there is none
    places: Tensor  # [batch, height, width, places] float32: where a cell lies and what marks it, 0 or 1
    canvas: Tensor  # [batch, height, width] bool: false in the padding
    roles: Tensor  # [batch, colours, roles] float32: what distinguishes a colour in the question, 0 or 1
    view: Tensor  # [batch] int64: which of the eight symmetries of the square
    target: Tensor  # [batch, height, width] int64: the answer's colours, -1 where there is none


class Block(RecursiveBlock):
    """The mixer and the SwiGLU of the network.

    The mixer sums gated features of a (cell, colour) over its 3x3 neighbourhood, over all cells above, below, left and
    right of it, over the whole canvas, and over all colours of the cell. Each sum has a linear map back to the width.
    """

    scale: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.w_features = Linear(width, 2 * width)
        self.w_near = Linear(9 * width, width)
        self.w_far = Linear(6 * width, width)
        self.mlp = SwiGLU(width, 3.0, 8)
        # So that at first all sums are about as large: of the cells in a line, of the canvas (a mean), of the colours.
        self.register_buffer("scale", torch.tensor([1 / 3] * 4 + [4.0, 1.0]).view(6, 1, 1), persistent=False)

    def forward(self, h: Tensor, inside: Tensor) -> Tensor:
        """Apply the block.

        Args:
            h: [batch, colours, height, width, C].
            inside: [batch, 1, height, width, 1], 1 on the canvas and 0 in the padding.

        Returns:
            A tensor of the shape of h.
        """
        channels = h.shape[-1]
        near = self.w_near.weight.view(channels, channels, 9).permute(2, 0, 1)
        maps = torch.cat((near, self.w_far.weight.view(6, channels, channels) * self.scale))
        mixed = canvas_mix(h, inside, self.w_features.weight, maps)
        return swiglu_norm(mixed, self.mlp.w_in.weight, self.mlp.w_out.weight)


def _shorten(weights: Tensor, group: tuple[int, ...], amount: float) -> None:
    """Shorten each group in place; `group` are the axes that run through one."""
    norm = weights.norm(dim=group, keepdim=True).clamp(min=amount)
    weights.mul_(1 - amount / norm)


class AdaptModel(nn.Module):
    """One supervision step: n latent updates and an answer update, all with gradient (T = 1).

    Args:
        width: channels of a (cell, colour).
        n: latent updates.
        planes, places, roles: how many of them a batch has.
        named: how many colours have a name; they are the first ones of every example.
    """

    start_y: Tensor  # [width]
    start_z: Tensor  # [width]

    def __init__(self, width: int, n: int, planes: int, places: int, roles: int, named: int) -> None:
        super().__init__()
        self.n = n
        self.precision: Precision = "float32"  # of matrix products, see trm/models/precision.py
        self.w_planes = Linear(planes, width)
        self.w_places = Linear(places, width)
        self.w_empty = Linear(planes, width)
        self.w_roles = Linear(roles, width)
        self.named = nn.Parameter(truncated_normal((named + 1, width), 1.0))
        self.view = nn.Parameter(torch.zeros(8, width))  # zero: at first the answer does not depend on the direction
        self.block = Block(width)
        self.head = Linear(width, 1)
        for weights in (self.w_places.weight, self.w_roles.weight):
            nn.init.zeros_(weights)  # what a rule does not need shall not take part
        start_y, start_z = truncated_normal((2, width), 1.0)
        self.register_buffer("start_y", start_y)
        self.register_buffer("start_z", start_z)

    def embed(self, batch: Batch) -> Tensor:
        """Embed the questions. -> x [batch, colours, height, width, C]"""
        count = batch.roles.shape[1]
        colours = torch.arange(count)
        planes = batch.planes.permute(0, 2, 3, 1).unsqueeze(1)
        here = (planes == colours.view(-1, 1, 1, 1)).to(self.named.dtype)
        x = (
            2 * self.w_planes(here)
            + self.w_empty((planes >= 0).to(here.dtype))
            + self.w_places(batch.places).unsqueeze(1)
        )
        names = torch.where(colours < len(self.named) - 1, colours + 1, 0)
        x = x + (self.named[names] + self.w_roles(batch.roles)).view(-1, count, 1, 1, x.shape[-1])
        out: Tensor = x + self.view[batch.view].view(-1, 1, 1, 1, x.shape[-1])
        return out

    @torch.no_grad()
    def shrink(self, amount: float) -> None:
        """Shorten every group of weights by `amount`, or to zero: a proximal step of a group lasso (Yuan, Lin 2006).

        A group is what one plane, place or role gives to the embedding; the map of one neighbour or sum; and all that
        the eight symmetries differ in. So a model comes to use few of them. The larger groups shrink more.
        """
        width, block = len(self.start_y), self.block
        for column in (self.w_planes, self.w_empty, self.w_places, self.w_roles):
            _shorten(column.weight, (0,), amount)
        _shorten(block.w_near.weight.view(width, width, 9), (0, 1), LARGE * amount)
        _shorten(block.w_far.weight.view(6, width, width), (1, 2), LARGE * amount)
        _shorten(self.view, (0, 1), LARGE * amount)

    def begin(self, x: Tensor) -> State:
        """The state before the first supervision step, for the embedded questions x."""
        return State(y=self.start_y.expand_as(x), z=self.start_z.expand_as(x))

    def forward(self, state: State, batch: Batch) -> tuple[State, Tensor]:
        """Make one supervision step. -> the next state, and logits [batch, height, width, colours]"""
        y, z, x, block = state.y, state.z, self.embed(batch), self.block
        inside = batch.canvas[:, None, :, :, None].to(x.dtype)
        context = x + y
        with in_precision(self.precision, x.device):
            for _ in range(self.n):
                z = block(context + z, inside)
            y = block(y + z, inside)
        return State(y=y, z=z), self.head(y).squeeze(-1).permute(0, 2, 3, 1)
