"""Products of bfloat16 factors: the C kernels against plain torch in float64, whole models, and the choice by speed.

Rounding to bfloat16 changes a factor by at most 2^-9 of itself, so a product of two by at most 2^-8. For a sum of such
products this bounds the error by 2^-8 of the sum of their absolute values, and where their signs are random, the root
mean square of the error by 2^-8 of that of the sums. A result behind several products may be off by that much for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from trm.devices import PRECISIONS
from trm.errors import BadInput
from trm.models import ModelConfig, build
from trm.models import precision as precisions
from trm.models.kernels import build as kernels
from trm.models.kernels import fused
from trm.models.kernels.canvas import MAPS, canvas_mix, plain_canvas_mix
from trm.models.kernels.groups import Layout, mix, plain_mix
from trm.models.kernels.local import local_mix, plain_local_mix
from trm.models.precision import gain, in_precision, pick_precision, set_precision
from trm.tasks import get_task
from trm.tasks.sudoku.task import Sudoku

Op = Callable[..., Tensor]
SWIGLU: Op = fused.swiglu_norm
PLAIN_SWIGLU: Op = fused.plain_swiglu_norm
CPU = torch.device("cpu")
ROUNDED = 2.0**-8  # of a product of two rounded factors
GATE = 3e-4  # relative error of the kernels' gate in bfloat16


@pytest.fixture(autouse=True)
def bfloat16_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRM_BFLOAT16", raising=False)
    monkeypatch.setattr(kernels, "_loaded", {})


@pytest.fixture(params=["1", "0"], ids=["tiles", "dots"])
def kernels_of_both_kinds(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, bfloat16_allowed: None
) -> None:
    """The kernels with AMX, where the processor has it, and without; skips where there are none."""
    monkeypatch.setenv("TRM_TILES", request.param)
    if not (found := kernels.available("bfloat16")):
        pytest.skip(f"no C kernels for bfloat16: {found.reason}")


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def normal(*shape: int, seed: int, scale: float = 1.0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale


def results(op: Op, inputs: list[Tensor]) -> list[Tensor]:
    """The output and the gradients of a fixed weighted sum of it."""
    leaves = [x.detach().requires_grad_() for x in inputs]
    out = op(*leaves)
    (out * normal(*out.shape, seed=9).to(out.dtype)).sum().backward()  # type: ignore[no-untyped-call]
    return [out.detach(), *(x.grad for x in leaves if x.grad is not None)]


def check(op: Op, plain: Op, inputs: list[Tensor], products: int) -> None:
    """`products`: how many are behind the output (gate, up and one more); twice as many are behind a gradient."""
    want = results(plain, [x.double() for x in inputs])
    with in_precision("bfloat16", CPU):
        got = results(op, inputs)
        with torch.no_grad():
            assert torch.equal(op(*inputs), got[0])
    for number, (ours, exact) in enumerate(zip(got, want, strict=True)):
        assert ours.dtype == torch.float32
        error, size = (ours - exact).square().mean().sqrt(), exact.square().mean().sqrt()
        assert 0 < error <= (2 if number else 1) * products * ROUNDED * size, number


WIDTHS = [(48, 96), (32, 64), (64, 128), (24, 40), (8, 8), (40, 8), (56, 72)]


def block_inputs(rows: int, width: int, hidden: int) -> list[Tensor]:
    w_in, w_out = normal(2 * hidden, width, seed=1, scale=2 / width**0.5), normal(width, hidden, seed=2)
    return [normal(rows, width, seed=0), w_in, w_out * 2 / hidden**0.5]


@pytest.mark.usefixtures("kernels_of_both_kinds")
@pytest.mark.parametrize(("width", "hidden"), WIDTHS)
@pytest.mark.parametrize("rows", [1, 7, 100, 729])
def test_layers_match_float64(rows: int, width: int, hidden: int) -> None:
    inputs = block_inputs(rows, width, hidden)
    check(fused.swiglu_norm, fused.plain_swiglu_norm, inputs, products=3)
    check(fused.gated, fused.plain_gated, inputs[:2], products=2)


@pytest.mark.usefixtures("kernels_of_both_kinds")
def test_no_gate_is_further_off_than_rounding_allows() -> None:
    h, w, _ = (x.double() for x in block_inputs(500, 48, 96))
    gate, up = (h @ w.T).chunk(2, -1)
    slack = ROUNDED * (h.abs() @ w.abs().T)
    d_gate, d_up = slack.chunk(2, -1)
    silu = torch.nn.functional.silu(gate)
    bound = 1.1 * d_gate * (up.abs() + d_up) + silu.abs() * d_up  # the derivative of silu is at most 1.1
    with in_precision("bfloat16", CPU):
        got = fused.gated(h.float(), w.float())
    assert ((got - silu * up).abs() <= bound + GATE * (silu * up).abs() + 1e-6).all()


@pytest.mark.usefixtures("kernels_of_both_kinds")
@pytest.mark.parametrize("width", [8, 24, 48, 64])
def test_the_groups_mixer_matches_float64(width: int) -> None:
    layout = Layout(Sudoku().spec)
    maps = normal(layout.count, width, width, seed=2, scale=1 / width**0.5)
    inputs = [normal(3, 81, 9, width, seed=0), normal(2 * width, width, seed=1, scale=2 / width**0.5), maps]
    check(
        lambda h, w, maps: mix(h, w, maps, layout), lambda h, w, maps: plain_mix(h, w, maps, layout), inputs, products=3
    )


@pytest.mark.usefixtures("kernels_of_both_kinds")
@pytest.mark.parametrize("board", [(30, 30), (3, 5), (1, 7)])
@pytest.mark.parametrize("width", [8, 24, 32, 64])
def test_the_local_mixer_matches_float64(width: int, board: tuple[int, int]) -> None:
    around = normal(width, 5 * width, seed=2, scale=1 / (5 * width) ** 0.5)
    h = normal(3, board[0] * board[1], width, seed=0)
    inputs = [h, normal(2 * width, width, seed=1, scale=2 / width**0.5), around]
    check(
        lambda h, w, a: local_mix(h, w, a, *board), lambda h, w, a: plain_local_mix(h, w, a, *board), inputs, products=3
    )


@pytest.mark.usefixtures("kernels_of_both_kinds")
@pytest.mark.parametrize("shape", [(3, 5, 7, 6), (2, 3, 1, 9), (1, 10, 30, 30), (4, 2, 12, 3)])
@pytest.mark.parametrize("width", [8, 24, 48])
def test_the_mixer_of_adapt_matches_float64(width: int, shape: tuple[int, ...]) -> None:
    inside = (normal(shape[0], 1, *shape[2:], 1, seed=4) < 1).float()
    maps = normal(MAPS, width, width, seed=2, scale=1 / width**0.5)
    inputs = [normal(*shape, width, seed=0), normal(2 * width, width, seed=1, scale=2 / width**0.5), maps]
    check(
        lambda h, w, m: canvas_mix(h, inside, w, m), lambda h, w, m: plain_canvas_mix(h, inside.to(h), w, m), inputs, 3
    )


@pytest.mark.usefixtures("kernels_of_both_kinds")
@pytest.mark.parametrize("count", [1, 2])
def test_equal_inputs_give_equal_bits(count: int, threads: Callable[[int], None]) -> None:
    threads(count)
    layout, inputs = Layout(Sudoku().spec), block_inputs(729 * 2 + 5, 24, 40)
    maps = normal(layout.count, 24, 24, seed=2)
    mixed = [normal(3, 81, 9, 24, seed=0), normal(48, 24, seed=1), maps]
    with in_precision("bfloat16", CPU):
        first = [*results(fused.swiglu_norm, inputs), *results(lambda h, w, maps: mix(h, w, maps, layout), mixed)]
        junk = [torch.full((100_000,), float("nan")) for _ in range(8)]  # so that the scratch memory has other contents
        del junk
        again = [*results(fused.swiglu_norm, inputs), *results(lambda h, w, maps: mix(h, w, maps, layout), mixed)]
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
        assert torch.equal(SWIGLU(inputs[0][131:140], *inputs[1:]), first[0][131:140])


@pytest.mark.usefixtures("kernels_of_both_kinds")
def test_extreme_gates() -> None:
    """Closed, linear and infinite gates: no overflow on the way, and NaN stays visible."""
    h = torch.zeros(6, 8)
    h[:, 0] = torch.tensor([-1e30, -200.0, -88.0, 88.0, 200.0, 1e18])
    w = torch.zeros(16, 8)
    w[:, 0] = 1
    with in_precision("bfloat16", CPU):
        out = fused.gated(h, w)
        assert torch.isfinite(out[1:5]).all()
        torch.testing.assert_close(out[3:5, 0], h[3:5, 0].square(), rtol=ROUNDED, atol=0)
        assert (out[:3].abs() < 1e-30).all()
        h[2, 3] = float("nan")
        assert torch.isnan(fused.gated(h, w)).any(-1).tolist() == [False, False, True, False, False, False]


MODELS = {
    "groups": ModelConfig(width=24, mixer="groups", positions="none", layers=1, T=2, n=2),
    "local": ModelConfig(width=24, mixer="local", positions="none", layers=1, T=2, n=2),
    "attention": ModelConfig(width=64, heads=4, T=2, n=2),
    "wide": ModelConfig(width=128, heads=4, T=2, n=2),
    "mlp": ModelConfig(width=64, mixer="mlp", positions="none", T=2, n=2),
    "hrm": ModelConfig(kind="hrm", width=64, heads=4, layers=2, T=2, n=2),
    "single": ModelConfig(width=64, heads=4, memory="single", T=2, n=2),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_model_learns_in_bfloat16_what_it_learns_in_float32(name: str) -> None:
    """No gradient is lost to a weight that was rounded where gradients were off, and no result is bfloat16."""
    torch.manual_seed(0)
    spec = get_task("maze-5x5" if name == "local" else "sudoku").spec
    model = build(MODELS[name], spec)
    torch.nn.init.normal_(model.frame.halt.weight, std=0.02)  # zero before training, so without gradient behind it
    question = torch.randint(1, spec.vocab, (2, spec.cells))

    def learned(precision: str) -> dict[str, Tensor]:
        set_precision(model, pick_precision(precision, CPU, model.config.width))
        model.zero_grad()
        output = model(model.start(2), question)
        for part in (output.logits, output.halt, output.state.y, output.state.z):
            assert part.dtype == torch.float32
        (output.logits.log_softmax(-1)[..., 1].sum() + output.halt.sum()).backward()
        return {key: p.grad.clone() for key, p in model.named_parameters() if p.grad is not None}

    full, half = learned("float32"), learned("bfloat16")
    assert full.keys() == half.keys()
    for key, grad in full.items():
        assert (half[key] - grad).norm() <= 0.2 * grad.norm(), key
    assert any(not torch.equal(half[key], grad) for key, grad in full.items())


def test_the_choice_of_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [pick_precision(name, CPU, 48) for name in PRECISIONS[1:]] == ["float32", "bfloat16"]
    for faster, chosen in ((precisions.GAIN + 0.01, "bfloat16"), (precisions.GAIN - 0.01, "float32")):
        with monkeypatch.context() as patch:
            patch.setattr(precisions, "gain", lambda device, width, faster=faster: faster)
            assert pick_precision("auto", CPU, 48) == chosen
    monkeypatch.setenv("TRM_BFLOAT16", "0")
    assert gain(CPU, 48) == 0
    assert pick_precision("auto", CPU, 48) == "float32"
    assert not kernels.processor_multiplies_bfloat16()
    with pytest.raises(BadInput, match="precision must be one of auto, float32, bfloat16, not 'half'"):
        pick_precision("half", CPU, 48)


def test_the_gain_is_measured_once_on_a_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(precisions, "processor_multiplies_bfloat16", lambda: True)
    measured: list[int] = []

    def measure(device: torch.device, width: int) -> float:
        measured.append(width)
        return 1.5

    monkeypatch.setattr(precisions, "measure", measure)
    assert [gain(CPU, 48), gain(CPU, 48), gain(CPU, 64)] == [1.5] * 3
    assert measured == [48, 64]


def test_turned_off_bfloat16_products_run_in_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRM_BFLOAT16", "0")
    monkeypatch.setattr(kernels, "_loaded", {})
    assert kernels.available("bfloat16").reason == "turned off by TRM_BFLOAT16=0"
    inputs = block_inputs(10, 16, 24)
    with in_precision("bfloat16", CPU):
        assert torch.equal(SWIGLU(*inputs), PLAIN_SWIGLU(*inputs))


def test_a_processor_without_bfloat16_has_no_such_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_loaded", {})
    monkeypatch.setattr(kernels, "_cpu", lambda: "flags : sse2 avx avx2")
    assert kernels.available("bfloat16").reason == "the processor has no bfloat16 products"
