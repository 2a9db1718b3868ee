"""Several networks that take turns at revising one and the same state.

A model that searches gets stuck where some of its cells are wrong and hold each other up. It is so with its own weights
only: those of another training leave such a place again, though they have never seen a state that was not their own.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trm.models.base import Output, State
from trm.models.config import ModelConfig
from trm.models.trm import TRM
from trm.tasks.base import Spec


class TurnsTRM(TRM):
    """`config.turns` whole networks; each takes `config.turn_steps` supervision steps, then the next one goes on.

    The model is itself the network that begins; `others` are the rest, in their order. A step costs what one network's
    does. How many steps there have been is the last number of each row of z, [batch, everything + 1] here, so that
    puzzles of a batch may have come as far as they like.
    """

    def __init__(self, config: ModelConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        alone = config.changed(turns=1)
        self.others = nn.ModuleList(TRM(alone, spec) for _ in range(config.turns - 1))

    def start(self, batch: int) -> State:
        """The state of the network that begins, and no steps done."""
        y, z = super().start(batch)
        return State(y, counted(z, z.new_zeros(batch)))

    def turn(self, steps: Tensor) -> Tensor:
        """Whose turn it is after so many `steps` [batch]. -> [batch]"""
        # A start with noise has some in this number too, and comes a step or two sooner or later to the next turn.
        return (steps.clamp(min=0) // self.config.turn_steps).long() % self.config.turns

    def forward(self, state: State, question: Tensor, ids: Tensor | None = None) -> Output:
        """As TRM.forward, each row by the network whose turn it is."""
        y, steps = state.y, state.z[:, -1]
        z, turn = state.z[:, :-1].reshape(y.shape), self.turn(steps)
        parts, places = [], []
        for number in sorted(set(turn.tolist())):
            rows = (turn == number).nonzero().squeeze(1)
            network = self.others[number - 1] if number else super().forward
            parts.append(network(State(y[rows], z[rows]), question[rows], None if ids is None else ids[rows]))
            places.append(rows)
        back = torch.cat(places).argsort()

        def joined(tensors: list[Tensor]) -> Tensor:
            return torch.cat(tensors)[back]

        resume = [part.resume for part in parts if part.resume is not None]
        return Output(
            State(
                joined([part.state.y for part in parts]), counted(joined([part.state.z for part in parts]), steps + 1)
            ),
            joined([part.logits for part in parts]),
            joined([part.halt for part in parts]),
            joined(resume) if resume else None,
        )


def latent(config: ModelConfig, z: Tensor) -> Tensor:
    """The numbers of a state's z alone, without how many steps there have been."""
    return z[:, :-1] if config.turns > 1 else z


def unasked(config: ModelConfig, steps: int) -> str:
    """What to say where so few `steps` are asked for that not every network has its turn; else nothing."""
    if steps >= config.round:
        return ""
    asked = -(-steps // config.turn_steps)
    return f"{steps} steps ask {asked} of the {config.turns} networks, which take turns of {config.turn_steps}"


def counted(z: Tensor, steps: Tensor) -> Tensor:
    """z [batch, ...] and steps [batch] in one tensor [batch, everything + 1]."""
    return torch.cat((z.flatten(1), steps.unsqueeze(1).to(z.dtype)), dim=1)
