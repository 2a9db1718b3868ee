"""Optimisers and the learning-rate schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal, overload

import torch
from torch import nn
from torch.optim import AdamW, Optimizer

from trm.models.frames import PuzzleEmbedding
from trm.ranks import gathered

OptimizerName = Literal["adamw", "adam_atan2", "muon"]


class AdamAtan2(Optimizer):
    """Adam whose update is atan2(m, sqrt(v)): bounded, and free of epsilon (Everett et al., arXiv 2407.05872).

    As the published TRM and HRM use it: decoupled decay first, the first moment's bias correction outside the atan2,
    the second's inside.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.95),
        weight_decay: float = 0.1,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        loss = None if closure is None else closure()
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state.update(step=0, m=torch.zeros_like(p), v=torch.zeros_like(p))
                state["step"] += 1
                m, v, t = state["m"], state["v"], state["step"]
                p.mul_(1 - group["lr"] * group["weight_decay"])
                m.lerp_(p.grad, 1 - b1)
                v.lerp_(p.grad.square(), 1 - b2)
                update = torch.atan2(m, v.sqrt() / math.sqrt(1 - b2**t))
                p.add_(update, alpha=-group["lr"] / (1 - b1**t))
        return loss


class SignSgd:
    """Sign-SGD with decoupled decay on the rows of a puzzle-embedding table that the batch used.

    Gradients of an id that occurs several times, on any rank, are summed before the sign is taken. It has no state.
    """

    def __init__(self, embedding: PuzzleEmbedding, lr: float, weight_decay: float) -> None:
        self.embedding, self.lr, self.weight_decay = embedding, lr, weight_decay

    @torch.no_grad()
    def step(self, lr: float) -> None:
        used = [(ids, rows.grad) for ids, rows in self.embedding.used if rows.grad is not None]
        self.embedding.used.clear()
        if not used:
            return
        ids = gathered(torch.cat([ids for ids, _ in used]))
        grad = gathered(torch.cat([grad for _, grad in used]))
        rows, where = torch.unique(ids, return_inverse=True)
        total = grad.new_zeros(len(rows), grad.shape[1]).index_add_(0, where, grad)
        table = self.embedding.table
        table[rows] = table[rows] * (1 - lr * self.weight_decay) - lr * total.sign()


def make_optimizers(
    model: nn.Module, name: OptimizerName, lr: float, betas: tuple[float, float], weight_decay: float
) -> list[Optimizer]:
    """The dense optimisers. Muon takes the matrices inside the blocks, AdamW everything else."""
    params = list(model.named_parameters())
    if name == "muon":
        matrices = [p for key, p in params if p.ndim == 2 and "blocks." in key]
        rest = [p for key, p in params if not (p.ndim == 2 and "blocks." in key)]
        muon = torch.optim.Muon(matrices, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
        return [muon, AdamW(rest, lr=lr, betas=betas, weight_decay=weight_decay)]
    if name == "adam_atan2":
        return [AdamAtan2([p for _, p in params], lr=lr, betas=betas, weight_decay=weight_decay)]
    return [AdamW([p for _, p in params], lr=lr, betas=betas, weight_decay=weight_decay)]


def schedule(step: int, total: int, warmup: int, floor: float) -> float:
    """Factor on the learning rate at `step` (from 0) of `total`: linear warm-up, then a cosine down to `floor`.

    `floor` = 1 keeps it constant after the warm-up, as published.
    """
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, total - warmup)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
