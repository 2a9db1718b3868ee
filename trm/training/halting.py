"""When a sequence halts: the rule with exploration that training uses, and the plain one."""

from __future__ import annotations

import torch
from torch import Tensor

from trm.models.base import Output


def wants_to_halt(output: Output, use_continue: bool, halt_logit: float = 0.0) -> Tensor:
    """TRM halts when q_halt > `halt_logit` (the paper's is 0); HRM, and TRM with the continue loss, when
    q_halt > q_continue. -> [batch] bool
    """
    if use_continue:
        assert output.resume is not None
        return output.halt > output.resume
    return output.halt > halt_logit


def halted(
    output: Output, steps: Tensor, max_steps: int, least: Tensor, use_continue: bool, halt_logit: float = 0.0
) -> Tensor:
    """Which sequences halt in training. -> [batch] bool

    Args:
        output: of the latest supervision step.
        steps: [batch], supervision steps done.
        max_steps: where every sequence halts.
        least: [batch], supervision steps before which a sequence may not halt by itself (see `exploration`).
        use_continue: whether the continue logit is trained.
        halt_logit: above which a sequence halts.
    """
    wants = wants_to_halt(output, use_continue, halt_logit) & (steps >= least)
    return wants | (steps >= max_steps)


def exploration(draws: Tensor, max_steps: int, probability: float) -> Tensor:
    """The fewest steps before halting: random in 2..max_steps with `probability`, else 0 (HRM, section 2.4).

    draws [batch, 2], uniform in [0, 1): the first decides whether to explore, the second for how long. -> [batch]
    """
    longest = (2 + draws[:, 1] * (max_steps - 1)).long().clamp(max=max_steps)
    return torch.where(draws[:, 0] < probability, longest, torch.zeros_like(longest))
