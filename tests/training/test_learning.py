"""Losses, optimisers, weight averaging and halting, each against a formula written out independently."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from trm.adapt.model import AdaptModel
from trm.models import ModelConfig, Output, State, build
from trm.models.trm import Block
from trm.tasks.sudoku.task import Sudoku
from trm.training.ema import Ema
from trm.training.halting import exploration, halted
from trm.training.losses import LossName, log_stablemax, step_loss
from trm.training.optim import AdamAtan2, Muon, make_optimizers, schedule

NOTHING = State(torch.empty(0), torch.empty(0))


def brute_force_loss(logits: np.ndarray, answer: np.ndarray, first: int, kind: str) -> list[float]:
    """Mean negative log-likelihood over scored cells, one number a sequence, with plain loops."""

    def weight(x: float) -> float:
        if kind == "softmax":
            return math.exp(x)
        return x + 1 if x >= 0 else 1 / (1 - x)

    means = []
    for row, target in zip(logits.tolist(), answer.tolist(), strict=True):
        terms = []
        for cell, token in zip(row, target, strict=True):
            if token != 0:
                terms.append(-math.log(weight(cell[token - first]) / sum(weight(x) for x in cell)))
        means.append(sum(terms) / max(1, len(terms)))
    return means


@pytest.mark.parametrize("kind", ["softmax", "stablemax"])
@pytest.mark.parametrize("first", [0, 2])
def test_losses_agree_with_brute_force(kind: LossName, first: int) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4, 6, 5)) * 3
    answer = rng.integers(first, first + 5, (4, 6)) * (rng.random((4, 6)) < 0.7)
    answer[0] = 0  # nothing scored
    answer[1] = logits[1].argmax(-1) + first  # everything right
    if first == 0:
        answer[1][answer[1] == 0] = 1
        logits[1] = np.eye(5)[answer[1]] * 4
    halt = torch.tensor([0.3, -2.0, 0.0, 1.0], dtype=torch.float64)
    output = Output(NOTHING, torch.from_numpy(logits), halt)
    loss = step_loss(output, torch.from_numpy(answer), first, kind)
    np.testing.assert_allclose(loss.answer, brute_force_loss(logits, answer, first, kind), rtol=1e-6)
    assert loss.exact.tolist() == [True, True, False, False]
    targets = loss.exact.double()
    p = 1 / (1 + torch.exp(-halt))
    torch.testing.assert_close(loss.halt, -(targets * p.log() + (1 - targets) * (1 - p).log()))


def test_stablemax_is_a_distribution_and_stays_finite() -> None:
    logits = torch.tensor([[1e6, -1e6, 0.0], [0.0, 0.0, 0.0]], requires_grad=True)
    log_p = log_stablemax(logits)
    torch.testing.assert_close(log_p.exp().sum(-1), torch.ones(2, dtype=torch.float64))
    torch.autograd.backward(log_p.sum())
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_adam_atan2_follows_its_formula() -> None:
    rng = np.random.default_rng(1)
    start = rng.normal(size=3)
    weight = nn.Parameter(torch.from_numpy(start.copy()))
    optimizer = AdamAtan2([weight], lr=0.1, betas=(0.9, 0.95), weight_decay=0.2)
    p, m, v = start.copy(), np.zeros(3), np.zeros(3)
    for t in range(1, 6):
        gradient = rng.normal(size=3)
        weight.grad = torch.from_numpy(gradient)
        optimizer.step()
        p *= 1 - 0.1 * 0.2
        m = 0.9 * m + 0.1 * gradient
        v = 0.95 * v + 0.05 * gradient**2
        p -= 0.1 / (1 - 0.9**t) * np.arctan2(m, np.sqrt(v) / np.sqrt(1 - 0.95**t))
    np.testing.assert_allclose(weight.detach().numpy(), p, rtol=1e-12)


def test_ema_is_the_weighted_sum_of_the_past() -> None:
    model = nn.Linear(1, 1, bias=False)
    values = [0.5, 2.0, -1.0, 4.0]
    model.weight.data.fill_(values[0])
    ema = Ema(model, 0.9)
    for value in values[1:]:
        model.weight.data.fill_(value)
        ema.update(model)
    expected = 0.9**3 * values[0] + sum(0.1 * 0.9 ** (3 - i) * values[i] for i in (1, 2, 3))
    with ema.applied(model):
        assert model.weight.item() == pytest.approx(expected, rel=1e-5)
    assert model.weight.item() == values[-1]


def test_schedule_warms_up_then_falls_to_its_floor() -> None:
    factors = [schedule(step, 100, 10, 0.01) for step in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9] == 1.0
    assert all(a >= b for a, b in pairwise(factors[10:]))
    assert factors[100] == pytest.approx(0.01)
    assert {schedule(step, 100, 10, 1.0) for step in range(10, 100)} == {1.0}


def test_exploration_draws_two_to_the_maximum_with_the_given_probability() -> None:
    draws = torch.from_numpy(np.random.default_rng(0).random((20_000, 2)))
    least = exploration(draws, 16, 0.1)
    explored = least[least > 0]
    assert 0.09 < len(explored) / len(draws) < 0.11
    assert sorted(set(explored.tolist())) == list(range(2, 17))


def test_halting_waits_for_exploration_and_ends_at_the_limit() -> None:
    steps = torch.tensor([1, 3, 5, 4, 4])
    least = torch.tensor([0, 5, 5, 0, 0])
    output = Output(NOTHING, torch.empty(0), torch.tensor([1.0, 1, 1, -1, -1]), torch.tensor([0.0, 0, 2, -2, 0]))
    assert halted(output, steps, 5, least, use_continue=False).tolist() == [True, False, True, False, False]
    assert halted(output, steps, 6, least, use_continue=True).tolist() == [True, False, False, True, False]
    assert halted(output, steps, 6, least * 0, False, halt_logit=0.99).tolist() == [True, True, True, False, False]
    assert halted(output, steps, 6, least * 0, False, halt_logit=1.01).tolist() == [False] * 5


@pytest.mark.parametrize(("probability", "odds"), [(0.5, 1), (0.75, 3), (0.95, 19), (0.1, 1 / 9)])
def test_a_model_halts_from_its_own_probability(probability: float, odds: float) -> None:
    model = build(ModelConfig(width=8, heads=1, halt_probability=probability), Sudoku(2, 2).spec)
    assert model.halt_logit == pytest.approx(math.log(odds), abs=1e-12)
    assert math.exp(model.halt_logit) / (1 + math.exp(model.halt_logit)) == pytest.approx(probability)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon; 2.9 is the first")
def test_muon_agrees_with_torchs() -> None:
    """Which computes in bfloat16: so up to its rounding, on matrices of every shape, over several steps."""
    shapes = [(48, 48), (48, 48), (96, 48), (48, 96), (24, 8)]
    drawn = torch.Generator().manual_seed(0)
    ours = [torch.randn(shape, generator=drawn).requires_grad_() for shape in shapes]
    theirs = [p.detach().clone().requires_grad_() for p in ours]
    first = Muon(ours, lr=0.02, weight_decay=0.1)
    second = torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    began = [p.detach().clone() for p in ours]
    for _ in range(4):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn(a.shape, generator=drawn)
            b.grad = a.grad.clone()
        first.step()
        second.step()  # type: ignore[no-untyped-call]
    for a, b, start in zip(ours, theirs, began, strict=True):
        assert (a - b).norm() < 0.03 * (b - start).norm()


class Elsewhere(nn.Module):
    """A model whose block has another name than those of the package's."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Linear(4, 4)
        self.layer = Block(ModelConfig(width=8, heads=1, multiple=8), Sudoku(2, 2).spec)
        self.blocks = nn.Linear(4, 4)


