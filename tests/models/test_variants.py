"""Every ablation of the TRM paper's table as settings, and the options that crash in the published code."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from trm.errors import BadInput
from trm.models import HRM, ModelConfig, State, build
from trm.tasks import get_task, load_puzzles
from trm.tasks.base import Spec
from trm.training.config import RunConfig, override
from trm.training.presets import PRESETS, PUBLISHED, Preset
from trm.training.trainer import Trainer

# The published settings at a size that trains a step in milliseconds.
REDUCED = [
    "task=sudoku-4x4",
    "model.width=16",
    "model.heads=2",
    "model.multiple=16",
    "model.puzzle_width=16",
    "model.puzzle_tokens=2",
    "batch=4",
    "warmup=0",
    "lr=0.01",
]
# Sudoku-Extreme, exact % in the paper's table 1 behind each.
ABLATIONS = {
    "full (87.4)": [],
    "with the continue loss (86.1)": ["continue_loss=true"],
    "separate f_H and f_L (82.4)": ["model.networks=separate"],
    "no EMA (79.9)": ["ema=0"],
    "4 layers, n=3 (79.5)": ["model.layers=4", "model.n=3"],
    "self-attention (74.7)": ["model.mixer=attention", "model.positions=rope"],
    "T=2, n=2 (73.7)": ["model.T=2", "model.n=2"],
    "one-step gradient (56.5)": ["model.gradient=one_step"],
    "single z (71.9)": ["model.memory=single"],
    "multi-scale z (77.6)": ["model.memory=scales"],
}
CRASHING = {
    "softmax": ["loss=softmax"],
    "no puzzle embeddings": ["model.puzzle_ids=0"],
    "no puzzle embeddings, attention": ["model.puzzle_ids=0", "model.mixer=attention", "model.positions=rope"],
    "learned positions": ["model.mixer=attention", "model.positions=learned"],
    "learned positions, no puzzle embeddings": ["model.positions=learned", "model.puzzle_ids=0"],
    "one supervision step": ["max_steps=1"],
    "one step and the continue loss": ["max_steps=1", "continue_loss=true"],
    "one-step gradient, single z": ["model.gradient=one_step", "model.memory=single"],
    "one-step gradient, multi-scale z": ["model.gradient=one_step", "model.memory=scales"],
}
SPEC = Spec("plain", 3, 4, vocab=7, first_symbol=7)


def trains(config: RunConfig, csv: Path) -> Trainer:
    """Three steps change every weight, and the loss is finite (the trainer raises otherwise)."""
    task = get_task(config.task)
    trainer = Trainer(config, task, load_puzzles(task, str(csv)), torch.device("cpu"))
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    for _ in range(3):
        trainer.update()
    assert trainer.totals.sequences == 3 * config.batch
    for name, p in trainer.model.named_parameters():
        assert p.isfinite().all(), name
        assert not torch.equal(p, before[name]), f"{name} was not trained"
    return trainer


@pytest.mark.parametrize("settings", (ABLATIONS | CRASHING).values(), ids=ABLATIONS | CRASHING)
def test_every_ablation_and_option_trains(settings: list[str], small_csv: Path) -> None:
    mlp = PRESETS["sudoku-extreme-trm-mlp"].config
    trains(override(mlp, REDUCED + settings), small_csv)


@pytest.mark.parametrize("preset", PUBLISHED, ids=lambda preset: preset.name)
def test_every_published_preset_trains_at_reduced_size(preset: Preset, small_csv: Path) -> None:
    config = override(preset.config, [*REDUCED, "model.puzzle_ids=1"])
    trainer = trains(config, small_csv)
    assert trainer.stage.sign_sgd is not None
    assert trainer.stage.sign_sgd.embedding.table.any()  # it starts at zero
    assert preset.command.startswith("trm train ")
    assert all((preset.hardware, preset.time, preset.score))


def test_without_ema_the_averaged_weights_are_the_weights(small_csv: Path) -> None:
    config = override(PRESETS["sudoku-extreme-trm-mlp"].config, [*REDUCED, "ema=0"])
    trainer = trains(config, small_csv)
    for name, p in trainer.model.named_parameters():
        torch.testing.assert_close(trainer.ema.average[name], p.detach(), rtol=0, atol=0)


TINY = ModelConfig(width=16, heads=2, multiple=16, T=2, n=3)


def run(config: ModelConfig) -> tuple[torch.nn.Module, State]:
    torch.manual_seed(3)
    model = build(config, SPEC).eval()
    question = torch.randint(1, 7, (2, 12))
    with torch.no_grad():
        return model, model(model.start(2), question).state


def test_a_single_state_is_updated_n_plus_one_times() -> None:
    _, state = run(TINY.changed(memory="single"))
    torch.manual_seed(3)
    twin = build(TINY, SPEC).eval()
    question = torch.randint(1, 7, (2, 12))
    with torch.no_grad():
        x, y = twin.frame.embed(question, None), twin.start(2).y
        for _ in range(2 * (3 + 1)):
            y = twin.blocks(x + y)
    torch.testing.assert_close(state.y, y)
    assert state.z.numel() == 0


def test_scales_of_one_update_are_the_plain_model() -> None:
    _, plain = run(TINY.changed(n=1))
    _, scales = run(TINY.changed(n=1, memory="scales"))
    torch.testing.assert_close(scales.y, plain.y)
    torch.testing.assert_close(scales.z[:, 0], plain.z)


def test_the_one_step_gradient_changes_the_gradient_alone() -> None:
    _, full = run(TINY)
    _, one = run(TINY.changed(gradient="one_step"))
    torch.testing.assert_close(one.y, full.y)
    gradients = []
    for gradient in ("recursion", "one_step"):
        torch.manual_seed(3)
        model = build(TINY.changed(gradient=gradient), SPEC)
        question = torch.randint(1, 7, (2, 12))
        model(model.start(2), question).logits.square().sum().backward()
        gradients.append(dict(model.named_parameters())["frame.embedding"].grad)
    full_gradient, one_gradient = gradients
    assert full_gradient is not None
    assert one_gradient is not None
    assert full_gradient.any()
    assert not torch.allclose(full_gradient, one_gradient)


def test_hrm_is_trm_with_two_networks_and_the_one_step_gradient() -> None:
    hrm, state = run(TINY.changed(kind="hrm"))
    trm, same = run(TINY.changed(networks="separate", gradient="one_step"))
    assert isinstance(hrm, HRM)
    assert hrm.state_dict().keys() == trm.state_dict().keys()
    torch.testing.assert_close(state, same)


def test_the_direct_model_forgets_its_state() -> None:
    torch.manual_seed(3)
    model = build(TINY.changed(kind="direct"), SPEC).eval()
    question = torch.randint(1, 7, (2, 12))
    with torch.no_grad():
        first = model(model.start(2), question)
        second = model(first.state, question)
    torch.testing.assert_close(first.logits, second.logits)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "hrm", "memory": "single"}, "memory 'single' is a variant of kind 'trm'"),
        ({"kind": "direct", "memory": "scales"}, "memory 'scales' is a variant of kind 'trm'"),
        ({"memory": "single", "networks": "separate"}, "networks cannot be 'separate'"),
        ({"puzzle_ids": 1, "puzzle_tokens": 1, "puzzle_width": 17}, "puzzle_width 17 does not fit"),
    ],
)
def test_combinations_without_meaning_are_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        build(TINY.changed(**change), SPEC)
