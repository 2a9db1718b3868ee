"""Several networks that take turns at revising the same state.

A network that searches for an answer can get stuck in a state where some cells are wrong and support each other. A
network from another training run often leaves such a state, although it has never seen a state of another network.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trm.models.base import Output, State, join
from trm.models.config import ModelConfig
from trm.models.trm import TRM
from trm.tasks.base import Spec


class TurnsTRM(TRM):
    """`config.turns` whole networks. Each takes `config.turn_steps` supervision steps, then it is the next one's turn.

    The model itself is the network that begins; `others` are the rest, in order. A step costs as much as with one
    network. `State.steps` counts the supervision steps of each row, so the rows of a batch need not be at the same
    step.
    """

    def __init__(self, config: ModelConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        alone = config.changed(turns=1)
        self.others = nn.ModuleList(TRM(alone, spec) for _ in range(config.turns - 1))

    def start(self, batch: int) -> State:
        """The initial state of the network that begins, with no steps done."""
        state = super().start(batch)
        return state._replace(steps=state.y.new_zeros(batch, dtype=torch.long))

    def turn(self, steps: Tensor) -> Tensor:
        """The number of the network whose turn it is after `steps` [batch] steps, from 0. -> [batch]"""
        return steps // self.config.turn_steps % self.config.turns

    def forward(self, state: State, question: Tensor, ids: Tensor | None = None) -> Output:
        """As `TRM.forward`, with each row computed by the network whose turn it is."""
        assert state.steps is not None, "the state of networks that take turns counts its steps: begin with start()"
        turn = self.turn(state.steps)
        parts, places = [], []
        for number in sorted(set(turn.tolist())):
            rows = (turn == number).nonzero().squeeze(1)
            network = self.others[number - 1] if number else super().forward
            part = State(state.y[rows], state.z[rows])
            parts.append(network(part, question[rows], None if ids is None else ids[rows]))
            places.append(rows)
        back = torch.cat(places).argsort()  # from the order of `parts` to that of the batch
        resume = [part.resume for part in parts if part.resume is not None]
        return Output(
            join([part.state for part in parts]).take(back)._replace(steps=state.steps + 1),
            torch.cat([part.logits for part in parts])[back],
            torch.cat([part.halt for part in parts])[back],
            torch.cat(resume)[back] if resume else None,
        )


def unasked(config: ModelConfig, steps: int) -> str:
    """A remark for the user where `steps` are too few for every network to have its turn; else empty."""
    if steps >= config.round:
        return ""
    used = -(-steps // config.turn_steps)
    return (
        f"{steps} steps use only {used} of the {config.turns} networks, which take turns of {config.turn_steps} steps"
    )
