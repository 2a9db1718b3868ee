"""What a supervision step costs in floating-point operations, bytes and memory, without computing it.

The model runs on tensors that have a shape but no content (torch's meta device), and every operation that reaches torch
is counted. FLOPs are those of matrix products; a multiplication and an addition count as one each. Bytes are what
plain torch reads and writes; a fused kernel moves fewer.
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
    """The cost of one supervision step on one puzzle."""

    flops: int
    bytes: int  # read and written


class Memory(NamedTuple):
    """Bytes that a training process holds."""

    weights: int  # with their gradients, the optimiser's moments and the averaged weights
    embeddings: int  # the table of puzzle embeddings
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
            self.bytes += 2 * tensor_bytes(out)  # only the rows that are looked up, not the whole table
        elif not func.is_view:
            leaves = tree_leaves((args, kwargs, out))
            self.bytes += sum(tensor_bytes(leaf) for leaf in leaves if isinstance(leaf, Tensor))
        return out


def tensor_bytes(tensor: Tensor) -> int:
    """Bytes of memory that a tensor refers to. An expanded dimension counts once."""
    elements = 1
    for length, stride in zip(tensor.shape, tensor.stride(), strict=True):
        elements *= length if stride else 1
    return elements * tensor.element_size()


def parameters(config: ModelConfig, spec: Spec) -> int:
    """The number of trained weights, biases and token embeddings, without the table of puzzle embeddings."""
    return sum(value.numel() for value in meta_model(config, spec).parameters())


def published_count(config: ModelConfig, spec: Spec) -> int:
    """The number of parameters as the papers count them: without any embedding."""
    return sum(value.numel() for name, value in meta_model(config, spec).named_parameters() if "embedding" not in name)


def meta_model(config: ModelConfig, spec: Spec) -> TRM:
    """The model on torch's meta device: shapes without content."""
    with torch.device("meta"):
        return build(config, spec)


@functools.cache
def forward_cost(config: ModelConfig, spec: Spec) -> Cost:
    """The cost of one supervision step on one puzzle, without gradient.

    Of several networks that take turns, one computes a step.
    """
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
    """The cost of one supervision step on one puzzle with its backward pass, without the optimiser's own work."""
    with torch.device("meta"):
        model = build(run.model, spec)
        with Meter() as meter:
            loss_of(model, run, spec, 1).backward()  # type: ignore[no-untyped-call]
    return Cost(meter.flops, meter.bytes)


def loss_of(model: TRM, run: RunConfig, spec: Spec, puzzles: int) -> Tensor:
    """The loss of a supervision step on a batch without content."""
    question = torch.zeros(puzzles, spec.cells, dtype=torch.uint8)
    ids = torch.zeros(puzzles, dtype=torch.long)
    output = model(model.start(puzzles), question, ids)
    losses = step_loss(output, question, model.first_token, run.loss)
    if run.continue_loss:  # the bootstrapped target needs one more step
        with torch.no_grad():
            model(output.state, question, ids)
    return (losses.answer + losses.halt).sum()


@functools.cache
def saved_bytes(run: RunConfig, spec: Spec) -> int:
    """What a supervision step keeps for its backward pass, for each further puzzle of a batch."""

    def total(puzzles: int) -> int:
        sizes: dict[int, int] = {}  # storage -> bytes
        kept: list[Tensor] = []  # keeps the storages alive, so that no two of them share a key

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            sizes[storage._cdata] = storage.nbytes()
            kept.append(tensor)
            return tensor

        with saved_tensors_hooks(keep, lambda tensor: tensor):
            loss_of(model, run, spec, puzzles)
        return sum(sizes.values())

    with torch.device("meta"):
        model = build(run.model, spec)
        return total(2) - total(1)  # the weights are kept once, however many puzzles there are


def run_flops(run: RunConfig, spec: Spec, updates: int) -> int:
    """FLOPs of the first `updates` optimiser updates of a run. Each stage counts at the size of its own puzzles."""
    total = 0
    for count, part in zip(run.puzzle_steps(updates), run.plan(), strict=True):
        total += count * training_cost(part, spec if part.task == run.task else get_task(part.task).spec).flops
    return total


def memory(run: RunConfig, spec: Spec, processes: int = 1) -> Memory:
    """The memory of each of `processes` processes that train together."""
    model = meta_model(run.model, spec)
    weights = sum(value.numel() for value in model.parameters())
    copies = 4 + (run.ema > 0) if run.optimizer != "muon" else 3 + (run.ema > 0)  # muon keeps one moment, not two
    table = sum(module.table.numel() for module in model.modules() if isinstance(module, PuzzleEmbedding))
    width = 8 if run.precision == "float64" else 4
    slots = run.micro or run.batch // processes
    saved = saved_bytes(run, spec) * max(part.window for part in run.plan()) * (width // 4)
    return Memory(weights * copies * width, table * width, saved * min(slots, run.batch // processes))
