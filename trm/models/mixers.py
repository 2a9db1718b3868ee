"""Mixers: the sub-layer through which cells exchange information, chosen by name.

A mixer maps the state h to `norm(h + mixed(h))`. Residual and norm belong to the mixer, because the axis of the norm
differs between mixers. `register_mixer` adds one from outside the package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from trm.models.config import ModelConfig
from trm.models.kernels.fused import add_norm, gate
from trm.models.kernels.groups import Layout, mix
from trm.models.kernels.local import local_mix
from trm.models.layers import Attention, Linear, Rotary, SwiGLU, rms_norm
from trm.models.relations import RelationsMixer
from trm.tasks.base import Spec

MixerFactory = Callable[[ModelConfig, Spec], nn.Module]


def token_count(config: ModelConfig, spec: Spec) -> int:
    """Length of the sequence: the tokens of the puzzle embedding, then one for each cell."""
    return spec.cells + (config.puzzle_tokens if config.puzzle_ids else 0)


class AttentionMixer(nn.Module):
    """RoPE self-attention, as published for ARC and Maze. [batch, tokens, width] -> same"""

    def __init__(self, config: ModelConfig, spec: Spec) -> None:
        super().__init__()
        rope = config.positions == "rope"
        rotary = Rotary(config.width // config.heads, token_count(config, spec)) if rope else None
        self.attention = Attention(config.width, config.heads, rotary)

    def forward(self, h: Tensor) -> Tensor:
        return add_norm(h, self.attention(h))


class MlpMixer(nn.Module):
    """An MLP along the sequence, as published for Sudoku, with the norm along it too. [batch, tokens, width] -> same"""

    def __init__(self, config: ModelConfig, spec: Spec) -> None:
        super().__init__()
        self.mlp = SwiGLU(token_count(config, spec), config.expansion, config.multiple)

    def forward(self, h: Tensor) -> Tensor:
        # With the weights to the left of the state nothing is transposed: [hidden, tokens] [tokens, width].
        batch, _, width = h.shape
        w_in, w_out = self.mlp.w_in.weight.expand(batch, -1, -1), self.mlp.w_out.weight.expand(batch, -1, -1)
        hidden = gate(torch.bmm(w_in, h).flatten(1)).view(batch, -1, width)
        if hidden.dtype != h.dtype:  # bfloat16: the sum stays in float32
            return rms_norm(h + torch.bmm(w_out, hidden), dim=1)
        return rms_norm(torch.baddbmm(h, w_out, hidden), dim=1)


class GroupsMixer(nn.Module):
    """Sums inside each constraint group. [batch, cells, symbols, width] -> same

    Every weight is shared over cells and symbols, and information moves only by sums over the cells of a group (for
    each symbol) and over the symbols of a cell. So a permutation of the symbols, or one of the cells that maps groups
    onto groups of the same kind, permutes the output and changes nothing else. Weights do not depend on the puzzle's
    size.
    """

    def __init__(self, config: ModelConfig, spec: Spec) -> None:
        super().__init__()
        width = config.width
        self.w_features = Linear(width, 2 * width)
        self.w_kind = nn.ModuleList(Linear(width, width) for _ in spec.groups)
        self.w_cell = Linear(width, width)
        self.layout = Layout(spec)

    def forward(self, h: Tensor) -> Tensor:
        maps = torch.stack([linear.weight for linear in (*self.w_kind, self.w_cell)])
        return mix(h, self.w_features.weight, maps, self.layout)


class LocalMixer(nn.Module):
    """Gated features of a cell and of its four neighbours. [batch, cells, width] -> same

    All weights are shared over cells, with one map for each direction, and beyond the edge everything is 0. So weights
    do not depend on the board's size, and a call moves information by one cell.
    """

    def __init__(self, config: ModelConfig, spec: Spec) -> None:
        super().__init__()
        self.height, self.width = spec.height, spec.width
        self.w_features = Linear(config.width, 2 * config.width)
        self.w_around = Linear(5 * config.width, config.width)

    def forward(self, h: Tensor) -> Tensor:
        return local_mix(h, self.w_features.weight, self.w_around.weight, self.height, self.width)


MIXERS: dict[str, MixerFactory] = {
    "attention": AttentionMixer,
    "mlp": MlpMixer,
    "groups": GroupsMixer,
    "local": LocalMixer,
    "relations": RelationsMixer,
}
# The frame of each mixer (see trm/models/frames.py). `tokens`: the state has a vector for each token; `grid`: the same,
# and the halting logit is read from all of them; `symbols`: it has a vector for each (cell, symbol) pair.
FrameName = Literal["tokens", "grid", "symbols"]
FRAMES: dict[str, FrameName] = {
    "attention": "tokens",
    "mlp": "tokens",
    "groups": "symbols",
    "local": "grid",
    "relations": "grid",
}


def register_mixer(name: str, factory: MixerFactory, frame: FrameName = "tokens") -> None:
    """Make `factory(config, spec) -> nn.Module` available as `ModelConfig(mixer=name)`.

    Args:
        name: one that is not taken.
        factory: makes the module that maps h to `norm(h + mixed(h))`.
        frame: the shape of h. `tokens`: [batch, tokens, width], the tokens of a puzzle embedding, if the model has one,
            then the cells; the halting logit is read at the first position. `grid`: the same, with the halting logit
            read from all positions, for a mixer that moves information step by step. `symbols`: [batch, cells, symbols,
            width], for tasks whose symbols are interchangeable.
    """
    MIXERS[name], FRAMES[name] = factory, frame
