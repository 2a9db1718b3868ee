"""The Hierarchical Reasoning Model (Wang et al., arXiv 2506.21734, section 2), in TRM's words.

Its high-level state z_H is y, its low-level state z_L is z, and the embedded question x is added to what the low-level
network reads. T cycles of the high level hold n of the low level each:

    z_L <- f_L(z_L + z_H + x)   n times, then   z_H <- f_H(z_H + z_L)

That is TRM's recursion with two networks instead of one, and with a gradient through the last call of each only (the
one-step gradient, section 2.3). The halting rule and its bootstrapped target for going on (Q-learning, section 2.4)
belong to training: `RunConfig(continue_loss=True)`.
"""

from __future__ import annotations

from trm.models.config import ModelConfig
from trm.models.trm import TRM
from trm.tasks.base import Spec


class HRM(TRM):
    """`config.layers` layers in each network, T high-level cycles of n low-level ones (published: 4, 2, 2)."""

    def __init__(self, config: ModelConfig, spec: Spec) -> None:
        super().__init__(config.model_copy(update={"networks": "separate", "gradient": "one_step"}), spec)
