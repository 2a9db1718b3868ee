"""Losses of one supervision step: cross-entropy on every scored cell, and the halting loss."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from trm.models.base import Output

LossName = Literal["softmax", "stablemax"]


class StepLoss(NamedTuple):
    """Per-sequence losses and what they were measured on, [batch] each."""

    answer: Tensor  # mean cross-entropy over the sequence's scored cells
    halt: Tensor  # binary cross-entropy of the halting logit against `exact`
    exact: Tensor  # bool: every scored cell right (true where none is scored)
    correct: Tensor  # share of scored cells that are right


def log_stablemax(logits: Tensor) -> Tensor:
    """log s(x) - log sum s(x), s(x) = x + 1 for x >= 0 and 1 / (1 - x) below. Any shape, last axis.

    In float64, but in float32 on Apple's GPUs, which have no other.

    Grows linearly where exp explodes, so confident logits keep a gradient (Prieto et al., arXiv 2501.04697).
    """
    x = logits.float() if logits.device.type == "mps" else logits.double()
    s = torch.where(x < 0, 1 / (1 - x.clamp(max=0)), x + 1)
    return torch.log(s) - torch.log(s.sum(-1, keepdim=True))


def step_loss(
    output: Output, answer: Tensor, first_token: int, kind: LossName, target: Tensor | None = None
) -> StepLoss:
    """Losses for `answer` [batch, cells] tokens; token 0 is not scored. The answer's loss is for `target` [batch,
    cells] where there is one; `exact` and `correct` are not.
    """
    scored, classes = answer != 0, (answer.long() - first_token).clamp(min=0)
    right = (output.logits.argmax(-1) == classes) & scored
    exact = right.sum(-1) == scored.sum(-1)
    halt = F.binary_cross_entropy_with_logits(output.halt, exact.to(output.halt.dtype), reduction="none")
    share = right.sum(-1) / scored.sum(-1).clamp(min=1)
    if target is not None:
        scored, classes = target != 0, (target.long() - first_token).clamp(min=0)
    # Unscored cells point at class 0 to have a legal index; the mask takes them out again.
    log_p = log_stablemax(output.logits) if kind == "stablemax" else F.log_softmax(output.logits, dim=-1)
    nll = -log_p.gather(-1, classes.unsqueeze(-1)).squeeze(-1) * scored
    return StepLoss(nll.sum(-1) / scored.sum(-1).clamp(min=1), halt, exact, share)


def limited(loss: Tensor, limit: float) -> Tensor:
    """limit * (1 - exp(-loss / limit)): as `loss` where that is small, and no more than `limit` however wrong.

    An unbounded loss makes a model that cannot see the answer hedge, and hedging is all that it does from then on. With
    a limit a sequence counts the less the worse it is, so that trying one possibility pays where it is right often
    enough. Same shape.
    """
    return limit * -torch.expm1(-loss / limit)
