"""The fused C kernels against plain torch in float64, and the cases in which plain torch must be used."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from trm.models.kernels import build as kernels
from trm.models.kernels import fused

Op = Callable[..., Tensor]
TOLERANCE = 1e-5  # relative to the largest value of the compared tensor

needs_kernels = pytest.mark.skipif(not kernels.available(), reason=f"no C kernels: {kernels.available().reason}")


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A process that has not loaded the kernels yet, with an empty cache; gives the cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("TRM_FUSED", raising=False)
    monkeypatch.setattr(kernels, "_loaded", {})
    return tmp_path / "trm"


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def uniform(*shape: int, seed: int, scale: float = 1.0) -> Tensor:
    return (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1) * scale


def block_inputs(rows: int, width: int, hidden: int) -> list[Tensor]:
    """h, w_in, w_out with pre-activations of a few units, so that the gate is neither closed nor linear."""
    w_in = uniform(2 * hidden, width, seed=1, scale=4 / width**0.5)
    return [uniform(rows, width, seed=0, scale=2), w_in, uniform(width, hidden, seed=2, scale=3 / hidden**0.5)]


def apply(op: Op, inputs: list[Tensor]) -> Tensor:
    return op(*inputs)


def backward(loss: Tensor) -> None:
    loss.backward()  # type: ignore[no-untyped-call]


def results(op: Op, inputs: list[Tensor], needs: list[bool] | None = None) -> list[Tensor | None]:
    """The output and the gradients of a fixed weighted sum of it."""
    leaves = [x.detach().requires_grad_(needs is None or needs[i]) for i, x in enumerate(inputs)]
    out = op(*leaves)
    if out.requires_grad:
        weights = uniform(out.numel(), seed=9).view(out.shape).to(out.dtype)
        backward((out * weights).sum())
    return [out.detach(), *(x.grad for x in leaves)]


def assert_close(got: list[Tensor | None], want: list[Tensor | None]) -> None:
    for a, b in zip(got, want, strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            assert a.shape == b.shape
            assert (a.double() - b).abs().max() <= TOLERANCE * b.abs().max()


def check(op: Op, plain: Op, inputs: list[Tensor], needs: list[bool] | None = None) -> None:
    want = results(plain, [x.double() for x in inputs], needs)
    assert_close(results(op, inputs, needs), want)
    with torch.no_grad():
        assert_close([op(*inputs)], want[:1])


def same_bits(a: list[Tensor | None], b: list[Tensor | None]) -> bool:
    return all(
        (x is None and y is None) or (x is not None and y is not None and torch.equal(x, y))
        for x, y in zip(a, b, strict=True)
    )


def uses_kernels(monkeypatch: pytest.MonkeyPatch, op: Op, inputs: list[Tensor]) -> bool:
    """Whether the op computes in C on these inputs: whether it never reaches its plain version."""
    plain: list[str] = []

    def watched(name: str, original: Op) -> Op:
        def call(*args: Tensor) -> Tensor:
            plain.append(name)
            return original(*args)

        return call

    with monkeypatch.context() as patch:
        for name in ("plain_swiglu_norm", "plain_gate", "plain_gated", "plain_add_norm"):
            patch.setattr(fused, name, watched(name, getattr(fused, name)))
        op(*inputs)
    return not plain


WIDTHS = [(48, 96), (8, 8), (16, 24), (24, 40), (32, 64), (40, 8), (64, 128), (56, 72), (128, 256)]


@needs_kernels
@pytest.mark.parametrize(("width", "hidden"), WIDTHS)
@pytest.mark.parametrize("rows", [1, 7, 100])
def test_swiglu_norm_matches_float64(rows: int, width: int, hidden: int) -> None:
    check(fused.swiglu_norm, fused.plain_swiglu_norm, block_inputs(rows, width, hidden))


@needs_kernels
@pytest.mark.parametrize(("width", "hidden"), WIDTHS)
@pytest.mark.parametrize("rows", [1, 7, 100])
def test_gated_matches_float64(rows: int, width: int, hidden: int) -> None:
    check(fused.gated, fused.plain_gated, block_inputs(rows, width, hidden)[:2])


@needs_kernels
@pytest.mark.parametrize("count", [1, 2, 3])
def test_many_rows(count: int, threads: Callable[[int], None]) -> None:
    threads(count)
    inputs = block_inputs(729 * 3 + 5, 48, 96)
    check(fused.swiglu_norm, fused.plain_swiglu_norm, inputs)
    check(fused.gated, fused.plain_gated, inputs[:2])


@needs_kernels
@pytest.mark.parametrize("count", [1, 2, 3])
def test_wide_blocks(count: int, threads: Callable[[int], None]) -> None:
    """Torch's products with a fused gate, from a width of WIDE on."""
    threads(count)
    inputs = block_inputs(150, fused.WIDE, 512)
    check(fused.swiglu_norm, fused.plain_swiglu_norm, inputs)
    check(fused.swiglu_norm, fused.plain_swiglu_norm, [inputs[0].view(3, 50, -1), *inputs[1:]])
    first = results(fused.swiglu_norm, inputs)
    assert same_bits(first, results(fused.swiglu_norm, inputs))
    for needs in ([True, False, False], [False, True, False], [False, False, True]):
        check(fused.swiglu_norm, fused.plain_swiglu_norm, inputs, needs)


