"""The Tiny Recursive Model (Jolicoeur-Martineau, arXiv 2510.04871, figure 3): one tiny network revises y and z."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trm.models.base import Output, State
from trm.models.config import ModelConfig
from trm.models.frames import Frame, TokenFrame, make_frame
from trm.models.kernels.fused import swiglu_norm
from trm.models.layers import RecursiveBlock, SwiGLU
from trm.models.mixers import MIXERS
from trm.models.precision import Precision, in_precision
from trm.tasks.base import Spec


class Block(RecursiveBlock):
    """A mixer, then a SwiGLU, each with a residual connection and a norm after it."""

    def __init__(self, config: ModelConfig, spec: Spec) -> None:
        super().__init__()
        self.mixer = MIXERS[config.mixer](config, spec)
        self.mlp = SwiGLU(config.width, config.expansion, config.multiple)

    def forward(self, h: Tensor) -> Tensor:
        return swiglu_norm(self.mixer(h), self.mlp.w_in.weight, self.mlp.w_out.weight)


class TRM(nn.Module):
    """One supervision step: T recursions of n latent updates and one answer update. Only the last carries gradient.

    Args:
        config: sizes and the mixer's name.
        spec: the task's token layout.
    """

    def __init__(self, config: ModelConfig, spec: Spec) -> None:
        super().__init__()
        self.config = config
        self.frame: Frame = make_frame(config, spec)
        self.first_token = self.frame.first_token
        self.halt_logit = config.halt_logit
        self.precision: Precision = "float32"  # of matrix products, see trm/models/precision.py

        def network(layers: int) -> nn.Sequential:
            return nn.Sequential(*(Block(config, spec) for _ in range(layers)))

        below, above = config.depths
        self.blocks = network(below)  # f, or f_L
        self.answer_blocks = None if config.networks == "shared" else network(above)
        # With the one-step gradient only the last latent update is in the graph.
        self.frozen = config.n - 1 if config.gradient == "one_step" else 0

    def start(self, batch: int) -> State:
        return self.frame.start(batch)

    def recursion(self, x: Tensor, state: State) -> State:
        """n times z <- f(x + y + z), then y <- f(y + z). x [batch, tokens, width], or with an axis for symbols."""
        y, z = state.y, state.z
        context = x + y
        with torch.no_grad():
            for _ in range(self.frozen):
                z = self.blocks(context + z)
        for _ in range(self.frozen, self.config.n):
            z = self.blocks(context + z)
        return State(self.answer(y + z), z)

    def answer(self, h: Tensor) -> Tensor:
        """The network that updates y: f, or f_H where it is a separate one. Same shape as `h`."""
        out: Tensor = (self.answer_blocks or self.blocks)(h)
        return out

    def forward(self, state: State, question: Tensor, ids: Tensor | None = None) -> Output:
        """question [batch, cells] tokens (any integer type), ids [batch] where the model has puzzle embeddings."""
        x = self.frame.embed(question.long(), ids)
        with in_precision(self.precision, question.device):
            with torch.no_grad():
                for _ in range(self.config.T - 1):
                    state = self.recursion(x, state)
            state = self.recursion(x, state)
        halt, resume = self.frame.read_halt(state.y).unbind(-1)
        hints = self.frame.read_hints(state.z) if isinstance(self.frame, TokenFrame) else None
        return Output(state, self.frame.read(state.y), halt, resume, hints)
