"""The kernel of the `local` mixer against torch operations in float64, and against a loop over cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from trm.models.kernels import build as kernels
from trm.models.kernels import local
from trm.models.kernels.local import local_mix, plain_local_mix

needs_kernels = pytest.mark.skipif(not kernels.available(), reason=f"no C kernels: {kernels.available().reason}")
BOARDS = [(1, 7), (7, 1), (3, 5), (2, 100), (14, 14), (30, 30)]


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def inputs(batch: int, cells: int, width: int) -> list[Tensor]:
    """h and both weights."""
    drawn = torch.Generator().manual_seed(0)
    shapes = [(batch, cells, width), (2 * width, width), (width, 5 * width)]
    scales = [1.0, 2 / width**0.5, 0.5 / width**0.5]
    return [torch.randn(shape, generator=drawn) * scale for shape, scale in zip(shapes, scales, strict=True)]


def results(op: Callable[..., Tensor], values: list[Tensor], board: tuple[int, int]) -> list[Tensor]:
    """The output and the gradients of a weighted sum of it."""
    leaves = [value.detach().requires_grad_() for value in values]
    out = op(*leaves, *board)
    weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out.dtype)
    torch.autograd.backward((out * weight).sum())
    return [out.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]


def apply(op: Callable[..., Tensor], values: list[Tensor], board: tuple[int, int]) -> Tensor:
    return op(*values, *board)


def check(values: list[Tensor], board: tuple[int, int]) -> None:
    ours = results(local_mix, values, board)
    exact = results(plain_local_mix, [value.double() for value in values], board)
    assert len(ours) == len(exact) == 4
    for a, b in zip(ours, exact, strict=True):
        assert (a - b).abs().max() <= 5e-6 * b.abs().max()
    with torch.no_grad():
        assert torch.equal(apply(local_mix, values, board), ours[0])


@needs_kernels
@pytest.mark.parametrize("board", BOARDS, ids=str)
@pytest.mark.parametrize("batch", [1, 3])
def test_the_kernel_matches_float64(board: tuple[int, int], batch: int, threads: int) -> None:
    check(inputs(batch, board[0] * board[1], 32), board)


@needs_kernels
@pytest.mark.parametrize("width", [8, 16, 24, 40, 48, 64, 136])
def test_every_width(width: int) -> None:
    check(inputs(3, 35, width), (5, 7))


@needs_kernels
def test_large_boards() -> None:
    check(inputs(2, 10_000, 8), (100, 100))


def by_cells(h: Tensor, w_features: Tensor, w_around: Tensor, height: int, width: int) -> Tensor:
    """The definition, cell by cell."""
    size = h.shape[-1]
    features = F.silu(h @ w_features[:size].T) * (h @ w_features[size:].T)
    rows = []
    for cell in range(height * width):
        y, x = divmod(cell, width)
        total = h[:, cell]
        for part, (b, a) in enumerate(((y, x), (y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1))):
            if 0 <= b < height and 0 <= a < width:
                total = total + features[:, b * width + a] @ w_around[:, part * size : (part + 1) * size].T
        rows.append(total / (total.square().mean(-1, keepdim=True) + 1e-5).sqrt())
    return torch.stack(rows, 1)


@pytest.mark.parametrize("board", [(1, 7), (3, 5), (4, 2)], ids=str)
def test_the_plain_version_is_the_definition(board: tuple[int, int]) -> None:
    values = [value.double() for value in inputs(2, board[0] * board[1], 8)]
    for a, b in zip(results(plain_local_mix, values, board), results(by_cells, values, board), strict=True):
        torch.testing.assert_close(a, b)


@needs_kernels
def test_equal_inputs_give_equal_bits(threads: int) -> None:
    board, values = (6, 5), inputs(5, 30, 16)
    first = results(local_mix, values, board)
    junk = [torch.full((100_000,), float("nan")) for _ in range(8)]  # so that the scratch memory has other contents
    del junk
    assert all(torch.equal(a, b) for a, b in zip(first, results(local_mix, values, board), strict=True))
    part = [values[0][1:3], *values[1:]]  # the rest of the batch must not matter
    assert torch.equal(apply(local_mix, part, board), first[0][1:3])


@needs_kernels
def test_a_board_that_is_not_finite_leaves_the_others_alone() -> None:
    board, values = (3, 4), inputs(3, 12, 8)
    clean = apply(local_mix, values, board)
    values[0][1, 5] = float("nan")
    spoilt = apply(local_mix, values, board)
    assert torch.equal(spoilt[0], clean[0])
    assert torch.equal(spoilt[2], clean[2])
    near = [1, 4, 5, 6, 9]
    assert spoilt[1].isnan().any(-1).nonzero().flatten().tolist() == near


@needs_kernels
def test_strided_inputs() -> None:
    board, (h, w_features, w_around) = (3, 5), inputs(4, 15, 16)
    across = h.transpose(0, 1).contiguous().transpose(0, 1)
    turned = w_around.mT.contiguous().mT
    got = results(local_mix, [across, w_features, turned], board)
    for a, b in zip(got, results(local_mix, [h, w_features, w_around], board), strict=True):
        assert torch.equal(a, b)


def test_where_the_kernel_cannot_go_torch_does(monkeypatch: pytest.MonkeyPatch) -> None:
    plain: list[int] = []

    def watched(*args: Any) -> Tensor:
        plain.append(1)
        return plain_local_mix(*args)

    monkeypatch.setattr(local, "plain_local_mix", watched)
    for values in (inputs(2, 15, 12), [x.double() for x in inputs(2, 15, 16)], inputs(0, 15, 16)):
        out = apply(local_mix, values, (3, 5))  # a width that is not a multiple of 8, another type, an empty batch
        torch.testing.assert_close(out, apply(plain_local_mix, values, (3, 5)), rtol=0, atol=0)
    assert len(plain) == 3
    values = inputs(2, 15, 16)
    ours = apply(local_mix, values, (3, 5))
    assert len(plain) == 3 + (not kernels.available())
    monkeypatch.setenv("TRM_FUSED", "0")
    torch.testing.assert_close(apply(local_mix, values, (3, 5)), ours)
    with pytest.raises(RuntimeError):
        apply(local_mix, values, (4, 5))
