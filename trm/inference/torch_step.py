"""Supervision steps with torch: a backend for stored models and for models in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import torch
from torch import Tensor

from trm import store
from trm.errors import BadInput
from trm.inference.backend import Floats, Movement, movement_of
from trm.models.base import Model, Output, State, join
from trm.models.precision import Precision, pick_precision, set_precision
from trm.store.stored import Stored
from trm.tasks.base import Bools, Ints, Spec, Tokens

SIZES = 16  # `ModelSizes` keeps models for at most this many sizes


@dataclass(frozen=True, eq=False)
class TorchOutcome:
    """An `Outcome` from the tensors of a model's output."""

    before: State
    output: Output
    first_token: int
    halt_logit: float

    @property
    def state(self) -> State:
        return self.output.state

    @property
    def tokens(self) -> Tokens:
        tokens: Tokens = (self.output.logits.argmax(-1) + self.first_token).to(torch.uint8).cpu().numpy()
        return tokens

    @property
    def halts(self) -> Bools:
        halts: Bools = (self.output.halt > self.halt_logit).cpu().numpy()
        return halts

    @property
    def halting(self) -> Floats:
        halting: Floats = self.output.halt.sigmoid().cpu().numpy()
        return halting

    def confidence(self, question: Tokens) -> Floats:
        confidence: Floats = confidence_in(question, self.output).cpu().numpy()
        return confidence

    def probabilities(self, place: int) -> Floats:
        probabilities: Floats = self.output.logits[place].softmax(-1).cpu().numpy()
        return probabilities

    def movement(self, place: int) -> Movement:
        after = self.output.state
        y, z = after.y[place] - self.before.y[place], after.z[place] - self.before.z[place]
        return movement_of(y.float().cpu().numpy(), z.float().cpu().numpy(), self.output.logits.shape[1])


@dataclass(frozen=True)
class TorchBackend:
    """A model in evaluation mode.

    Args:
        model: computes the steps.
        device: where it is [default: the CPU].
    """

    model: Model
    device: torch.device | None = None

    @property
    def first_token(self) -> int:
        return self.model.first_token

    @torch.inference_mode()
    def start(self, seeds: Sequence[int | None], noise: float) -> State:
        """Noise is drawn for y, then for z; a count of steps gets none."""
        state = self.model.start(len(seeds))
        if all(seed is None for seed in seeds):
            return state
        state = state._replace(y=state.y.clone(), z=state.z.clone())
        for row, seed in enumerate(seeds):
            if seed is not None:
                drawn = torch.Generator().manual_seed(seed)
                for part in (state.y, state.z):
                    part[row] += noise * torch.randn(part[row].shape, generator=drawn).to(part.device)
        return state

    @torch.inference_mode()
    def step(self, state: State, question: Tokens, ids: Ints | None) -> TorchOutcome:
        on_device = torch.from_numpy(question).to(self.device)
        output = self.model(state, on_device, None if ids is None else torch.from_numpy(ids).to(self.device))
        return TorchOutcome(state, output, self.first_token, self.model.halt_logit)

    @torch.inference_mode()
    def join(self, first: State, second: State) -> State:
        return join((first, second))

    @torch.inference_mode()
    def keep(self, state: State, rows: Bools) -> State:
        return state.take(torch.from_numpy(rows).to(self.device))


class ModelSizes:
    """A stored model at the sizes of its task.

    Args:
        stored: the model at the size that it was stored with.
        precision: of its matrix products.
    """

    def __init__(self, stored: Stored, precision: Precision) -> None:
        self.stored, self.precision = stored, precision
        self._resized = lru_cache(SIZES)(partial(store.resize, stored))

    def backend(self, spec: Spec) -> TorchBackend:
        """The model at this size. Raises BadInput where the weights depend on the size."""
        model = (self.stored if spec == self.stored.spec else self._resized(spec)).model
        set_precision(model, self.precision)
        return TorchBackend(model)


def open_model(task: str, weights: str | Stored, threads: int = 0, precision: str = "auto") -> ModelSizes:
    """Load the weights with which to solve puzzles.

    Args:
        task: a family, or the name of a registered task.
        weights: see `trm.store.stored.load`, or a loaded model.
        threads: of torch, in the whole process; 0: as they are.
        precision: of matrix products, see `trm.models.precision.pick_precision`.

    Raises:
        BadInput: no such model or precision, one for another task, or one that needs puzzle numbers.
        TrmError: a model of the hub cannot be downloaded.
    """
    if threads:
        torch.set_num_threads(threads)
    stored = store.load(weights) if isinstance(weights, str) else weights
    store.check_family(stored.name, stored.spec, task)
    if stored.model.config.puzzle_ids > 1:
        raise BadInput(
            f"model {stored.name!r} has an embedding for each puzzle of its training, and none for a new one"
        )
    return ModelSizes(stored, pick_precision(precision, torch.device("cpu"), stored.model.config.width))


def confidence_in(question: Tokens, output: Output) -> Tensor:
    """The model's belief that a step's answers to question [batch, cells] are right. -> [batch], 0..1

    The probability by which it would halt here, times that of the least certain cell's token. The halting logit alone
    is not reliable after a wrong guess: no question in training was without a solution.
    """
    unscored = torch.from_numpy(question == 0).to(output.logits.device)
    certain = output.logits.softmax(-1).amax(-1).masked_fill(unscored, 1.0)
    return output.halt.sigmoid() * certain.amin(-1)
