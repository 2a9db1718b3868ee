"""Training on a GPU against the same on the CPU. Skipped where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from trm.training.config import RunConfig, override
from trm.training.datasets import task_of, training_set
from trm.training.draws import start_noise
from trm.training.presets import get_preset
from trm.training.trainer import Trainer

CPU, GPU = torch.device("cpu"), torch.device("cuda")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")


def config(preset: str, *more: str) -> RunConfig:
    small = ("updates=20", "warmup=0", "batch=8", "micro=0", "start_noise=0", "window=2", "max_steps=4")
    return override(get_preset(preset).config, [*small, *more])


def trained(run: RunConfig, device: torch.device, updates: int = 5) -> Trainer:
    task = task_of(run)
    trainer = Trainer(run, task, training_set(run, task), device)
    for _ in range(updates):
        trainer.update()
    return trainer


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.detach().cpu() for name, value in trainer.model.named_parameters()}


def test_bfloat16_products_give_nearly_the_same_loss() -> None:
    run = config("sudoku-mini", "model.width=16")
    full, half = trained(run, CPU, 1), trained(override(run, ["precision=bfloat16"]), CPU, 1)
    assert full.totals.loss != half.totals.loss
    assert half.totals.loss == pytest.approx(full.totals.loss, rel=0.02)
    assert {value.dtype for value in half.model.parameters()} == {torch.float32}


@needs_gpu
@pytest.mark.parametrize("preset", ["sudoku-mini", "maze-generated"])
def test_in_float64_both_devices_learn_the_same(preset: str) -> None:
    more = ("model.width=16", "precision=float64") + (("stages=", "task=maze-10x10") if "maze" in preset else ())
    one, two = (trained(config(preset, *more), device) for device in (CPU, GPU))
    torch.testing.assert_close(weights(two), weights(one), rtol=1e-6, atol=1e-8)


@needs_gpu
@pytest.mark.filterwarnings("ignore")  # what the compiler warns of is its own affair
@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
@pytest.mark.parametrize("compiled", ["false", "true"])
def test_every_precision_starts_from_the_same_loss(precision: str, compiled: str) -> None:
    run = config("sudoku-mini", "model.width=16", f"precision={precision}", f"compile={compiled}")
    full, other = trained(config("sudoku-mini", "model.width=16"), CPU, 1), trained(run, GPU, 1)
    assert other.totals.loss == pytest.approx(full.totals.loss, rel=1e-4 if precision == "float32" else 0.02)


@needs_gpu
def test_a_gpu_draws_its_noise_from_seed_slot_and_puzzle_alone() -> None:
    first, again, other = (start_noise(0, 3, taken, 1000, GPU) for taken in (5, 5, 6))
    assert first.equal(again)
    assert not first.equal(other)
    assert float(first.std()) == pytest.approx(1, rel=0.1)


@needs_gpu
def test_a_run_goes_on_from_its_checkpoint_on_the_gpu(tmp_path: Path) -> None:
    run = config("sudoku-mini", "model.width=16", "start_noise=0.5", "precision=float64")
    whole, half = trained(run, GPU, 6), trained(run, GPU, 3)
    torch.save(half.state_dict(), tmp_path / "state.pt")
    rest = trained(run, GPU, 0)
    rest.load_state_dict(torch.load(tmp_path / "state.pt", map_location=CPU))
    for _ in range(3):
        rest.update()
    torch.testing.assert_close(weights(rest), weights(whole), rtol=1e-6, atol=1e-8)


@needs_gpu
@pytest.mark.parametrize("preset", ["sudoku-mini", "sudoku-6x6-trm-mlp"])
def test_an_update_never_waits_for_the_whole_gpu(preset: str) -> None:
    """Apart from the events of `HostCopy`."""
    trainer = trained(config(preset, "start_noise=0", "precision=float32"), GPU, 3)
    torch.cuda.set_sync_debug_mode("error")
    try:
        trainer.update()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    trainer.check_finite()


@needs_gpu
@pytest.mark.filterwarnings("ignore")
def test_a_model_with_puzzle_embeddings_compiles() -> None:
    small = ("model.T=2", "model.n=2", "model.layers=1", "precision=float32", "window=1")
    plain, compiled = (
        trained(config("sudoku-6x6-trm-mlp", *small, f"compile={choice}"), GPU, 3) for choice in ("false", "true")
    )
    assert compiled.totals.loss == pytest.approx(plain.totals.loss, rel=1e-3)
