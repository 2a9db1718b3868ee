"""What a supervision step costs in floating-point operations, bytes and memory, counted without running it.

The model runs on tensors that have a shape and no content, and every operation that reaches torch is counted.
Operations are those of matrix products (a multiplication and an addition each); bytes are what plain, unfused torch
reads and writes, so a fused kernel moves fewer.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from trm.models import ModelConfig, build
from trm.models.frames import PuzzleEmbedding
from trm.models.trm import TRM
from trm.tasks import get_task
from trm.tasks.base import Spec
from trm.training.config import RunConfig
from trm.training.losses import step_loss

LOOKUPS = (torch.ops.aten.index, torch.ops.aten.embedding, torch.ops.aten.gather)


class Cost(NamedTuple):
    """Of one supervision step on one puzzle."""

    flops: int
    bytes: int
    saved: int = 0  # bytes kept from the forward for the backward pass


class Memory(NamedTuple):
    """Bytes a training process holds."""

    weights: int  # with their gradients, optimiser moments and average
    embeddings: int  # the puzzle-embedding table
    activations: int  # at the end of a forward pass


class Meter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations inside a `with` block."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = self.bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            self.flops += count(*args, **kwargs, out_val=out)
        if func._overloadpacket in LOOKUPS:
            self.bytes += 2 * size(out)  # of the table only the rows that are asked for
        elif not func.is_view:
            self.bytes += sum(size(leaf) for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, Tensor))
        return out


def size(tensor: Tensor) -> int:
    """Bytes of what a tensor refers to; an expanded dimension is there once."""
    elements = 1
    for length, stride in zip(tensor.shape, tensor.stride(), strict=True):
        elements *= length if stride else 1
    return elements * tensor.element_size()


def parameters(config: ModelConfig, spec: Spec) -> int:
    """Trained weights, biases and token embeddings; the puzzle-embedding table is not among them."""
    return sum(value.numel() for value in hollow(config, spec).parameters())


def published_count(config: ModelConfig, spec: Spec) -> int:
    """Parameters as the papers count them: without any embedding."""
    return sum(value.numel() for name, value in hollow(config, spec).named_parameters() if "embedding" not in name)


def hollow(config: ModelConfig, spec: Spec) -> TRM:
    """The model without content."""
    with torch.device("meta"):
        return build(config, spec)


@functools.cache
def forward_cost(config: ModelConfig, spec: Spec) -> Cost:
    """Of one supervision step on one puzzle, without gradient."""
    with torch.device("meta"), torch.no_grad():
        model = build(config.changed(turns=1), spec)  # a step is one network's
        question = torch.zeros(1, spec.cells, dtype=torch.uint8)
        ids = torch.zeros(1, dtype=torch.long)
        state = model.start(1)
        with Meter() as meter:
            model(state, question, ids)
    return Cost(meter.flops, meter.bytes)


@functools.cache
def training_cost(run: RunConfig, spec: Spec) -> Cost:
    """Of one supervision step on one puzzle with its backward pass; the optimiser's own work is left out."""
    saved: dict[int, tuple[Tensor, int]] = {}

    def keep(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, torch.nn.Parameter):
            storage = tensor.untyped_storage()
            saved[storage._cdata] = (tensor, storage.nbytes())  # holding it keeps the key from being used again
        return tensor

    with torch.device("meta"):
        model = build(run.model, spec)
        question = torch.zeros(1, spec.cells, dtype=torch.uint8)
        ids = torch.zeros(1, dtype=torch.long)
        state = model.start(1)
        with Meter() as meter:
            with saved_tensors_hooks(keep, lambda tensor: tensor):
                output = model(state, question, ids)
                losses = step_loss(output, question, model.first_token, run.loss)
                total = (losses.answer + losses.halt).sum()
            if run.continue_loss:  # the bootstrapped target takes one more step
                with torch.no_grad():
                    model(output.state, question, ids)
            total.backward()  # type: ignore[no-untyped-call]
    return Cost(meter.flops, meter.bytes, sum(count for _, count in saved.values()))


def run_flops(run: RunConfig, spec: Spec, updates: int) -> int:
    """Of the first `updates` updates, each stage at the size of its own puzzles."""
    total = 0
    for count, part in zip(run.puzzle_steps(updates), run.plan(), strict=True):
        total += count * training_cost(part, spec if part.task == run.task else get_task(part.task).spec).flops
    return total


def memory(run: RunConfig, spec: Spec, processes: int = 1) -> Memory:
    """Of one of `processes` processes."""
    model = hollow(run.model, spec)
    weights = sum(value.numel() for value in model.parameters())
    copies = 4 + (run.ema > 0) if run.optimizer != "muon" else 3 + (run.ema > 0)  # muon keeps one moment, not two
    table = sum(module.table.numel() for module in model.modules() if isinstance(module, PuzzleEmbedding))
    width = 8 if run.precision == "float64" else 4
    slots = run.micro or run.batch // processes
    saved = training_cost(run, spec).saved * max(part.window for part in run.plan()) * (width // 4)
    return Memory(weights * copies * width, table * width, saved * min(slots, run.batch // processes))
