"""The layers of all networks: norms, gated layers, attention, rotary positions."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def truncated_normal(shape: tuple[int, ...], std: float) -> Tensor:
    """Normal values cut off at two standard deviations, rescaled to the standard deviation `std`."""
    # A normal distribution truncated to +-2 has standard deviation 0.8796.
    values = nn.init.trunc_normal_(torch.empty(shape), std=1.0, a=-2.0, b=2.0)
    return values * (std / 0.8796256610342398)


def rms_norm(h: Tensor, eps: float = 1e-5, dim: int = -1) -> Tensor:
    """Scale an axis to root mean square 1; no learned gain (TRM, section 2.2). Any shape -> same shape."""
    return h * torch.rsqrt(h.square().mean(dim, keepdim=True) + eps)


class RecursiveBlock(nn.Module):
    """A layer of a network that is applied again and again. Optimisers find its matrices by this class."""


class Linear(nn.Linear):
    """A linear map with truncated-normal weights of variance 1/inputs and a zero bias, none by default."""

    def __init__(self, inputs: int, outputs: int, bias: bool = False) -> None:
        super().__init__(inputs, outputs, bias=bias)
        self.weight.data = truncated_normal((outputs, inputs), 1 / math.sqrt(inputs))
        if bias:
            nn.init.zeros_(self.bias)


def gated_width(width: int, expansion: float, multiple: int) -> int:
    """Hidden width of a SwiGLU: 2/3 of `expansion * width` (it has three matrices, not two), rounded up."""
    return -(-round(expansion * width * 2 / 3) // multiple) * multiple


class SwiGLU(nn.Module):
    """`w_out(silu(gate) * up)` with gate and up from one product. [..., width] -> [..., width]"""

    def __init__(self, width: int, expansion: float, multiple: int) -> None:
        super().__init__()
        hidden = gated_width(width, expansion, multiple)
        self.w_in = Linear(width, 2 * hidden)
        self.w_out = Linear(hidden, width)

    def forward(self, h: Tensor) -> Tensor:
        gate, up = self.w_in(h).chunk(2, dim=-1)
        out: Tensor = self.w_out(F.silu(gate) * up)
        return out


class Rotary(nn.Module):
    """Rotary positions (RoPE) for `length` tokens, applied to queries and keys."""

    cos: Tensor  # [length, 1, head_width / 2]
    sin: Tensor

    def __init__(self, head_width: int, length: int, base: float = 10_000.0) -> None:
        super().__init__()
        rates = base ** (-torch.arange(0, head_width, 2, dtype=torch.float32) / head_width)
        angles = torch.outer(torch.arange(length, dtype=torch.float32), rates)[:, None]
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, heads: Tensor) -> Tensor:
        """[batch, tokens, heads, head_width] -> same."""
        cos, sin = self.cos.to(heads.dtype), self.sin.to(heads.dtype)
        first, second = heads.chunk(2, dim=-1)
        turned = torch.addcmul(first * cos, second, sin, value=-1), torch.addcmul(second * cos, first, sin)
        return torch.cat(turned, dim=-1)


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(head width)) v; q, k, v [batch, heads, tokens, head width] -> same.

    In bfloat16 on a CPU, torch's fused attention takes longer than in float32, and its gradient two to eight times as
    long as that of separate products, whose sums are in float32 too. The scores are then rounded to bfloat16.
    """
    if q.device.type != "cpu" or q.dtype != torch.bfloat16 or torch.compiler.is_compiling():
        return F.scaled_dot_product_attention(q, k, v)
    flat_q, flat_k, flat_v = q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1)
    with torch.autocast("cpu", enabled=False):  # it would do the softmax in float32, which torch does inside anyway
        scores = torch.baddbmm(q.new_empty(1), flat_q, flat_k.mT, beta=0, alpha=q.shape[-1] ** -0.5)
        return torch.bmm(scores.softmax(-1), flat_v).view_as(q)


class Attention(nn.Module):
    """Full (non-causal) multi-head self-attention. [batch, tokens, width] -> same"""

    def __init__(self, width: int, heads: int, rotary: Rotary | None) -> None:
        super().__init__()
        self.heads = heads
        self.w_qkv = Linear(width, 3 * width)
        self.w_out = Linear(width, width)
        self.rotary = rotary

    def forward(self, h: Tensor) -> Tensor:
        batch, tokens, width = h.shape
        qkv = self.w_qkv(h).view(batch, tokens, 3 * self.heads, width // self.heads)
        qk, v = qkv.split((2 * self.heads, self.heads), dim=2)
        q, k = (qk if self.rotary is None else self.rotary(qk)).chunk(2, dim=2)
        mixed = attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
        out: Tensor = self.w_out(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return out
