"""The paper's pseudo-code (arXiv 2510.04871, figures 3 and 5) in plain eager torch, to compare the package with.

It is written from the description, with the published layers and sizes, and uses none of the package's code. Only
the names of the weights are the package's, so that both can have the same weights.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def rms_norm(h: Tensor) -> Tensor:
    return h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-5)


def rotate(h: Tensor) -> Tensor:
    first, second = h.chunk(2, dim=-1)
    return torch.cat((-second, first), dim=-1)


class SwiGLU(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.w_in = nn.Linear(width, 2 * hidden, bias=False)
        self.w_out = nn.Linear(hidden, width, bias=False)

    def forward(self, h: Tensor) -> Tensor:
        gate, up = self.w_in(h).chunk(2, dim=-1)
        out: Tensor = self.w_out(F.silu(gate) * up)
        return out


class Attention(nn.Module):
    def __init__(self, width: int, heads: int, tokens: int) -> None:
        super().__init__()
        self.heads = heads
        self.w_qkv = nn.Linear(width, 3 * width, bias=False)
        self.w_out = nn.Linear(width, width, bias=False)
        head = width // heads
        speed = 10_000.0 ** (-torch.arange(0, head, 2) / head)
        angle = torch.arange(tokens)[:, None] * speed
        self.cos, self.sin = torch.cat((angle, angle), -1).cos(), torch.cat((angle, angle), -1).sin()

    def forward(self, h: Tensor) -> Tensor:
        batch, tokens, width = h.shape
        q, k, v = self.w_qkv(h).view(batch, tokens, 3 * self.heads, -1).transpose(1, 2).chunk(3, dim=1)
        q, k = q * self.cos + rotate(q) * self.sin, k * self.cos + rotate(k) * self.sin
        mixed = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.w_out(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return out


class Mixer(nn.Module):
    """Attention, or an MLP along the sequence; each with its residual and norm."""

    def __init__(self, kind: str, width: int, heads: int, tokens: int) -> None:
        super().__init__()
        if kind == "mlp":
            self.mlp = SwiGLU(tokens, hidden_width(tokens))
        else:
            self.attention = Attention(width, heads, tokens)

    def forward(self, h: Tensor) -> Tensor:
        if hasattr(self, "mlp"):
            h = h.transpose(1, 2)
            return rms_norm(h + self.mlp(h)).transpose(1, 2)
        return rms_norm(h + self.attention(h))


class Block(nn.Module):
    def __init__(self, kind: str, width: int, heads: int, tokens: int) -> None:
        super().__init__()
        self.mixer = Mixer(kind, width, heads, tokens)
        self.mlp = SwiGLU(width, hidden_width(width))

    def forward(self, h: Tensor) -> Tensor:
        h = self.mixer(h)
        return rms_norm(h + self.mlp(h))


def hidden_width(width: int) -> int:
    return math.ceil(round(4 * width * 2 / 3) / 256) * 256


class ReferenceTRM(nn.Module):
    """One supervision step on embedded questions: T recursions, the last with gradient."""

    def __init__(self, kind: str, tokens: int, vocab: int, T: int, n: int, width: int = 512, heads: int = 8) -> None:
        super().__init__()
        self.T, self.n = T, n
        self.blocks = nn.Sequential(*(Block(kind, width, heads, tokens) for _ in range(2)))
        self.head = nn.Linear(width, vocab, bias=False)
        self.halt = nn.Linear(width, 2)

    def latent_recursion(self, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        for _ in range(self.n):
            z = self.blocks(x + y + z)
        y = self.blocks(y + z)
        return y, z

    def forward(self, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        with torch.no_grad():
            for _ in range(self.T - 1):
                y, z = self.latent_recursion(x, y, z)
        y, z = self.latent_recursion(x, y, z)
        return y, z, self.head(y), self.halt(y[:, 0])[:, 0]


def stablemax_loss(logits: Tensor, answer: Tensor) -> Tensor:
    """Mean cross-entropy of answer [batch, cells] under the stablemax of logits [batch, cells, vocab]."""
    x = logits.double()
    s = torch.where(x < 0, 1 / (1 - x), x + 1)
    return F.nll_loss(torch.log(s / s.sum(-1, keepdim=True)).flatten(0, 1), answer.flatten())
