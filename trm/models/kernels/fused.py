"""Fused CPU kernels for the small dense blocks that a recursive model applies to every row of its state.

There are four operations. Each has the same meaning on every device and dtype:

* :func:`swiglu_norm`: SwiGLU with residual and normalisation,
* :func:`gated`: the gated unit alone,
* :func:`gate`: the elementwise part of the gated unit,
* :func:`add_norm`: a sum with normalisation.

On a CPU and in float32 they run in C (``fused.c`` in this folder, which ``build.py`` compiles). Under autocast to
bfloat16 the C kernels round the factors of their products, if the processor multiplies bfloat16; inputs and results are
float32 all the same. In all other cases they run as ordinary torch operations, the functions named ``plain_*``. These
cases are other devices and dtypes, other autocast, ``torch.compile``, widths that are not multiples of 8, and no
compiler.

The kernels are deterministic: equal inputs and equal ``torch.get_num_threads()`` give equal bits. They agree with the
plain functions up to float32 rounding, not bit for bit. They support one backward pass, and neither double backward nor
forward-mode differentiation.
"""

from __future__ import annotations

import ctypes
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from trm.models.kernels.build import library

__all__ = ["add_norm", "gate", "gated", "plain_add_norm", "plain_gated", "plain_swiglu_norm", "swiglu_norm"]

EPS = 1e-5


# ---------------------------------------------------------------------------------------------------------- plain torch


def _rms_norm(u: Tensor, eps: float) -> Tensor:
    return u * torch.rsqrt(u.square().mean(-1, keepdim=True) + eps)


def plain_gate(z: Tensor) -> Tensor:
    """:func:`gate` in torch operations."""
    half, up = z.chunk(2, -1)
    return F.silu(half) * up


def plain_gated(h: Tensor, w: Tensor) -> Tensor:
    """:func:`gated` in torch operations."""
    return plain_gate(F.linear(h, w))


def plain_swiglu_norm(h: Tensor, w_in: Tensor, w_out: Tensor, eps: float = EPS) -> Tensor:
    """:func:`swiglu_norm` in torch operations."""
    return _rms_norm(h + F.linear(plain_gated(h, w_in), w_out), eps)


def plain_add_norm(a: Tensor, b: Tensor, c: Tensor | None = None, eps: float = EPS) -> Tensor:
    """:func:`add_norm` in torch operations."""
    return _rms_norm(a + b if c is None else a + b + c, eps)


# ------------------------------------------------------------------------------------------------------- gated products


def _address(x: Tensor | None) -> int | None:
    return None if x is None else x.data_ptr()


def _succeed(failed: int) -> None:
    if failed:
        raise MemoryError("the C kernels could not allocate their scratch memory")


def _block(
    lib: ctypes.CDLL, h: Tensor, w_in: Tensor, w_out: Tensor | None, eps: float, keep: bool
) -> tuple[Tensor, Tensor | None]:
    """Forward pass on contiguous tensors. -> the output and, with ``keep``, the inverse rms of each row, [rows]"""
    width, hidden = h.shape[-1], w_in.shape[0] // 2
    rows = h.numel() // width
    out = h.new_empty(*h.shape[:-1], hidden if w_out is None else width)
    rinv = h.new_empty(rows) if keep and w_out is not None else None
    pointers = map(_address, (h, w_in, w_out, out, rinv))
    _succeed(lib.trm_block(*pointers, rows, width, hidden, eps, torch.get_num_threads()))
    return out, rinv


