"""The arithmetic of the `groups` mixer: in C on a CPU in float32 (``groups.c``), in torch operations elsewhere.

What :mod:`trm.models.fused` says of its kernels holds for this one.
"""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from trm.models.fused import EPS, gated, plain_add_norm
from trm.models.kernels import library
from trm.tasks.base import Spec


class Layout(nn.Module):
    """Which cell belongs to which constraint group. `count` maps: one a kind of group, and one for the cells."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.count = len(spec.groups) + 1
        for number, kind in enumerate(spec.groups):
            member = torch.zeros(len(kind), spec.cells)  # 1 where the cell belongs to the group
            for row, group in enumerate(kind):
                member[row, list(group)] = 1.0
            self.register_buffer(f"member{number}", member, persistent=False)
        # The same for the kernel, which is only for the CPU: no buffers, so that they stay there.
        member = torch.cat(self.members())
        sizes = [len(kind) * spec.symbols for kind in spec.groups] + [spec.cells]
        self.rows_of = torch.tensor([0, *sizes]).cumsum(0).int()
        self.start = torch.cat((torch.zeros(1), member.sum(0).cumsum(0))).int()
        self.group = member.T.nonzero()[:, 1].int()

    def members(self) -> list[Tensor]:
        """Of each kind, [groups, cells]."""
        return [getattr(self, f"member{number}") for number in range(self.count - 1)]


def plain_mix(h: Tensor, w_features: Tensor, maps: Tensor, layout: Layout, eps: float = EPS) -> Tensor:
    """:func:`mix` in torch operations."""
    batch, cells, symbols, width = h.shape
    features = gated(h, w_features)
    flat = features.view(batch, cells, symbols * width)
    total = (features.sum(dim=2, keepdim=True) @ maps[-1].T).expand_as(h).reshape(flat.shape)
    for number, member in enumerate(layout.members()):
        # Pooling and its way back are matrix products over contiguous rows: nothing walks memory with a stride.
        member = member.to(h.dtype).expand(batch, -1, -1)
        pooled = torch.bmm(member, flat).view(batch, -1, symbols, width) @ maps[number].T
        total = torch.baddbmm(total, member.mT, pooled.view(batch, -1, symbols * width))
    return plain_add_norm(h, total.view_as(h), eps=eps)


class _Mix(torch.autograd.Function):
    """``mix``. Keeps the sums and no features: the way back computes those again."""

    @staticmethod
    def forward(
        ctx: Any, h: Tensor, w_features: Tensor, maps: Tensor, layout: Layout, eps: float, lib: ctypes.CDLL
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
        layout = ctx.layout
        grads = [torch.empty_like(x) for x in (h, w_features, maps)]
        tensors = (h, w_features, maps, out, rinv, pool, grad.contiguous(), *grads)
        pointers = [x.data_ptr() for x in (*tensors, layout.start, layout.group, layout.rows_of)]
        if ctx.lib.trm_mix_grad(*pointers, *h.shape, layout.count, torch.get_num_threads()):
            raise MemoryError("the fused kernels could not allocate their scratch memory")
        return (*grads, None, None, None)


def _mix(
    lib: ctypes.CDLL, h: Tensor, w_features: Tensor, maps: Tensor, layout: Layout, eps: float, keep: bool
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """On contiguous tensors: the output, and with `keep` each row's inverse rms and the sums of the groups."""
    out = torch.empty_like(h)
    rinv = h.new_empty(h.shape[:-1]) if keep else None
    pool = h.new_empty(len(h), int(layout.rows_of[-1]), h.shape[-1]) if keep else None
    tensors = (h, w_features, maps, out, rinv, pool, layout.start, layout.group, layout.rows_of)
    pointers = [None if x is None else x.data_ptr() for x in tensors]
    if lib.trm_mix(*pointers, *h.shape, layout.count, eps, torch.get_num_threads()):
        raise MemoryError("the fused kernels could not allocate their scratch memory")
    return out, rinv, pool


def mix(h: Tensor, w_features: Tensor, maps: Tensor, layout: Layout, eps: float = EPS) -> Tensor:
    """``rms_norm(h + sum over the groups of a cell of map(sum over the group of features) + the same over symbols)``.

    Args:
        h: state, shape [batch, cells, symbols, C].
        w_features: of the gated features, shape [2C, C] (see :func:`trm.models.fused.gated`).
        maps: from sums to what the members get, shape [kinds + 1, C, C]; the last is for the sums over symbols.
        layout: which cell belongs to which group.
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