@needs_kernels
@pytest.mark.parametrize("shape", [(1, 16), (7, 48), (3, 5, 64), (300, 1024)])
@pytest.mark.parametrize("count", [1, 3])
def test_gate_matches_float64(shape: tuple[int, ...], count: int, threads: Callable[[int], None]) -> None:
    threads(count)
    check(fused.gate, fused.plain_gate, [uniform(*shape, seed=0, scale=4)])
    check(fused.gate, fused.plain_gate, [uniform(2, *shape, seed=0, scale=4)[1]])


@needs_kernels
@pytest.mark.parametrize("width", [8, 24, 48, 64])
@pytest.mark.parametrize("cells", [1, 7, 81])
def test_add_norm_matches_float64(cells: int, width: int) -> None:
    inputs = [uniform(2, cells, 9, width, seed=i) for i in range(2)]
    check(fused.add_norm, fused.plain_add_norm, inputs)
    check(fused.add_norm, fused.plain_add_norm, [*inputs, uniform(2, cells, 1, width, seed=3)])
    check(fused.add_norm, fused.plain_add_norm, [x[0, 0] for x in inputs])


@needs_kernels
@pytest.mark.parametrize("needs", [[True, False, False], [False, True, False], [False, False, True], [False] * 3])
def test_only_the_wanted_gradients(needs: list[bool]) -> None:
    inputs = block_inputs(50, 16, 24)
    check(fused.swiglu_norm, fused.plain_swiglu_norm, inputs, needs)
    check(fused.gated, fused.plain_gated, inputs[:2], needs[:2])
    terms = [uniform(5, 9, 16, seed=0), uniform(5, 9, 16, seed=1), uniform(5, 1, 16, seed=2)]
    check(fused.add_norm, fused.plain_add_norm, terms, needs)


@needs_kernels
def test_leading_axes_and_strides(monkeypatch: pytest.MonkeyPatch) -> None:
    _, w_in, w_out = block_inputs(1, 48, 96)
    transposed = uniform(9, 48, 5, seed=4).permute(2, 0, 1)
    offset = uniform(90 * 48 + 3, seed=5)[3:].view(10, 9, 48)  # contiguous, but not aligned to a vector
    stepped = uniform(20, 9, 48, seed=6)[::2]
    for h in (transposed, offset, stepped):
        inputs = [h, w_in.t().contiguous().t(), w_out]
        check(fused.swiglu_norm, fused.plain_swiglu_norm, inputs)
        check(fused.gated, fused.plain_gated, inputs[:2])
        check(fused.add_norm, fused.plain_add_norm, [h, h.flip(0), h[:, :1]])
        assert uses_kernels(monkeypatch, fused.swiglu_norm, inputs)


@needs_kernels
def test_gradient_that_is_not_contiguous() -> None:
    inputs = [x.requires_grad_() for x in block_inputs(30, 16, 24)]
    want = [x.detach().double().requires_grad_() for x in inputs]
    for op, leaves in ((fused.swiglu_norm, inputs), (fused.plain_swiglu_norm, want)):
        backward(apply(op, leaves).sum())  # the gradient of a sum is one expanded number
    assert_close([x.grad for x in inputs], [x.grad for x in want])


