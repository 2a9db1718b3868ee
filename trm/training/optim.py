"""Optimisers and the learning-rate schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal, overload

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from trm.models.frames import PuzzleEmbedding
from trm.models.layers import RecursiveBlock
from trm.training.distributed import gathered

OptimizerName = Literal["adamw", "adam_atan2", "muon"]


class AdamAtan2(Optimizer):
    """Adam with the update atan2(m, sqrt(v)), which is bounded and needs no epsilon (Everett et al., arXiv 2407.05872).

    In the form of the published TRM and HRM: decoupled decay first, the bias correction of the first moment outside the
    atan2, that of the second inside.
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


class Muon(Optimizer):
    """Momentum with the update of a matrix made orthogonal (Jordan et al., 2024) and as large as AdamW's (2502.16982).

    It computes what `torch.optim.Muon` does with `adjust_lr_fn="match_rms_adamw"`, but in the precision of the weights
    instead of bfloat16, which most CPUs emulate, and for all matrices of one shape at once. For small matrices it is
    many times faster.
    """

    COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the Newton-Schulz iteration, as everywhere
    ITERATIONS = 5

    def __init__(self, params: Iterable[Any], lr: float, weight_decay: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        loss = None if closure is None else closure()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            by_shape: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = {}
            for p in params:
                if not self.state[p]:
                    self.state[p]["m"] = torch.zeros_like(p)
                m = self.state[p]["m"].lerp_(p.grad, 1 - group["momentum"])
                update = p.grad.lerp(m, group["momentum"])  # Nesterov
                tall = len(p) > p.shape[1]
                by_shape.setdefault(tuple(sorted(p.shape)), []).append((p, update.T if tall else update))
            for shape, pairs in by_shape.items():
                updates = self.orthogonal(torch.stack([update for _, update in pairs]))
                for (p, _), update in zip(pairs, updates, strict=True):
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    size = 0.2 * math.sqrt(max(shape))
                    p.add_(update.T if update.shape != p.shape else update, alpha=-group["lr"] * size)
        return loss

    def orthogonal(self, x: Tensor) -> Tensor:
        """x [matrices, rows, columns], rows <= columns -> same, with singular values near 1"""
        a, b, c = self.COEFFICIENTS
        x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
        for _ in range(self.ITERATIONS):
            gram = x @ x.mT
            x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
        return x


class SignSgd:
    """Sign-SGD with decoupled decay, on those rows of a puzzle-embedding table that the batch used. It has no state.

    The gradients of an id that occurs several times, on any rank, are summed before the sign is taken.
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
        # As with torch.unique, which would have to wait for a GPU to know how many rows there are: the gradients of an
        # id are summed in one place. Places that are left over repeat the first one, so they write the same values.
        ids, order = ids.sort(stable=True)
        place = torch.cat([ids.new_zeros(1), (ids[1:] != ids[:-1]).long().cumsum(0)])
        total = torch.zeros_like(grad).index_add_(0, place, grad[order])
        rows = ids[:1].expand(len(ids)).clone().index_copy_(0, place, ids)
        left_over = torch.arange(len(ids), device=ids.device) > place[-1]
        total = torch.where(left_over[:, None], total[:1], total)
        table = self.embedding.table
        table[rows] = table[rows] * (1 - lr * self.weight_decay) - lr * total.sign()


def make_optimizers(
    model: nn.Module, name: OptimizerName, lr: float, betas: tuple[float, float], weight_decay: float
) -> list[Optimizer]:
    """The optimisers for the parameters of a model. Puzzle embeddings are no parameters (see `SignSgd`).

    Args:
        model: whose parameters.
        name: `muon` is Muon for the matrices inside `RecursiveBlock`s, and AdamW for everything else.
        lr: learning rate of each optimiser.
        betas: of Adam's moments.
        weight_decay: of each optimiser.
    """
    params = list(model.parameters())
    if name == "muon":
        blocks = [module for module in model.modules() if isinstance(module, RecursiveBlock)]
        inside = {p for block in blocks for p in block.parameters() if p.ndim == 2}
        matrices, rest = [p for p in params if p in inside], [p for p in params if p not in inside]
        return [Muon(matrices, lr, weight_decay), AdamW(rest, lr=lr, betas=betas, weight_decay=weight_decay)]
    if name == "adam_atan2":
        return [AdamAtan2(params, lr=lr, betas=betas, weight_decay=weight_decay)]
    return [AdamW(params, lr=lr, betas=betas, weight_decay=weight_decay)]


def schedule(update: int, total: int, warmup: int, floor: float) -> float:
    """The factor on the learning rate at `update` (from 0) of `total`: a linear warm-up, then a cosine down to `floor`.

    With a `floor` of 1 the rate is constant after the warm-up, as published.
    """
    if update < warmup:
        return (update + 1) / warmup
    done = (update - warmup) / max(1, total - warmup)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