class _Block(torch.autograd.Function):
    """``gated`` if ``w_out`` is None, else ``swiglu_norm``. The backward pass recomputes the hidden values."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, w_in: Tensor, w_out: Tensor | None, eps: float, lib: ctypes.CDLL) -> Tensor:
        h, w_in = h.contiguous(), w_in.contiguous()
        w_out = None if w_out is None else w_out.contiguous()
        out, rinv = _block(lib, h, w_in, w_out, eps, keep=True)
        ctx.lib = lib
        ctx.save_for_backward(h, w_in, w_out, None if w_out is None else out, rinv)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        h, w_in, w_out, out, rinv = ctx.saved_tensors
        grad = grad.contiguous()
        width, hidden = h.shape[-1], w_in.shape[0] // 2
        grads = [
            torch.empty_like(x) if needed and x is not None else None
            for x, needed in zip((h, w_in, w_out), ctx.needs_input_grad[:3], strict=True)
        ]
        pointers = map(_address, (h, w_in, w_out, out, rinv, grad, *grads))
        threads = torch.get_num_threads()
        _succeed(ctx.lib.trm_block_grad(*pointers, h.numel() // width, width, hidden, threads))
        return (*grads, None, None)


def _wants_grad(*tensors: Tensor | None) -> bool:
    return torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in tensors)


def _apply_block(lib: ctypes.CDLL, h: Tensor, w_in: Tensor, w_out: Tensor | None, eps: float) -> Tensor:
    if _wants_grad(h, w_in, w_out):
        return cast(Tensor, _Block.apply(h, w_in, w_out, eps, lib))  # type: ignore[no-untyped-call]
    last = None if w_out is None else w_out.contiguous()
    return _block(lib, h.contiguous(), w_in.contiguous(), last, eps, keep=False)[0]


def gated(h: Tensor, w: Tensor) -> Tensor:
    """Gated unit ``silu(h @ w_gate.T) * (h @ w_up.T)``.

    Args:
        h: state, shape [..., C].
        w: weights in the layout of ``nn.Linear``, shape [2P, C]: first the P gate rows, then the P up rows.

    Returns:
        Tensor of shape [..., P].
    """
    if h.dim() and h.numel() and w.dim() == 2 and w.shape[0] and w.shape[0] % 16 == 0:
        fits = h.shape[-1] == w.shape[1] and w.shape[1] % 8 == 0
        lib = library(h, w) if fits else None
        if lib is not None:
            return _apply_block(lib, h, w, None, 0.0)
    return plain_gated(h, w)


def swiglu_norm(h: Tensor, w_in: Tensor, w_out: Tensor, eps: float = EPS) -> Tensor:
    """SwiGLU with residual and normalisation: ``rms_norm(h + gated(h, w_in) @ w_out.T)``.

    ``rms_norm(u) = u / sqrt(mean(u ** 2) + eps)`` over the last axis, without gain.

    Args:
        h: state, shape [..., C].
        w_in: weights in the layout of ``nn.Linear``, shape [2H, C]: first the H gate rows, then the H up rows.
        w_out: weights, shape [C, H].
        eps: added to the mean square.

    Returns:
        Tensor of the shape of ``h``.
    """
    if h.dim() and h.numel() and w_in.dim() == w_out.dim() == 2 and w_in.shape[0] and w_in.shape[0] % 16 == 0:
        width, hidden = h.shape[-1], w_in.shape[0] // 2
        fits = width % 8 == 0 and w_in.shape[1] == width and w_out.shape == (width, hidden)
        lib = library(h, w_in, w_out) if fits else None
        if lib is not None and width >= WIDE:
            if torch.is_autocast_enabled("cpu"):
                return plain_swiglu_norm(h, w_in, w_out, eps)
            return _apply_wide(lib, h, w_in, w_out, eps)
        if lib is not None:
            return _apply_block(lib, h, w_in, w_out, eps)
    return plain_swiglu_norm(h, w_in, w_out, eps)


# --------------------------------------------------------------------------------------------------------- wide blocks

# From this width on the weights do not fit the caches that a fused block relies on. There torch computes the matrix
# products, and only the elementwise parts are fused.
WIDE = 128


class _Gate(torch.autograd.Function):
    """``gate``. Saves its input only."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, lib: ctypes.CDLL) -> Tensor:
        ctx.lib = lib
        ctx.save_for_backward(z)
        return _gate(lib, z)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (z,) = ctx.saved_tensors
        return _gate_grad(ctx.lib, z, grad.contiguous())[0], None