@needs_kernels
def test_extreme_gates() -> None:
    """Closed, linear and infinite gates: no overflow on the way, and NaN stays visible."""
    h = torch.zeros(6, 8)
    h[:, 0] = torch.tensor([-1e30, -200.0, -88.0, 88.0, 200.0, 1e18])
    w = torch.zeros(16, 8)
    w[:, 0] = 1
    out = fused.gated(h, w)
    assert torch.isfinite(out[1:5]).all()
    torch.testing.assert_close(out[1:5].double(), fused.plain_gated(h[1:5].double(), w.double()), rtol=1e-5, atol=1e-30)
    h[2, 3] = float("nan")
    assert torch.isnan(fused.gated(h, w)).any(-1).tolist() == [False, False, True, False, False, False]


@needs_kernels
def test_small_gates_keep_relative_precision() -> None:
    x = torch.linspace(-80, 20, 4001)
    h = torch.zeros(len(x), 8)
    h[:, 0], h[:, 1] = x, 1
    w = torch.zeros(16, 8)
    w[:8, 0], w[8:, 1] = 1, 1  # gate x, up 1
    want = fused.plain_gated(h.double(), w.double())
    assert ((fused.gated(h, w) - want).abs() <= 4e-7 * want.abs()).all()


@needs_kernels
@pytest.mark.parametrize("count", [1, 2])
def test_deterministic(count: int, threads: Callable[[int], None]) -> None:
    threads(count)
    inputs = block_inputs(729 * 2 + 5, 48, 96)
    first = results(fused.swiglu_norm, inputs)
    junk = [torch.full((100_000,), float("nan")) for _ in range(8)]  # so that the scratch memory has other contents
    del junk
    assert same_bits(first, results(fused.swiglu_norm, inputs))
    with torch.no_grad():
        assert same_bits(first[:1], [apply(fused.swiglu_norm, inputs)])


@needs_kernels
def test_rows_do_not_depend_on_their_neighbours() -> None:
    h, w_in, w_out = block_inputs(200, 48, 96)
    whole = fused.swiglu_norm(h, w_in, w_out)
    assert torch.equal(whole[131:140], fused.swiglu_norm(h[131:140], w_in, w_out))


@needs_kernels
def test_calls_from_several_threads() -> None:
    inputs = block_inputs(500, 48, 96)
    want = results(fused.swiglu_norm, inputs)
    same: list[bool] = []

    def work() -> None:
        same.extend(same_bits(want, results(fused.swiglu_norm, inputs)) for _ in range(10))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert same == [True] * 40


