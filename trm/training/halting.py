"""When a sequence stops: the rule used in training, with exploration, and the one used in answering."""

from __future__ import annotations

import torch
from torch import Tensor

from trm.models.base import Output


def wants_to_halt(output: Output, use_continue: bool) -> Tensor:
    """[batch] bool: TRM halts when q_halt > 0; HRM, and TRM with the continue loss, when q_halt > q_continue."""
    if use_continue:
        assert output.resume is not None
        return output.halt > output.resume
    return output.halt > 0


def halted(output: Output, steps: Tensor, max_steps: int, least: Tensor, use_continue: bool) -> Tensor:
    """Which sequences stop in training, after `steps` [batch] supervision steps of at most `max_steps`.

    `least` [batch]: steps a sequence must have done before it may stop of its own accord (see `exploration`).
    """
    wants = wants_to_halt(output, use_continue) & (steps >= least)
    return wants | (steps >= max_steps)


def exploration(draws: Tensor, max_steps: int, probability: float) -> Tensor:
    """Fewest steps before halting: 2..max_steps at random with `probability`, else 0 (HRM, section 2.4).

    draws [batch, 2] are uniform in [0, 1): the first says whether to explore, the second how long.
    """
    longest = (2 + draws[:, 1] * (max_steps - 1)).long().clamp(max=max_steps)
    return torch.where(draws[:, 0] < probability, longest, torch.zeros_like(longest))