def _gate(lib: ctypes.CDLL, z: Tensor) -> Tensor:
    """On a contiguous tensor."""
    hidden = z.shape[-1] // 2
    out = z.new_empty(*z.shape[:-1], hidden)
    lib.trm_gate(*map(_address, (z, out)), out.numel() // hidden, hidden, torch.get_num_threads())
    return out


def _gate_grad(lib: ctypes.CDLL, z: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    """On contiguous tensors. -> the gradient of z, and the result of the gate again"""
    dz, again = torch.empty_like(z), torch.empty_like(grad)
    hidden = grad.shape[-1]
    pointers = map(_address, (z, grad, dz, again))
    lib.trm_gate_grad(*pointers, grad.numel() // hidden, hidden, torch.get_num_threads())
    return dz, again


class _Wide(torch.autograd.Function):
    """``swiglu_norm`` with torch's matrix products. Saves the pre-activations; the gate is recomputed."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, w_in: Tensor, w_out: Tensor, eps: float, lib: ctypes.CDLL) -> Tensor:
        h = h.contiguous()
        z = F.linear(h, w_in)
        out, rinv = _add_norm(lib, h, F.linear(_gate(lib, z), w_out), None, eps, keep=True)
        ctx.lib = lib
        ctx.save_for_backward(h, w_in, w_out, z, out, rinv)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        h, w_in, w_out, z, out, rinv = ctx.saved_tensors
        du = _add_norm_grad(ctx.lib, out, rinv, grad.contiguous())
        flat, du = h.flatten(0, -2), du.flatten(0, -2)
        dz, gates = _gate_grad(ctx.lib, z.flatten(0, -2), du @ w_out)
        dh = torch.addmm(du, dz, w_in).view_as(h) if ctx.needs_input_grad[0] else None
        return dh, dz.mT @ flat, du.mT @ gates, None, None


def _apply_wide(lib: ctypes.CDLL, h: Tensor, w_in: Tensor, w_out: Tensor, eps: float) -> Tensor:
    if _wants_grad(h, w_in, w_out):
        return cast(Tensor, _Wide.apply(h, w_in, w_out, eps, lib))  # type: ignore[no-untyped-call]
    h = h.contiguous()
    return _add_norm(lib, h, F.linear(_gate(lib, F.linear(h, w_in)), w_out), None, eps, keep=False)[0]


def gate(z: Tensor) -> Tensor:
    """``silu(z1) * z2`` for the two halves of the last axis: [..., 2H] -> [..., H]."""
    if z.dim() and z.numel() and z.shape[-1] % 16 == 0 and (lib := library(z)) is not None:
        if _wants_grad(z):
            return cast(Tensor, _Gate.apply(z.contiguous(), lib))  # type: ignore[no-untyped-call]
        return _gate(lib, z.contiguous())
    return plain_gate(z)


# ------------------------------------------------------------------------------------------------------------ add, norm


def _add_norm(
    lib: ctypes.CDLL, a: Tensor, b: Tensor, c: Tensor | None, eps: float, keep: bool
) -> tuple[Tensor, Tensor | None]:
    """Forward pass on contiguous tensors. -> the output and, with ``keep``, the inverse rms of each row, [rows]"""
    width = a.shape[-1]
    rows = a.numel() // width
    out = torch.empty_like(a)
    rinv = a.new_empty(rows) if keep else None
    group = 1 if c is None else a.shape[-2]
    lib.trm_add_norm(*map(_address, (a, b, c, out, rinv)), rows, group, width, eps, torch.get_num_threads())
    return out, rinv


def _add_norm_grad(lib: ctypes.CDLL, out: Tensor, rinv: Tensor, grad: Tensor, third: Tensor | None = None) -> Tensor:
    """On contiguous tensors. -> the gradient of both a and b; that of c is written to ``third``"""
    width = out.shape[-1]
    du = torch.empty_like(out)
    group = 1 if third is None else out.shape[-2]
    pointers = map(_address, (out, rinv, grad, du, third))
    lib.trm_add_norm_grad(*pointers, rinv.numel(), group, width, torch.get_num_threads())
    return du


class _AddNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, c: Tensor | None, eps: float, lib: ctypes.CDLL) -> Tensor:
        third = None if c is None else c.contiguous()
        out, rinv = _add_norm(lib, a.contiguous(), b.contiguous(), third, eps, keep=True)
        ctx.lib = lib
        ctx.third_shape = None if c is None else c.shape
        ctx.save_for_backward(out, rinv)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        out, rinv = ctx.saved_tensors
        need_a, need_b, need_c = ctx.needs_input_grad[:3]
        dc = out.new_empty(ctx.third_shape) if need_c else None
        du = _add_norm_grad(ctx.lib, out, rinv, grad.contiguous(), dc)
        return (du if need_a else None, du if need_b else None, dc, None, None)


def add_norm(a: Tensor, b: Tensor, c: Tensor | None = None, eps: float = EPS) -> Tensor:
    """Sum with normalisation: ``rms_norm(a + b)``, or ``rms_norm(a + b + c)`` with ``c`` broadcast.

    Args:
        a: shape [..., S, C] (any leading axes; [..., C] without ``c``).
        b: the shape of ``a``.
        c: shape [..., 1, C], the same for the S symbols of a cell; or None.
        eps: added to the mean square.

    Returns:
        Tensor of the shape of ``a``.
    """
    if a.dim() and a.numel() and a.shape == b.shape and a.shape[-1] % 8 == 0:
        fits = c is None or (a.dim() > 1 and c.shape == (*a.shape[:-2], 1, a.shape[-1]))
        lib = library(a, b, *(() if c is None else (c,))) if fits else None
        if lib is not None:
            if _wants_grad(a, b, c):
                return cast(Tensor, _AddNorm.apply(a, b, c, eps, lib))  # type: ignore[no-untyped-call]
            third = None if c is None else c.contiguous()
            return _add_norm(lib, a.contiguous(), b.contiguous(), third, eps, keep=False)[0]
    return plain_add_norm(a, b, c, eps)
