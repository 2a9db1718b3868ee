"""Costs against what can be counted by hand, and `trm describe` of every preset."""

from __future__ import annotations

import json
import os

import pytest
import torch
from conftest import Call

from trm.analysis import describe
from trm.analysis.cost import forward_cost, memory, parameters, published_count, saved_bytes, training_cost
from trm.analysis.placement import OPTIONS, placement
from trm.models import ModelConfig, build
from trm.tasks import get_task
from trm.training.config import override
from trm.training.presets import PRESETS, PUBLISHED

D, TOKENS, HIDDEN = 512, 97, 1536


def by_hand(mixer: int) -> int:
    """FLOPs of a paper-size forward step on Sudoku; `mixer` are those of one layer's mixing."""
    call = 2 * (mixer + 2 * TOKENS * D * 3 * HIDDEN)  # two layers, each with a SwiGLU of three matrices
    return 3 * 7 * call + 2 * 81 * D * 11 + 2 * D * 2  # T (n + 1) calls, the answer's head, the halting head


def test_flops_of_the_published_models() -> None:
    attention = 2 * TOKENS * D * 4 * D + 2 * 2 * TOKENS * TOKENS * D
    tokens_hidden = 512  # 97 * 4 * 2 / 3 rounded up to a multiple of 256
    mlp = 2 * D * TOKENS * 3 * tokens_hidden
    sudoku = get_task("sudoku").spec
    assert forward_cost(PRESETS["sudoku-extreme-trm-attention"].config.model, sudoku).flops == by_hand(attention)
    assert forward_cost(PRESETS["sudoku-extreme-trm-mlp"].config.model, sudoku).flops == by_hand(mlp)


def test_training_adds_a_backward_pass_through_the_last_recursion() -> None:
    run = PRESETS["sudoku-extreme-trm-mlp"].config
    sudoku = get_task("sudoku").spec
    forward, training = forward_cost(run.model, sudoku).flops, training_cost(run, sudoku).flops
    # Two products for each of the forward's, in one recursion of three; none toward the first input.
    assert training == pytest.approx(forward * (1 + 2 / 3), rel=1e-3)
    hrm = PRESETS["sudoku-extreme-hrm"].config
    without = training_cost(override(hrm, ["continue_loss=false"]), sudoku).flops
    assert training_cost(hrm, sudoku).flops == without + forward_cost(hrm.model, sudoku).flops


def test_rows_of_a_table_that_nobody_asks_for_are_not_moved() -> None:
    sudoku = get_task("sudoku").spec
    few, many = (forward_cost(ModelConfig(width=64, heads=4, puzzle_ids=count), sudoku) for count in (1, 100_000))
    assert few == many
    assert few.bytes < forward_cost(ModelConfig(width=128, heads=4, puzzle_ids=1), sudoku).bytes


def test_memory_counts_what_training_holds() -> None:
    run = override(PRESETS["sudoku-extreme-trm-mlp"].config, ["batch=6", "model.puzzle_ids=1000"])
    sudoku = get_task("sudoku").spec
    held = memory(run, sudoku)
    assert held.embeddings == 1000 * 512 * 4
    assert held.weights == parameters(run.model, sudoku) * 4 * 5  # weights, gradients, two moments, the average
    assert memory(override(run, ["ema=0"]), sudoku).weights == parameters(run.model, sudoku) * 4 * 4
    assert memory(run, sudoku, processes=2).activations == held.activations // 2
    assert memory(override(run, ["micro=2"]), sudoku).activations == held.activations // 3


