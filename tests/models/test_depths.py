"""Networks of different depth: HRM with any two depths against a plain transcription of its paper in float64."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from trm.errors import BadInput
from trm.models import ModelConfig, build
from trm.models.config import layers_in_words
from trm.store.convert import from_published, to_published
from trm.tasks.base import Spec
from trm.training.losses import step_loss

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from reference import Block, stablemax_loss

SPEC = Spec("plain", 3, 4, vocab=7, first_symbol=7)
DEPTHS = [(1, 3), (3, 1), (2, 2)]


def config(depths: tuple[int, int], **change: object) -> ModelConfig:
    values = {"kind": "hrm", "mixer": "attention", "width": 64, "heads": 4, "T": 2, "n": 3, "layers": depths, **change}
    return ModelConfig.validated(values)


class PlainHRM(nn.Module):
    """HRM (arXiv 2506.21734, section 2): T times n updates by f_L and one by f_H; the last of each carry gradient."""

    def __init__(self, depths: tuple[int, int], T: int, n: int) -> None:
        super().__init__()
        self.T, self.n = T, n
        self.blocks, self.answer_blocks = (
            nn.Sequential(*(Block("attention", 64, 4, 12) for _ in range(depth))) for depth in depths
        )

    def forward(self, x: Tensor, high: Tensor, low: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            for update in range(self.T * self.n - 1):
                low = self.blocks(low + high + x)
                if (update + 1) % self.n == 0:
                    high = self.answer_blocks(high + low)
        low = self.blocks(low + high + x)
        return self.answer_blocks(high + low), low


@pytest.mark.parametrize("depths", DEPTHS, ids=str)
def test_hrm_of_any_depths_is_that_of_the_paper(depths: tuple[int, int]) -> None:
    torch.manual_seed(0)
    ours = build(config(depths), SPEC).double()
    theirs = PlainHRM(depths, T=2, n=3).double()
    weights = ours.state_dict()
    theirs.load_state_dict({name: weights[name] for name in theirs.state_dict()})
    question, answer = torch.randint(1, 7, (2, 5, 12)).unbind(0)
    state = ours.start(5).map(Tensor.double)
    high, low = state.y, state.z
    for _ in range(2):
        output = ours(state, question)
        high, low = theirs(ours.frame.embed(question, None), high, low)
        state = output.state.detach()
        torch.testing.assert_close((output.state.y, output.state.z), (high, low), rtol=0, atol=1e-12)
        ours.zero_grad()
        theirs.zero_grad()
        torch.autograd.backward(step_loss(output, answer, 0, "stablemax").answer.mean())
        torch.autograd.backward(stablemax_loss(ours.frame.read(high), answer), inputs=list(theirs.parameters()))
        mine = dict(ours.named_parameters())
        for name, parameter in theirs.named_parameters():
            torch.testing.assert_close(mine[name].grad, parameter.grad, rtol=0, atol=1e-12)
        high, low = high.detach(), low.detach()


@pytest.mark.parametrize("depths", DEPTHS, ids=str)
def test_a_published_checkpoint_of_any_depths_is_read(depths: tuple[int, int]) -> None:
    torch.manual_seed(1)
    model = build(config(depths, puzzle_ids=1, puzzle_width=64, puzzle_tokens=1), SPEC)
    tensors = to_published(model.config, model.state_dict(), "_orig_mod.model.inner.")
    found = from_published(tensors, SPEC, heads=4, T=2, n=3)
    assert found.config.depths == depths
    assert found.config.layers == (depths[0] if depths[0] == depths[1] else depths)
    build(found.config, SPEC).load_state_dict(found.state)


def test_depths_are_for_two_networks() -> None:
    pair = ModelConfig.validated({"layers": [2, 4], "networks": "separate"})
    assert pair.depths == (2, 4)
    assert layers_in_words(pair.layers) == "2 and 4 layers"
    assert ModelConfig(layers=3).depths == (3, 3)
    assert ModelConfig.validated({"layers": "2,4", "kind": "hrm"}).depths == (2, 4)
    with pytest.raises(BadInput, match="set networks=separate"):
        ModelConfig.validated({"layers": [2, 4]})


@pytest.mark.parametrize("wrong", [0, 1001, "", "2,", "2,4,6", [], [2], [2, 4, 6], [0, 4], 1.5, True, None, "two"])
def test_layers_that_cannot_be(wrong: object) -> None:
    with pytest.raises((BadInput, ValueError), match="write the number of layers"):
        ModelConfig.validated({"layers": wrong, "networks": "separate"})
