"""The baseline of both papers: a plain transformer of HRM's size that answers in one pass ("direct prediction")."""

from __future__ import annotations

from torch import Tensor

from trm.models.base import State
from trm.models.config import ModelConfig
from trm.models.trm import TRM
from trm.tasks.base import Spec


class Direct(TRM):
    """y <- f(x): no recursion and no memory, so every supervision step is the same; train it with `max_steps=1`.

    HRM's two networks of 4 layers make `config.layers` = 8 here.
    """

    def __init__(self, config: ModelConfig, spec: Spec) -> None:
        super().__init__(config.model_copy(update={"T": 1, "networks": "shared", "gradient": "recursion"}), spec)

    def start(self, batch: int) -> State:
        """y is kept for its shape only; z [batch, 0, ...] is empty."""
        y, z = super().start(batch)
        return State(y, z[:, :0])

    def recursion(self, x: Tensor, state: State) -> State:
        return State(self.blocks(x), state.z)