def test_saved_activations_are_what_autograd_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the storages that a real forward pass of plain torch keeps, on a model small enough to run."""
    monkeypatch.setenv("TRM_FUSED", "0")
    small = ["model.width=16", "model.multiple=16", "model.T=1", "model.puzzle_ids=0"]
    run = override(PRESETS["sudoku-extreme-trm-mlp"].config, small)
    sudoku = get_task("sudoku").spec
    model = build(run.model, sudoku)

    def real(puzzles: int) -> int:
        kept: dict[int, torch.Tensor] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            output = model(model.start(puzzles), torch.ones(puzzles, 81, dtype=torch.uint8))
            assert output.logits.requires_grad
        own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
        return sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in own)

    # The loss keeps a little more.
    assert saved_bytes(run, sudoku) == pytest.approx(real(3) / 3, rel=0.03)
    assert saved_bytes(run, sudoku) == pytest.approx(real(2) - real(1), rel=0.03)


PUBLISHED_MILLIONS = {"mlp": 5.03, "attention": 6.83, "hrm": 27.3, "direct": 27.3}


@pytest.mark.parametrize("name", sorted(PRESETS.keys() - {"custom"}))  # which is defined by its data
def test_every_preset_describes_itself(call: Call, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(describe, "placement", lambda *_: {"why": "not measured"})  # it starts processes
    done = call("describe", name, "--json")
    about = json.loads(done.out)
    assert (done.code, about["preset"], about["command"]) == (0, name, f"trm train {name}")
    run, spec = PRESETS[name].config, get_task(PRESETS[name].config.task).spec
    flops = [part.window * training_cost(run, get_task(part.task).spec).flops for part in run.plan()]
    each = sum(one * share for one, share in zip(flops, run.shares(), strict=True))
    expected = run.updates * run.batch * each
    assert about["training"]["total_flops"] == pytest.approx(expected, rel=1e-6)
    assert about["seconds"]["training"] == pytest.approx(about["training"]["total_flops"] / about["rate"])
    assert (about["training"]["updates"], "steps" in about["training"]) == (run.updates, False)
    if PRESETS[name] in PUBLISHED:
        kind = run.model.kind if run.model.kind != "trm" else run.model.mixer
        assert published_count(run.model, spec) / 1e6 == pytest.approx(PUBLISHED_MILLIONS[kind], abs=0.05)


def test_describe_in_words(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(describe, "placement", lambda *_: {"why": "not measured"})  # it starts processes
    shown = " ".join(call("describe", "arc-agi-1-trm").out.split())
    for words in ("width 512, 2 layers, T=3, n=4", "6,829,058 trained", "410,010,112 numbers", "4 H100", "44.6 %"):
        assert words in shown
    changed = call("describe", "sudoku-mini", "--set", "model.width=64").out
    assert "width 64" in changed
    refused = call("describe", "sudoku-mini", "--set", "width=64")
    assert (refused.code, refused.out) == (2, "")
    assert call("describe", "sudoku-maxi").err.startswith("trm: no preset 'sudoku-maxi'; did you mean sudoku-mini")


# Precision and placement


CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("gain", "precision", "why"),
    [
        (2.5, "bfloat16", "bfloat16 is measured 2.50 times as fast as float32 at width 48"),
        (0.8, "float32", "bfloat16 is measured 0.80 times as fast as float32 at width 48; it must be 1.15 times"),
        (0.0, "float32", "this processor has no bfloat16 products"),
    ],
)
def test_the_precision_that_auto_chooses_and_why(
    monkeypatch: pytest.MonkeyPatch, gain: float, precision: str, why: str
) -> None:
    monkeypatch.delenv("TRM_BFLOAT16", raising=False)
    monkeypatch.setattr(describe, "gain", lambda device, width: gain)
    found = describe.precision_facts(PRESETS["sudoku-mini"].config, CPU)
    assert found == {"precision": precision, "gain": gain or None, "why": why}


def test_a_precision_that_is_set_or_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    run = PRESETS["sudoku-mini"].config
    for precision in ("float32", "bfloat16", "float64", "tf32"):
        found = describe.precision_facts(override(run, [f"precision={precision}"]), CPU)
        assert found == {"precision": precision, "gain": None, "why": "as set"}
    monkeypatch.setenv("TRM_BFLOAT16", "0")
    found = describe.precision_facts(run, CPU)
    assert found == {"precision": "float32", "gain": None, "why": "bfloat16 is turned off by TRM_BFLOAT16=0"}


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float64", "tf32"])
def test_matrix_rates(precision: str) -> None:
    before = torch.get_float32_matmul_precision()
    assert describe.matrix_rate(CPU, precision, 0.01) > 1e8
    assert torch.get_float32_matmul_precision() == before


SMALL = ["--set", "task=sudoku-4x4", "--set", "model.width=8", "--set", "precision=float32"]


def test_placement_is_measured(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr("trm.analysis.placement.SECONDS", 0.01)
    about = json.loads(call("describe", "sudoku-mini", *SMALL, "--json").out)
    rates = about["placement"]["puzzle_steps_per_second"]
    assert rates.keys() == OPTIONS.keys()
    assert min(rates.values()) > 0
    assert about["placement"]["faster"] == max(rates, key=lambda name: rates[name])
    assert about["placement"]["options"] == OPTIONS[about["placement"]["faster"]]
    assert about["precision"] == {"precision": "float32", "gain": None, "why": "as set"}
    monkeypatch.setattr(describe, "placement", lambda *_: about["placement"])  # measured once is enough
    shown = " ".join(call("describe", "sudoku-mini", *SMALL).out.split())
    for words in ("float32: as set", "in float32 matrix products (measured)", "is faster: two processes of one thread"):
        assert words in shown


def test_placement_says_why_it_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    run = PRESETS["sudoku-mini"].config
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert "one puzzle-step takes about" in placement(run, "float32", CPU, 1e8)["why"]
    assert "batch 15" in placement(override(run, ["batch=15", "micro=5"]), "float32", CPU, 1e11)["why"]
    assert "GPU" in placement(run, "float32", torch.device("cuda"), 1e11)["why"]
    monkeypatch.setattr("trm.analysis.placement.CODE", "")
    assert "did not start" in placement(run, "float32", CPU, 1e11)["why"]
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert "one core" in placement(run, "float32", CPU, 1e11)["why"]
