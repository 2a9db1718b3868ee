"""The operation of the `local` mixer: in C (``local.c``) on a CPU in float32, elsewhere in torch operations.

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


def plain_local_mix(
    h: Tensor, w_features: Tensor, w_around: Tensor, height: int, width: int, eps: float = EPS
) -> Tensor:
    """:func:`local_mix` in torch operations."""
    features = gated(h, w_features).view(len(h), height, width, h.shape[-1])
    padded = F.pad(features, (0, 0, 1, 1, 1, 1))
    rows, columns = slice(1, -1), slice(1, -1)
    above, below = padded[:, :-2, columns], padded[:, 2:, columns]
    left, right = padded[:, rows, :-2], padded[:, rows, 2:]
    around = torch.cat((features, above, below, left, right), dim=-1)
    return plain_add_norm(h, F.linear(around, w_around).flatten(1, 2), eps=eps)


class _LocalMix(torch.autograd.Function):
    """``local_mix``. The backward pass recomputes the features."""

    @staticmethod
    def forward(
        ctx: Any, h: Tensor, w_features: Tensor, w_around: Tensor, board: tuple[int, int], eps: float, lib: ctypes.CDLL
    ) -> Tensor:
        out, rinv = _local_mix(lib, h, w_features, w_around, board, eps, keep=True)
        ctx.lib, ctx.board = lib, board
        ctx.save_for_backward(h, w_features, w_around, out, rinv)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        h, w_features, w_around, out, rinv = ctx.saved_tensors
        grads = [torch.empty_like(x) for x in (h, w_features, w_around)]
        _call(ctx.lib.trm_local_grad, (h, w_features, w_around, out, rinv, grad.contiguous(), *grads), ctx.board)
        return (*grads, None, None, None)


def _call(kernel: Any, tensors: tuple[Tensor | None, ...], board: tuple[int, int], *more: float) -> None:
    """Run a kernel on contiguous tensors; the first one is h."""
    h = tensors[0]
    assert h is not None
    pointers = [None if x is None else x.data_ptr() for x in tensors]
    if kernel(*pointers, len(h), *board, h.shape[-1], *more, torch.get_num_threads()):
        raise MemoryError("the C kernels could not allocate their scratch memory")


def _local_mix(
    lib: ctypes.CDLL,
    h: Tensor,
    w_features: Tensor,
    w_around: Tensor,
    board: tuple[int, int],
    eps: float,
    keep: bool,
) -> tuple[Tensor, Tensor | None]:
    """On contiguous tensors. -> the output and, with `keep`, the inverse rms of each row, shape [batch, cells]"""
    out = torch.empty_like(h)
    rinv = h.new_empty(h.shape[:-1]) if keep else None
    _call(lib.trm_local, (h, w_features, w_around, out, rinv), board, eps)
    return out, rinv


def local_mix(h: Tensor, w_features: Tensor, w_around: Tensor, height: int, width: int, eps: float = EPS) -> Tensor:
    """``rms_norm(h + around @ w_around.T)``. `around` are the gated features of a cell and of the cells above, below,
    to the left and to the right of it, zero beyond the edge.

    Args:
        h: state, shape [batch, height * width, C], row by row.
        w_features: weights of the gated features, shape [2C, C] (see :func:`trm.models.kernels.fused.gated`).
        w_around: shape [C, 5C].
        height, width: size of the board.
        eps: added to the mean square.

    Returns:
        Tensor of the shape of ``h``.
    """
    size = h.shape[-1]
    fits = h.numel() and size % 8 == 0 and h.shape[1:-1] == (height * width,)
    fits = fits and w_features.shape == (2 * size, size) and w_around.shape == (size, 5 * size)
    if fits and (lib := library(h, w_features, w_around)) is not None:
        tensors = (h.contiguous(), w_features.contiguous(), w_around.contiguous())
        if torch.is_grad_enabled() and any(x.requires_grad for x in tensors):
            out: Tensor = _LocalMix.apply(*tensors, (height, width), eps, lib)  # type: ignore[no-untyped-call]
            return out
        return _local_mix(lib, *tensors, (height, width), eps, keep=False)[0]
    return plain_local_mix(h, w_features, w_around, height, width, eps)
