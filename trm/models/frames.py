"""Frames: they embed the question as x, hold the initial y and z, and read the answer and the halting logit from y."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trm.models.base import State
from trm.models.config import ModelConfig
from trm.models.layers import Linear, truncated_normal
from trm.models.mixers import FRAMES, token_count
from trm.tasks.base import Spec


class PuzzleEmbedding(nn.Module):
    """A table of puzzle embeddings, one row for each puzzle; a batch uses few of them.

    The table is a buffer, so neither the dense optimiser nor the weight average sees it. In training each forward pass
    copies its rows to leaf tensors, kept in `used`, and `optim.SignSgd` applies their gradients to the table.
    """

    table: Tensor  # [puzzle ids, puzzle width]

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.register_buffer("table", torch.zeros(config.puzzle_ids, config.puzzle_width))
        self.pad = config.puzzle_tokens * config.width - config.puzzle_width
        self.shape = (config.puzzle_tokens, config.width)
        # Of each forward pass since the last update: ids [batch] and their rows [batch, puzzle width].
        self.used: list[tuple[Tensor, Tensor]] = []

    def forward(self, ids: Tensor) -> Tensor:
        """[batch] -> [batch, puzzle tokens, width]"""
        rows = self.table[ids]
        if self.training and torch.is_grad_enabled():
            rows = rows.detach().requires_grad_()
            self.used.append((ids, rows))
        return F.pad(rows, (0, self.pad)).view(-1, *self.shape)


class TokenFrame(nn.Module):
    """The paper's frame: one vector for each token, after those of a puzzle embedding where there is one. The halting
    logit is read at position 0.
    """

    start_y: Tensor
    start_z: Tensor
    features: Tensor | None

    def __init__(self, config: ModelConfig, spec: Spec) -> None:
        super().__init__()
        self.tokens = token_count(config, spec)
        self.cells = spec.cells
        self.first_token = 0
        width = config.width
        self.scale = math.sqrt(width)
        described = len(spec.features[0]) if spec.features else spec.vocab
        self.embedding = nn.Parameter(truncated_normal((described, width), 1 / self.scale))
        features = torch.tensor(spec.features) if spec.features else None
        self.register_buffer("features", features, persistent=False)  # of each token, [vocab, features]
        self.puzzle = PuzzleEmbedding(config) if config.puzzle_ids else None
        learned = config.positions == "learned"
        self.positions = nn.Parameter(truncated_normal((self.tokens, width), 1 / self.scale)) if learned else None
        self.head = Linear(width, spec.vocab)
        self.halt = halting_head(width, 2)
        # Drawn once, kept with the weights, never trained.
        self.register_buffer("start_y", truncated_normal((width,), 1.0))
        self.register_buffer("start_z", truncated_normal((width,), 1.0))
        self.hint = Linear(width, config.hints) if config.hints else None

    def embed(self, question: Tensor, ids: Tensor | None) -> Tensor:
        """question [batch, cells], ids [batch] -> x [batch, tokens, width]"""
        vectors = self.embedding if self.features is None else self.features.to(self.embedding) @ self.embedding
        x = vectors[question]
        if self.puzzle is not None:
            if ids is None:
                if len(self.puzzle.table) > 1:
                    raise ValueError("this model has an embedding for each puzzle: give the ids of the batch's puzzles")
                ids = question.new_zeros(len(question))  # all puzzles share one embedding, as in Sudoku and Maze
            x = torch.cat((self.puzzle(ids), x), dim=1)
        if self.positions is not None:
            x = (x + self.positions) / math.sqrt(2)
        return x * self.scale

    def start(self, batch: int) -> State:
        shape = (batch, self.tokens, self.start_y.numel())
        return State(self.start_y.expand(shape), self.start_z.expand(shape))

    def read(self, y: Tensor) -> Tensor:
        """-> logits [batch, cells, vocab]"""
        logits: Tensor = self.head(y[:, self.tokens - self.cells :])
        return logits

    def read_hints(self, z: Tensor) -> Tensor | None:
        """-> logits [batch, cells, kinds of hint]"""
        return None if self.hint is None else self.hint(z[:, self.tokens - self.cells :])

    def read_halt(self, y: Tensor) -> Tensor:
        """-> halt and continue logits [batch, 2]"""
        logits: Tensor = self.halt(y[:, 0])
        return logits


class GridFrame(TokenFrame):
    """A `TokenFrame` that reads the halting logit from all cells, for mixers in which no cell sees all others."""

    def __init__(self, config: ModelConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        self.halt = halting_head(2 * config.width, 2)

    def read_halt(self, y: Tensor) -> Tensor:
        """-> halt and continue logits [batch, 2]"""
        logits: Tensor = self.halt(pooled(y))
        return logits


class SymbolFrame(nn.Module):
    """One vector for each (cell, symbol) pair. x says whether the cell is unknown, or this symbol is given there, or
    another one is.
    """

    start_y: Tensor
    start_z: Tensor

    def __init__(self, config: ModelConfig, spec: Spec) -> None:
        super().__init__()
        self.cells, self.symbols, self.first_token = spec.cells, spec.symbols, spec.first_symbol
        width = config.width
        self.roles = nn.Parameter(truncated_normal((3, width), 1.0))  # unknown, this symbol, another symbol
        self.head = Linear(width, 1)
        self.halt = halting_head(2 * width, 2)
        self.register_buffer("start_y", truncated_normal((width,), 1.0))
        self.register_buffer("start_z", truncated_normal((width,), 1.0))

    def embed(self, question: Tensor, ids: Tensor | None) -> Tensor:
        """question [batch, cells] -> x [batch, cells, symbols, width]; `ids` are not used"""
        symbol = torch.arange(self.first_token, self.first_token + self.symbols, device=question.device)
        given = (question >= self.first_token).unsqueeze(-1)
        role = torch.where(question.unsqueeze(-1) == symbol, 1, 2) * given
        return self.roles[role]

    def start(self, batch: int) -> State:
        shape = (batch, self.cells, self.symbols, self.start_y.numel())
        return State(self.start_y.expand(shape), self.start_z.expand(shape))

    def read(self, y: Tensor) -> Tensor:
        """-> logits [batch, cells, symbols]"""
        logits: Tensor = self.head(y).squeeze(-1)
        return logits

    def read_halt(self, y: Tensor) -> Tensor:
        """-> halt and continue logits [batch, 2]"""
        # The mean shows how far the grid is solved, the maximum whether any single cell signals a conflict.
        flat = y.flatten(1, 2)
        logits: Tensor = self.halt(pooled(flat))
        return logits


def pooled(h: Tensor) -> Tensor:
    """Mean and maximum over cells, [batch, cells, width] -> [batch, 2 width], so that their gradients are cheap.

    That of a sum is a view. `max` sends it to one of equal maxima; that of `amax`, which shares it out, takes eight
    times as long on a CPU. Cells with equal states get equal gradients of the weights either way.
    """
    greatest = h.max(1).values if torch.is_grad_enabled() else h.amax(1)
    return torch.cat((h.sum(1) / h.shape[1], greatest), dim=-1)


def halting_head(width: int, outputs: int) -> Linear:
    """A head that says "do not halt" before training: zero weights, bias -5 (published initialisation)."""
    head = Linear(width, outputs, bias=True)
    nn.init.zeros_(head.weight)
    nn.init.constant_(head.bias, -5.0)
    return head


Frame = TokenFrame | SymbolFrame


KINDS: dict[str, type[TokenFrame] | type[SymbolFrame]] = {
    "tokens": TokenFrame,
    "grid": GridFrame,
    "symbols": SymbolFrame,
}


def make_frame(config: ModelConfig, spec: Spec) -> Frame:
    """The frame of the configuration's mixer."""
    return KINDS[FRAMES[config.mixer]](config, spec)
