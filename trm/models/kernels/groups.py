"""The arithmetic of the `groups` mixer: in C on a CPU in float32 (``groups.c``), in torch operations elsewhere.

What :mod:`trm.models.kernels.fused` says of its kernels holds for this one.
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
    """Which cell belongs to which constraint group. `count` maps: one a kind of group, and one for the cells."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.cells, self.symbols = spec.cells, spec.symbols
        self.count = len(spec.groups) + 1
        here = torch.empty(0).device  # "meta" where costs are counted
        with torch.device("cpu"):
            members = []
            for kind in spec.groups:
                member = torch.zeros(len(kind), spec.cells)  # 1 where the cell belongs to the group
                for row, group in enumerate(kind):
                    member[row, list(group)] = 1.0
                members.append(member)
            # The same for the kernel, which is only for the CPU: no buffers, so that they stay there.
            every = torch.cat(members)
            sizes = [len(kind) * spec.symbols for kind in spec.groups] + [spec.cells]
            self.rows_of = torch.tensor([0, *sizes]).cumsum(0).int()
            self.start = torch.cat((torch.zeros(1), every.sum(0).cumsum(0))).int()
            self.group = every.T.nonzero()[:, 1].int()
        for number, member in enumerate(members):
            self.register_buffer(f"member{number}", member.to(here), persistent=False)

    def members(self) -> list[Tensor]:
        """Of each kind, [groups, cells]."""
        return [getattr(self, f"member{number}") for number in range(self.count - 1)]


def plain_mix(h: Tensor, w_features: Tensor, maps: Tensor, layout: Layout, eps: float = EPS) -> Tensor:
    """:func:`mix` in torch operations."""
    return plain_add_norm(h, mixed(gated(h, w_features), maps, layout), eps=eps)


def mixed(features: Tensor, maps: Tensor, layout: Layout) -> Tensor:
    """What comes back from the sums of features [batch, cells, symbols, C] -> the same shape."""
    batch, cells, symbols, width = features.shape
    flat = features.view(batch, cells, symbols * width)
    total = (features.sum(dim=2, keepdim=True) @ maps[-1].T).expand_as(features).reshape(flat.shape)
    for number, member in enumerate(layout.members()):
        # Pooling and its way back are matrix products over contiguous rows: nothing walks memory with a stride.
        member = member.to(features.dtype).expand(batch, -1, -1)
        pooled = torch.bmm(member, flat).view(batch, -1, symbols, width) @ maps[number].T
        total = torch.baddbmm(total, member.mT, pooled.view(batch, -1, symbols * width))
    return total.view_as(features)


class _Mix(torch.autograd.Function):
    """``mix``. Keeps the sums and no features: the way back computes those again."""

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
    """Run a kernel on tensors, the first of which is h."""
    pointers = [None if x is None else x.data_ptr() for x in (*tensors, layout.start, layout.group, layout.rows_of)]
    h = tensors[0]
    assert h is not None
    sizes = (len(h), layout.cells, layout.symbols, h.shape[-1], layout.count)
    if kernel(*pointers, *sizes, *more, torch.get_num_threads()):
        raise MemoryError("the fused kernels could not allocate their scratch memory")


def _mix(
    lib: ctypes.CDLL,
    h: Tensor,
    w_features: Tensor,
    maps: Tensor,
    layout: Layout,
    eps: float,
    keep: bool,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """On contiguous tensors: the output, and with `keep` each row's inverse rms and the sums of the groups."""
    out = torch.empty_like(h)
    rinv = h.new_empty(h.shape[:-1]) if keep else None
    pool = h.new_empty(len(h), int(layout.rows_of[-1]), h.shape[-1]) if keep else None
    call(lib.trm_mix, (h, w_features, maps, out, rinv, pool), layout, eps)
    return out, rinv, pool


def mix(h: Tensor, w_features: Tensor, maps: Tensor, layout: Layout, eps: float = EPS) -> Tensor:
    """``rms_norm(h + sum over the groups of a cell of map(sum over the group of features) + the same over symbols)``.

    Args:
        h: state, shape [batch, cells, symbols, C].
        w_features: of the gated features, shape [2C, C] (see :func:`trm.models.kernels.fused.gated`).
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
