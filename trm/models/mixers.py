"""Mixers: the sub-layer through which cells exchange information, chosen by name.

A mixer maps the state h to `norm(h + mixed(h))`: residual and norm are its own, since the axis they run over is part
of what a mixer is. `register_mixer` adds one from outside the package.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trm.models.config import ModelConfig
from trm.models.fused import add_norm, gate, gated
from trm.models.groups import Layout, Places, mix
from trm.models.layers import Attention, Linear, Rotary, SwiGLU, rms_norm
from trm.tasks.base import Spec

MixerFactory = Callable[[ModelConfig, Spec], nn.Module]


def token_count(config: ModelConfig, spec: Spec) -> int:
    """Positions of the sequence: the puzzle embedding's, then one a cell."""
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
    """An MLP along the sequence, as published for Sudoku; the norm too runs along it. [batch, tokens, width] -> same"""

    def __init__(self, config: ModelConfig, spec: Spec) -> None:
        super().__init__()
        self.mlp = SwiGLU(token_count(config, spec), config.expansion, config.multiple)

    def forward(self, h: Tensor) -> Tensor:
        # Weights stand to the left of the state, so that nothing is transposed: [hidden, tokens] [tokens, width].
        batch, _, width = h.shape
        w_in, w_out = self.mlp.w_in.weight.expand(batch, -1, -1), self.mlp.w_out.weight.expand(batch, -1, -1)
        hidden = gate(torch.bmm(w_in, h).flatten(1)).view(batch, -1, width)
        return rms_norm(torch.baddbmm(h, w_out, hidden), dim=1)


class GroupsMixer(nn.Module):
    """Sums inside each constraint group. [batch, cells, symbols, width] -> same

    Every weight is shared over cells and symbols, and information moves only by sums over the cells of a group (for
    each symbol) and over the symbols of a cell. So permuting symbols, or cells in a way that maps groups of a kind
    onto groups of that kind, permutes the output and changes nothing else. Weights do not depend on the puzzle's size.
    """

    def __init__(self, config: ModelConfig, spec: Spec) -> None:
        super().__init__()
        width = config.width
        self.w_features = Linear(width, 2 * width)
        self.w_kind = nn.ModuleList(Linear(width, width) for _ in spec.groups)
        self.w_cell = Linear(width, width)
        self.layout = Layout(spec)

    def forward(self, h: Tensor, places: Places | None = None) -> Tensor:
        """With `places`, h is [places, width]: the rows there are."""
        maps = torch.stack([linear.weight for linear in (*self.w_kind, self.w_cell)])
        return mix(h, self.w_features.weight, maps, self.layout, places)


class LocalMixer(nn.Module):
    """Gated features of a cell and of its four neighbours. [batch, cells, width] -> same

    All weights are shared over cells, one map for each direction, and beyond the edge is nothing: so weights do not
    depend on the board's size, and information moves one cell a call.
    """

    def __init__(self, config: ModelConfig, spec: Spec) -> None:
        super().__init__()
        self.height, self.width = spec.height, spec.width
        self.w_features = Linear(config.width, 2 * config.width)
        self.w_around = Linear(5 * config.width, config.width)

    def forward(self, h: Tensor) -> Tensor:
        features = gated(h, self.w_features.weight).view(len(h), self.height, self.width, h.shape[-1])
        padded = F.pad(features, (0, 0, 1, 1, 1, 1))
        rows, columns = slice(1, -1), slice(1, -1)
        above, below = padded[:, :-2, columns], padded[:, 2:, columns]
        left, right = padded[:, rows, :-2], padded[:, rows, 2:]
        around = torch.cat((features, above, below, left, right), dim=-1)
        return add_norm(h, self.w_around(around).flatten(1, 2))


MIXERS: dict[str, MixerFactory] = {
    "attention": AttentionMixer,
    "mlp": MlpMixer,
    "groups": GroupsMixer,
    "local": LocalMixer,
}


def register_mixer(name: str, factory: MixerFactory) -> None:
    """Make `factory(config, spec) -> nn.Module` available as `ModelConfig(mixer=name)`."""
    MIXERS[name] = factory