@needs_kernels
def test_second_derivative_is_refused() -> None:
    inputs = [x.requires_grad_() for x in block_inputs(5, 8, 8)]
    (grad,) = torch.autograd.grad(apply(fused.swiglu_norm, inputs).square().sum(), inputs[:1], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        backward(grad.sum())


def test_other_sizes_and_types_run_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    cases: list[tuple[Op, list[Tensor]]] = [
        (fused.swiglu_norm, block_inputs(10, 12, 16)),
        (fused.swiglu_norm, block_inputs(10, 16, 12)),
        (fused.swiglu_norm, block_inputs(0, 16, 16)),
        (fused.swiglu_norm, [x.double() for x in block_inputs(10, 16, 16)]),
        (fused.swiglu_norm, [x.bfloat16() for x in block_inputs(10, 16, 16)]),
        (fused.gated, [x.double() for x in block_inputs(10, 16, 16)[:2]]),
        (fused.gate, [uniform(3, 24, seed=0)]),
        (fused.add_norm, [uniform(3, 9, 16, seed=0), uniform(3, 1, 16, seed=1)]),
        (fused.add_norm, [uniform(3, 9, 16, seed=0), uniform(3, 9, 16, seed=1), uniform(3, 9, 16, seed=2)]),
        (fused.add_norm, [uniform(3, 9, 12, seed=0), uniform(3, 9, 12, seed=1)]),
    ]
    for op, inputs in cases:
        assert not uses_kernels(monkeypatch, op, inputs)
        plain: Op = getattr(fused, f"plain_{op.__name__}")
        assert torch.equal(op(*inputs), plain(*inputs))
    with torch.autocast("cpu", dtype=torch.float16):
        assert not uses_kernels(monkeypatch, fused.swiglu_norm, block_inputs(10, 16, 16))


def test_wrong_shapes_raise_torchs_error() -> None:
    h, w_in, w_out = block_inputs(10, 16, 24)
    with pytest.raises(RuntimeError):
        fused.swiglu_norm(h, w_in[:, :8], w_out)
    with pytest.raises(RuntimeError):
        fused.swiglu_norm(h, w_in, w_out[:, :16])


def test_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRM_FUSED", "0")
    assert not kernels.available()
    assert "TRM_FUSED" in kernels.available().reason
    assert not uses_kernels(monkeypatch, fused.swiglu_norm, block_inputs(10, 16, 16))


def test_no_compiler(monkeypatch: pytest.MonkeyPatch, fresh: Path, tmp_path: Path) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not kernels.available()
    assert "no C compiler" in kernels.available().reason
    inputs = block_inputs(10, 16, 16)
    assert torch.equal(apply(fused.swiglu_norm, inputs), apply(fused.plain_swiglu_norm, inputs))
    assert not fresh.exists()


def test_named_compiler_that_is_missing_or_fails(monkeypatch: pytest.MonkeyPatch, fresh: Path) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    assert "CC=no-such-compiler" in kernels.available().reason
    monkeypatch.setattr(kernels, "_loaded", {})
    monkeypatch.setenv("CC", f"{sys.executable} -c 'raise SystemExit(3)'")
    assert "failed" in kernels.available().reason
    assert not kernels.available()


@needs_kernels
def test_kept_and_rebuilt_when_damaged(monkeypatch: pytest.MonkeyPatch, fresh: Path) -> None:
    compiled: list[Path] = []
    compile_ = kernels._compile

    def counted(compiler: list[str], flags: list[str], target: Path) -> None:
        compiled.append(target)
        compile_(compiler, flags, target)

    monkeypatch.setattr(kernels, "_compile", counted)
    monkeypatch.setattr(
        kernels, "_FLAGS", tuple(flag.replace("-O3", "-O1") for flag in kernels._FLAGS)
    )  # compiles faster

    def start() -> int:
        monkeypatch.setattr(kernels, "_loaded", {})
        compiled.clear()
        assert kernels.available()
        check(fused.swiglu_norm, fused.plain_swiglu_norm, block_inputs(10, 16, 16))
        return len(compiled)

    assert start() == 1
    assert start() == 0
    (library,) = fresh.glob("*.so")
    assert sorted(path.suffix for path in fresh.iterdir()) == [".sha256", ".so"]
    whole = library.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole[:-100] + bytes(100)):
        spoilt = library.with_suffix(".tmp")
        spoilt.write_bytes(damaged)
        spoilt.replace(library)  # not in place: this process still runs the old file
        assert start() == 1
        assert start() == 0
    next(fresh.glob("*.sha256")).unlink()
    assert start() == 1


@needs_kernels
@pytest.mark.skipif(not hasattr(os, "getuid"), reason="POSIX permissions")
def test_cache_others_can_write_to_is_not_trusted(fresh: Path) -> None:
    fresh.mkdir()
    fresh.chmod(0o777)
    assert kernels.available()
    assert not list(fresh.iterdir())
    check(fused.swiglu_norm, fused.plain_swiglu_norm, block_inputs(10, 16, 16))


@pytest.mark.skipif(not kernels._has_libgomp(), reason="torch has not loaded GCC's OpenMP here")
def test_torchs_own_threads_are_used(fresh: Path) -> None:
    assert kernels.library(torch.ones(8)) is not None
    (library,) = fresh.glob("*.so")
    assert b"GOMP_parallel" in library.read_bytes()
    loaded = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "libgomp" in line}
    assert len(loaded) == 1


@needs_kernels
def test_two_processes_build_at_once(fresh: Path) -> None:
    code = "from trm.models.kernels import build as kernels; assert kernels.available(), kernels.available().reason"
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [process.wait(120) for process in running] == [0, 0]
    assert len(list(fresh.glob("*.so"))) == 1
    assert not list(fresh.glob("build-*"))
