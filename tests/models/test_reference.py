"""The package's TRM against the plain transcription of the paper in benchmarks/reference.py, gradients included."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from trm.models import ModelConfig, build
from trm.tasks.base import Spec
from trm.training.losses import step_loss

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from reference import ReferenceTRM, stablemax_loss

SPEC = Spec("plain", 3, 4, vocab=7, first_symbol=7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mixer", ["mlp", "attention"])
def test_two_steps_agree(mixer: str, dtype: torch.dtype) -> None:
    positions = "rope" if mixer == "attention" else "none"
    config = ModelConfig(mixer=mixer, width=128, heads=4, layers=2, T=2, n=3, positions=positions, puzzle_ids=0)
    torch.manual_seed(0)
    ours, theirs = build(config, SPEC).to(dtype), ReferenceTRM(mixer, 12, 7, T=2, n=3, width=128, heads=4).to(dtype)
    weights = ours.state_dict()
    theirs.load_state_dict({k: weights[k if k.startswith("blocks") else f"frame.{k}"] for k in theirs.state_dict()})
    question, answer = torch.randint(1, 7, (2, 5, 12)).unbind(0)
    state = ours.start(5).map(lambda part: part.to(dtype))
    y, z = state.y, state.z
    tolerance = 1e-9 if dtype == torch.float64 else 2e-4
    for _ in range(2):
        output = ours(state, question)
        y, z, logits, halt = theirs(ours.frame.embed(question, None), y, z)
        ours.zero_grad()
        theirs.zero_grad()
        torch.autograd.backward(step_loss(output, answer, 0, "stablemax").answer.mean() + output.halt.sum())
        torch.autograd.backward(stablemax_loss(logits, answer) + halt.sum(), inputs=list(theirs.parameters()))
        torch.testing.assert_close(output.logits, logits, rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(output.halt, halt, rtol=tolerance, atol=tolerance)
        grads = {name: p.grad for name, p in ours.named_parameters()}
        for name, p in theirs.named_parameters():
            grad = grads[name if name.startswith("blocks") else f"frame.{name}"]
            assert grad is not None
            assert p.grad is not None
            assert (grad - p.grad).abs().max() <= 5 * tolerance * p.grad.abs().max(), name
        state, y, z = output.state.detach(), y.detach(), z.detach()
