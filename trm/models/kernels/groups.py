"""The operation of the `groups` mixer: in C (``groups.c``) on a CPU in float32, elsewhere in torch operations.

What :mod:`trm.models.kernels.fused` says about its kernels is true of this one too.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from trm.models.kernels.build import library
from trm.models.kernels.fused import EPS, gated, plain_add_norm
from trm.tasks.base import Spec


class Layout(nn.Module):
    """Which cells belong to which constraint groups. There are `count` maps: one per kind of group, one for cells."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.cells, self.symbols = spec.cells, spec.symbols
        self.count = len(spec.groups) + 1
        here = torch.empty(0).device  # "meta" when costs are counted
        with torch.device("cpu"):
            members = []
            for kind in spec.groups:
                member = torch.zeros(len(kind), spec.cells)  # 1 where the cell belongs to the group
                for row, group in enumerate(kind):
                    member[row, list(group)] = 1.0
                members.append(member)
            # The same for the kernel. Not buffers, so that they stay on the CPU.
            every = torch.cat(members)
            sizes = [len(kind) * spec.symbols for kind in spec.groups] + [spec.cells]
            self.rows_of = torch.tensor([0, *sizes]).cumsum(0).int()
            self.start = torch.cat((torch.zeros(1), every.sum(0).cumsum(0))).int()
            self.group = every.T.nonzero()[:, 1].int()
        for number, member in enumerate(members):
            self.register_buffer(f"member{number}", member.to(here), persistent=False)

    def members(self) -> list[Tensor]:
        """For each kind [groups, cells]: 1 where the cell belongs to the group."""
        return [getattr(self, f"member{number}") for number in range(self.count - 1)]


def plain_mix(h: Tensor, w_features: Tensor, maps: Tensor, layout: Layout, eps: float = EPS) -> Tensor:
    """:func:`mix` in torch operations."""
    return plain_add_norm(h, mixed(gated(h, w_features), maps, layout), eps=eps)


def mixed(features: Tensor, maps: Tensor, layout: Layout) -> Tensor:
    """What each cell gets from the sums of features [batch, cells, symbols, C]. -> the same shape"""
    batch, cells, symbols, width = features.shape
    flat = features.view(batch, cells, symbols * width)
    total = (features.sum(dim=2, keepdim=True) @ maps[-1].T).expand_as(features).reshape(flat.shape)
    for number, member in enumerate(layout.members()):
        # Pooling and its inverse are matrix products over contiguous rows, so memory is never read with a stride.
        member = member.to(features.dtype).expand(batch, -1, -1)
        pooled = torch.bmm(member, flat).view(batch, -1, symbols, width) @ maps[number].T
        total = torch.baddbmm(total, member.mT, pooled.view(batch, -1, symbols * width))
    return total.view_as(features)


class _Mix(torch.autograd.Function):
    """``mix``. Saves the sums; the backward pass recomputes the features."""

    @staticmethod
    def forward(
        ctx: Any,
        h: Tensor,
        w_features: Tensor,
        maps: Tensor,
        layout: Layout,
        eps: float,
        lib: ctypes.CDLL,
    ) -> Tensor:
        h = h.contiguous()
        out, rinv, pool = _mix(lib, h, w_features, maps, layout, eps, keep=True)
        ctx.lib, ctx.layout = lib, layout
        ctx.save_for_backward(h, w_features, maps, out, rinv, pool)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        h, w_features, maps, out, rinv, pool = ctx.saved_tensors
        grads = [torch.empty_like(x) for x in (h, w_features, maps)]
        tensors = (h, w_features, maps, out, rinv, pool, grad.contiguous(), *grads)
        call(ctx.lib.trm_mix_grad, tensors, ctx.layout)
        return (*grads, None, None, None)


def call(kernel: Any, tensors: Sequence[Tensor | None], layout: Layout, *more: float) -> None:
    """Run a kernel on contiguous tensors; the first one is h."""
    pointers = [None if x is None else x.data_ptr() for x in (*tensors, layout.start, layout.group, layout.rows_of)]
    h = tensors[0]
    assert h is not None
    sizes = (len(h), layout.cells, layout.symbols, h.shape[-1], layout.count)
    if kernel(*pointers, *sizes, *more, torch.get_num_threads()):
        raise MemoryError("the C kernels could not allocate their scratch memory")


def _mix(
    lib: ctypes.CDLL,
    h: Tensor,
    w_features: Tensor,
    maps: Tensor,
    layout: Layout,
    eps: float,
    keep: bool,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """On contiguous tensors. -> the output and, with `keep`, the inverse rms of each row and the sums of the groups"""
    out = torch.empty_like(h)
    rinv = h.new_empty(h.shape[:-1]) if keep else None
    pool = h.new_empty(len(h), int(layout.rows_of[-1]), h.shape[-1]) if keep else None
    call(lib.trm_mix, (h, w_features, maps, out, rinv, pool), layout, eps)
    return out, rinv, pool


def mix(h: Tensor, w_features: Tensor, maps: Tensor, layout: Layout, eps: float = EPS) -> Tensor:
    """``rms_norm(h + map(sum of features over a group), summed over the cell's groups + map(sum over its symbols))``.

    Args:
        h: state, shape [batch, cells, symbols, C].
        w_features: weights of the gated features, shape [2C, C] (see :func:`trm.models.kernels.fused.gated`).
        maps: matrices that the sums are multiplied by, shape [kinds + 1, C, C]; the last is for the sums over symbols.
        layout: which cells belong to which groups.
        eps: added to the mean square.

    Returns:
        Tensor of the shape of ``h``.
    """
    if h.numel() and h.shape[-1] % 8 == 0 and (lib := library(h, w_features, maps)) is not None:
        w_features, maps = w_features.contiguous(), maps.contiguous()
        if torch.is_grad_enabled() and any(x.requires_grad for x in (h, w_features, maps)):
            out: Tensor = _Mix.apply(h, w_features, maps, layout, eps, lib)  # type: ignore[no-untyped-call]
            return out
        return _mix(lib, h.contiguous(), w_features, maps, layout, eps, keep=False)[0]
    return plain_mix(h, w_features, maps, layout, eps)
