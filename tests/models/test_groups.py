"""The kernel of the `groups` mixer against torch operations in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from trm.models.kernels import build as kernels
from trm.models.kernels.groups import Layout, mix, plain_mix
from trm.tasks import get_task
from trm.tasks.base import Spec

pytestmark = pytest.mark.skipif(not kernels.available(), reason=f"no C kernels: {kernels.available().reason}")

# Groups of several sizes, cells in two groups of a kind, in none, or in one twice as large.
ODD = Spec("odd", 2, 3, vocab=7, first_symbol=2, groups=(((0, 1), (1, 2, 3), (3, 0)), ((2, 3, 4),)))
SPECS = [get_task("sudoku").spec, get_task("sudoku-6x6").spec, ODD]


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def inputs(spec: Spec, width: int, batch: int) -> list[Tensor]:
    drawn = torch.Generator().manual_seed(0)
    shapes = [(batch, spec.cells, spec.symbols, width), (2 * width, width), (len(spec.groups) + 1, width, width)]
    scales = [1.0, 2 / width**0.5, 0.5 / width**0.5]
    return [torch.randn(shape, generator=drawn) * scale for shape, scale in zip(shapes, scales, strict=True)]


def apply(op: Callable[..., Tensor], values: list[Tensor], layout: Layout) -> Tensor:
    return op(*values, layout)


def results(op: Callable[..., Tensor], values: list[Tensor], layout: Layout) -> list[Tensor]:
    """The output and the gradients of a weighted sum of it."""
    leaves = [value.detach().requires_grad_() for value in values]
    out = op(*leaves, layout)
    weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out.dtype)
    torch.autograd.backward((out * weight).sum())
    return [out.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]


@pytest.mark.parametrize("width", [8, 24, 32, 48, 64])
@pytest.mark.parametrize(
    "spec", [get_task("sudoku").spec, get_task("sudoku-6x6").spec, ODD], ids=lambda spec: spec.name
)
def test_the_kernel_matches_float64(spec: Spec, width: int, threads: int) -> None:
    layout, values = Layout(spec), inputs(spec, width, batch=3)
    ours = results(mix, values, layout)
    exact = results(plain_mix, [value.double() for value in values], layout)
    assert len(ours) == len(exact) == 4
    for a, b in zip(ours, exact, strict=True):
        assert (a - b).abs().max() <= 3e-6 * b.abs().max()


def test_equal_inputs_give_equal_bits(threads: int) -> None:
    layout, values = Layout(ODD), inputs(ODD, 16, batch=5)
    first = results(mix, values, layout)
    junk = [torch.full((100_000,), float("nan")) for _ in range(8)]  # so that the scratch memory has other contents
    del junk
    assert all(torch.equal(a, b) for a, b in zip(first, results(mix, values, layout), strict=True))
    with torch.no_grad():
        assert torch.equal(apply(mix, values, layout), first[0])
        part = [values[0][1:3], *values[1:]]  # the rest of the batch must not matter
        assert torch.equal(apply(mix, part, layout), first[0][1:3])


def test_strided_inputs() -> None:
    layout, (h, w, maps) = Layout(ODD), inputs(ODD, 16, batch=4)
    across = h.transpose(0, 1).contiguous().transpose(0, 1)
    turned = maps.mT.contiguous().mT
    for a, b in zip(results(mix, [across, w, turned], layout), results(mix, [h, w, maps], layout), strict=True):
        assert torch.equal(a, b)


def test_where_the_kernel_cannot_go_torch_does(monkeypatch: pytest.MonkeyPatch) -> None:
    layout, values = Layout(ODD), inputs(ODD, 12, batch=2)  # not a multiple of 8
    torch.testing.assert_close(apply(mix, values, layout), apply(plain_mix, values, layout), rtol=0, atol=0)
    values = inputs(ODD, 16, batch=2)
    ours = apply(mix, values, layout)
    monkeypatch.setenv("TRM_FUSED", "0")
    torch.testing.assert_close(apply(mix, values, layout), apply(plain_mix, values, layout), rtol=0, atol=0)
    torch.testing.assert_close(apply(mix, values, layout), ours)
