"""The mixer of `trm adapt` in C against torch operations in float64, and those against sums written out by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from trm.models.kernels import build as kernels
from trm.models.kernels import canvas
from trm.models.kernels.canvas import MAPS, canvas_mix, plain_canvas_mix
from trm.models.kernels.fused import plain_gated

needs_kernels = pytest.mark.skipif(not kernels.available(), reason=f"no C kernels: {kernels.available().reason}")

Op = Callable[..., Tensor]
MIX: Op = canvas_mix
SHAPES = [(3, 5, 7, 6), (2, 1, 1, 1), (2, 3, 1, 9), (1, 10, 30, 30), (4, 2, 12, 3)]  # [batch, colours, height, width]


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def drawn(*shape: int, seed: int, scale: float = 1.0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale


def inputs(shape: tuple[int, ...], width: int) -> tuple[list[Tensor], Tensor]:
    """h, w_features, maps; and which cells are inside."""
    batch, _, height, across = shape
    inside = (drawn(batch, 1, height, across, 1, seed=4) < 1).float()
    inside[:, :, 0, 0] = 1
    w, maps = drawn(2 * width, width, seed=1), drawn(MAPS, width, width, seed=2)
    return [drawn(*shape, width, seed=0), w * 2 / width**0.5, maps / width**0.5], inside


def results(op: Op, leaves: list[Tensor], inside: Tensor) -> list[Tensor]:
    """The output and the gradients of a fixed weighted sum of it."""
    h, w, maps = (x.detach().requires_grad_() for x in leaves)
    out = op(h, inside, w, maps)
    (out * drawn(*out.shape, seed=9).to(out.dtype)).sum().backward()  # type: ignore[no-untyped-call]
    return [out.detach(), *(x.grad for x in (h, w, maps) if x.grad is not None)]


def by_hand(h: Tensor, inside: Tensor, w: Tensor, maps: Tensor) -> np.ndarray:
    """What the docstring of `canvas_mix` says, cell by cell."""
    f = (plain_gated(h, w) * inside).numpy()
    m = maps.numpy()
    batch, colours, height, across, _ = f.shape
    u = h.numpy().copy()
    for b, k, y, x in np.ndindex(batch, colours, height, across):
        got = u[b, k, y, x]
        for number in range(9):
            r, c = y + number // 3 - 1, x + number % 3 - 1
            if 0 <= r < height and 0 <= c < across:
                got += m[number] @ f[b, k, r, c]
        parts = f[b, k, :y, x], f[b, k, y + 1 :, x], f[b, k, y, :x], f[b, k, y, x + 1 :]
        for number, part in enumerate(parts):
            got += m[9 + number] @ part.sum(0)
        got += m[13] @ (f[b, k].sum((0, 1)) / float(inside[b].sum()))
        got += m[14] @ f[b, :, y, x].sum(0)
    normed: np.ndarray = u / np.sqrt((u**2).mean(-1, keepdims=True) + 1e-5)
    return normed


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 2, 1, 3)])
def test_the_operation_is_what_it_is_said_to_be(shape: tuple[int, ...]) -> None:
    (h, w, maps), inside = inputs(shape, 8)
    ours = plain_canvas_mix(h.double(), inside.double(), w.double(), maps.double())
    want = by_hand(h.double(), inside.double(), w.double(), maps.double())
    np.testing.assert_allclose(ours.numpy(), want, rtol=0, atol=1e-12)


@needs_kernels
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("width", [8, 24, 48])
def test_kernel_matches_float64(width: int, shape: tuple[int, ...], count: int, threads: Callable[[int], None]) -> None:
    threads(count)
    leaves, inside = inputs(shape, width)
    want = results(plain_canvas_mix, [x.double() for x in leaves], inside.double())
    got = results(canvas_mix, leaves, inside)
    with torch.no_grad():
        assert torch.equal(MIX(leaves[0], inside, *leaves[1:]), got[0])
    for ours, exact in zip(got, want, strict=True):
        assert (ours - exact).abs().max() <= 5e-6 * exact.abs().max()


@needs_kernels
def test_equal_inputs_give_equal_bits() -> None:
    leaves, inside = inputs((3, 5, 7, 6), 24)
    first = results(canvas_mix, leaves, inside)
    junk = [torch.full((100_000,), float("nan")) for _ in range(8)]  # so that the scratch memory has other contents
    del junk
    assert all(torch.equal(a, b) for a, b in zip(first, results(canvas_mix, leaves, inside), strict=True))
    with torch.no_grad():  # the rest of the batch must not matter
        assert torch.equal(MIX(leaves[0][1:2], inside[1:2], *leaves[1:]), first[0][1:2])


def test_where_the_kernel_cannot_go_torch_does(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    plain = canvas.plain_canvas_mix

    def counted(h: Tensor, inside: Tensor, w: Tensor, maps: Tensor, eps: float) -> Tensor:
        seen.append(h.shape[-1])
        return plain(h, inside, w, maps, eps)

    monkeypatch.setattr(canvas, "plain_canvas_mix", counted)
    for width in (12, 16):
        leaves, inside = inputs((2, 3, 4, 5), width)
        if width == 16:
            monkeypatch.setenv("TRM_FUSED", "0")
        MIX(leaves[0], inside, *leaves[1:])
    assert seen == [12, 16]