@pytest.mark.parametrize(
    ("model", "matrices"),
    [
        (build(ModelConfig(mixer="groups", width=8, layers=2, multiple=8, positions="none"), Sudoku(2, 2).spec), 2 * 6),
        (build(ModelConfig(width=8, heads=1, multiple=8, networks="separate"), Sudoku(2, 2).spec), 2 * 2 * 4),
        (AdaptModel(8, 1, 2, 3, 2, 1), 5),
        (Elsewhere(), 4),
    ],
)
def test_muon_takes_the_matrices_of_blocks_and_adamw_the_rest(model: nn.Module, matrices: int) -> None:
    muon, adamw = make_optimizers(model, "muon", 0.1, (0.9, 0.95), 0.2)
    names = {id(p): name for name, p in model.named_parameters()}
    taken, rest = ([names[id(p)] for p in one.param_groups[0]["params"]] for one in (muon, adamw))
    assert (type(muon).__name__, type(adamw).__name__, len(taken)) == ("Muon", "AdamW", matrices)
    order = list(names.values())
    assert sorted(taken + rest) == sorted(order)
    block = "layer." if isinstance(model, Elsewhere) else "block"
    assert taken == [name for name in order if block in name and name.endswith("weight")]
    assert rest == [name for name in order if name not in taken]


def test_muon_makes_updates_orthogonal() -> None:
    p = torch.zeros(20, 60, requires_grad=True)
    p.grad = torch.randn(20, 60, generator=torch.Generator().manual_seed(1))
    Muon([p], lr=1.0, weight_decay=0.0).step()
    values = torch.linalg.svdvals(p.detach()) / (0.2 * 60**0.5)
    assert values.min() > 0.65
    assert values.max() < 1.25  # the iteration's fixed band
