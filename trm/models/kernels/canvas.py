"""The mixer of ARC models that are trained on one task: in C (``canvas.c``) on a CPU, elsewhere in torch operations.

What :mod:`trm.models.kernels.fused` says about its kernels is true of this one too.
"""

from __future__ import annotations

import ctypes
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from trm.models.kernels.build import library
from trm.models.kernels.fused import EPS, gated, plain_add_norm

NEAR = 9  # maps of the neighbourhood of a cell, row by row
MAPS = NEAR + 6  # and of the cells above, below, to the left, to the right, of the canvas, of the colours


def plain_canvas_mix(h: Tensor, inside: Tensor, w_features: Tensor, maps: Tensor, eps: float = EPS) -> Tensor:
    """:func:`canvas_mix` in torch operations."""
    height, width, channels = h.shape[2:]
    features = gated(h, w_features) * inside
    flat = features.view(-1, height, width, channels)
    kernel = maps[:NEAR].permute(1, 2, 0).reshape(channels, channels, 3, 3)
    near = F.conv2d(flat.permute(0, 3, 1, 2), kernel, padding=1).permute(0, 2, 3, 1)
    vertical, horizontal = _before(height, h), _before(width, h)
    columns, rows = flat.reshape(-1, height, width * channels), flat.reshape(-1, width, channels)
    above, below = vertical @ columns, vertical.T @ columns
    before, after = horizontal @ rows, horizontal.T @ rows
    lines = (line.view_as(flat) for line in (above, below, before, after))
    sums = sum(F.linear(line, weight) for line, weight in zip(lines, maps[NEAR : NEAR + 4], strict=True))
    everywhere = F.linear(features.sum((2, 3), keepdim=True) / inside.sum((2, 3), keepdim=True), maps[-2])
    here = F.linear(features.sum(1, keepdim=True), maps[-1])
    return plain_add_norm(h, (near + sums).view_as(h) + everywhere + here, eps=eps)


def _before(length: int, like: Tensor) -> Tensor:
    """[length, length]: 1 where the column's index is less than the row's, else 0."""
    return torch.ones(length, length, dtype=like.dtype, device=like.device).tril(-1)


class _CanvasMix(torch.autograd.Function):
    """``canvas_mix``. The backward pass recomputes the features."""

    @staticmethod
    def forward(
        ctx: Any, h: Tensor, inside: Tensor, w_features: Tensor, maps: Tensor, eps: float, lib: ctypes.CDLL
    ) -> Tensor:
        out, rinv = _canvas_mix(lib, h, inside, w_features, maps, eps, keep=True)
        ctx.lib = lib
        ctx.save_for_backward(h, inside, w_features, maps, out, rinv)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        h, inside, w_features, maps, out, rinv = ctx.saved_tensors
        dh, dw, dmaps = (torch.empty_like(x) for x in (h, w_features, maps))
        _call(ctx.lib.trm_canvas_grad, (h, inside, w_features, maps, out, rinv, grad.contiguous(), dh, dw, dmaps))
        return dh, None, dw, dmaps, None, None


def _call(kernel: Any, tensors: tuple[Tensor | None, ...], *more: float) -> None:
    """Run a kernel on contiguous tensors; the first one is h."""
    h = tensors[0]
    assert h is not None
    pointers = [None if x is None else x.data_ptr() for x in tensors]
    if kernel(*pointers, *h.shape, *more, torch.get_num_threads()):
        raise MemoryError("the C kernels could not allocate their scratch memory")


def _canvas_mix(
    lib: ctypes.CDLL, h: Tensor, inside: Tensor, w_features: Tensor, maps: Tensor, eps: float, keep: bool
) -> tuple[Tensor, Tensor | None]:
    """On contiguous tensors. -> the output and, with `keep`, the inverse rms of each row"""
    out = torch.empty_like(h)
    rinv = h.new_empty(h.shape[:-1]) if keep else None
    _call(lib.trm_canvas, (h, inside, w_features, maps, out, rinv), eps)
    return out, rinv


def canvas_mix(h: Tensor, inside: Tensor, w_features: Tensor, maps: Tensor, eps: float = EPS) -> Tensor:
    """``rms_norm(h + mapped sums of features)`` on canvases with a layer for each colour.

    A (cell, colour) gets, each by a map of its own: the features of its 3x3 neighbourhood in its layer, zero beyond the
    edge; their sums over the cells above, below, to the left and to the right of it; their mean over the canvas; and
    their sum over the colours of its cell.

    Args:
        h: state, shape [batch, colours, height, width, C].
        inside: shape [batch, 1, height, width, 1], 1 on the canvas and 0 in the padding, where features are zero. It
            gets no gradient.
        w_features: weights of the gated features, shape [2C, C] (see :func:`trm.models.kernels.fused.gated`).
        maps: shape [15, C, C], in this order: the neighbourhood row by row, above, below, left, right, canvas, colours.
        eps: added to the mean square.

    Returns:
        Tensor of the shape of ``h``.
    """
    size = h.shape[-1]
    fits = h.numel() and size % 8 == 0 and inside.shape == (len(h), 1, *h.shape[2:4], 1)
    fits = fits and w_features.shape == (2 * size, size) and maps.shape == (MAPS, size, size)
    if fits and (lib := library(h, inside, w_features, maps)) is not None:
        tensors = (h.contiguous(), inside.contiguous(), w_features.contiguous(), maps.contiguous())
        if torch.is_grad_enabled() and any(x.requires_grad for x in tensors):
            out: Tensor = _CanvasMix.apply(*tensors, eps, lib)  # type: ignore[no-untyped-call]
            return out
        return _canvas_mix(lib, *tensors, eps, keep=False)[0]
    return plain_canvas_mix(h, inside, w_features, maps, eps)
