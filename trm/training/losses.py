"""Losses of one supervision step: cross-entropy on every scored cell, and the halting loss."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from trm.models.base import Output

LossName = Literal["softmax", "stablemax"]


class StepLoss(NamedTuple):
    """The losses of each sequence, and how right its answer is, [batch] each."""

    answer: Tensor  # mean cross-entropy over the sequence's scored cells
    halt: Tensor  # binary cross-entropy of the halting logit against `exact`
    exact: Tensor  # bool: every scored cell is right (true where none is scored)
    correct: Tensor  # share of scored cells that are right


def log_stablemax(logits: Tensor) -> Tensor:
    """log s(x) - log sum s(x) over the last axis, with s(x) = x + 1 for x >= 0 and 1 / (1 - x) below. Any shape.

    s grows linearly where exp explodes, so confident logits keep a gradient (Prieto et al., arXiv 2501.04697). Computed
    in float64, except on Apple's GPUs, which have only float32.
    """
    x = logits.float() if logits.device.type == "mps" else logits.double()
    s = torch.where(x < 0, 1 / (1 - x.clamp(max=0)), x + 1)
    return torch.log(s) - torch.log(s.sum(-1, keepdim=True))


def log_softmax(logits: Tensor) -> Tensor:
    """Log-probabilities over the last axis; logits [batch, cells, classes], result of the same shape.

    torch works on many cells at once only where the classes are not the last axis: a third of the time on a CPU.
    """
    return F.log_softmax(logits.mT, dim=-2).mT


def step_loss(
    output: Output,
    answer: Tensor,
    first_token: int,
    kind: LossName,
    target: Tensor | None = None,
) -> StepLoss:
    """The losses of a supervision step.

    Args:
        output: of the model.
        answer: [batch, cells] tokens; token 0 is not scored.
        first_token: the token that logits[..., 0] stands for.
        kind: of the cross-entropy.
        target: [batch, cells] tokens for the answer's loss, where they are not `answer`. `halt`, `exact` and `correct`
            always compare with `answer`.
    """
    scored, classes = answer != 0, (answer.long() - first_token).clamp(min=0)
    right = (output.logits.argmax(-1) == classes) & scored
    exact = right.sum(-1) == scored.sum(-1)
    halt = F.binary_cross_entropy_with_logits(output.halt, exact.to(output.halt.dtype), reduction="none")
    share = right.sum(-1) / scored.sum(-1).clamp(min=1)
    if target is not None:
        scored, classes = target != 0, (target.long() - first_token).clamp(min=0)
    # Unscored cells point at class 0, so that the index is legal; the mask takes them out again.
    log_p = log_stablemax(output.logits) if kind == "stablemax" else log_softmax(output.logits)
    nll = -log_p.gather(-1, classes.unsqueeze(-1)).squeeze(-1) * scored
    return StepLoss(nll.sum(-1) / scored.sum(-1).clamp(min=1), halt, exact, share)


def limited(loss: Tensor, limit: float) -> Tensor:
    """limit * (1 - exp(-loss / limit)): close to `loss` where that is small, and never above `limit`. Same shape.

    With an unbounded loss, a model that cannot find the answer spreads its probability over several candidates, however
    many steps it takes. With a limit, a wrong answer costs at most `limit`, so committing to one candidate lowers the
    expected loss if it is right often enough.
    """
    return limit * -torch.expm1(-loss / limit)
