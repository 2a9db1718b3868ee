"""Solving an ARC task nobody trained on: tiny models are trained from scratch on its demonstrations, and vote.

    canvases -> for each of several models: train on the demonstrations in all eight symmetries of the square until it
    knows them by heart -> answer every test in all eight symmetries, turn the answers back -> ranked votes

Test answers are never looked at: they are removed from the task first.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trm.adapt.canvas import Canvas, canvases
from trm.adapt.examples import OUTSIDE, Example, collate, example, namings
from trm.adapt.marks import ROLES
from trm.adapt.model import AdaptModel, Batch
from trm.arc.votes import ATTEMPTS, Ballot, Guess, Votes, collect, grid_key, rank
from trm.models.precision import pick_precision, set_precision
from trm.tasks.arc.augment import DIHEDRAL, Augmentation
from trm.tasks.arc.text import ArcTask, Grid, Pair
from trm.training.ema import Ema
from trm.training.optim import make_optimizers

VIEWS = tuple(Augmentation(number) for number in range(len(DIHEDRAL)))  # the eight symmetries of the square
KNOWN = 20  # consecutive batches without a wrong cell after which the demonstrations count as known by heart
TRAINING = 0.97  # share of the time that is spent on training; the rest is for the votes
FIRST = 0.6  # share of the training time that the first model may use
ENOUGH = 0.9  # share of the training time after which no further model is begun
AGREED, AGREEING = 0.9, 3  # no further model is begun when so many know the demonstrations and give so many equal votes
SETTLING, SLOWEST = 0.05, 0.1  # running mean of the loss below which the learning rate falls, and to which share
FIRST_LOOK, LOOKS = 5.0, 2.0  # seconds after which a model in training first answers the tests; then at so many times
ROWS = 1500  # (cell, colour) pairs in a batch, about
SMALLEST, LARGEST = 2, 16  # examples in a batch


@dataclass(frozen=True)
class AdaptSettings:
    """How to adapt to a task. With `updates` and no `seconds` the result depends on task, seed and precision alone."""

    seconds: float | None = 240.0  # processor time for all models of a task together; None: no limit
    updates: int | None = None  # optimiser updates of each model, at most; None: no limit
    models: int = 12  # at most
    seed: int = 0
    width: int = 24
    n: int = 3  # latent updates in a supervision step
    supervised: int = 3  # supervision steps on each batch, with an optimiser update after each
    lr: float = 0.01
    shrink: float = 0.003  # by which each update shortens groups of weights, at the full learning rate
    ema: float = 0.98
    precision: str = "auto"  # see `trm.models.precision.pick_precision`


def settled(settings: AdaptSettings) -> AdaptSettings:
    """The same settings with `auto` replaced by the precision that is faster here."""
    return replace(settings, precision=pick_precision(settings.precision, torch.device("cpu"), settings.width))


@dataclass
class Fit:
    """How the training of one model went."""

    canvas: str  # the canvas's name
    updates: int
    loss: float  # running mean over batches of the loss after the last supervision step
    known: bool  # whether the model learned the demonstrations by heart


class Moment(NamedTuple):
    """When the attempts changed, and to what."""

    seconds: float  # of processor time
    attempts: list[list[Grid]]  # for each test, at most two grids, best first


@dataclass(frozen=True)
class Adaptation:
    """The outcome of `adapt`."""

    votes: Votes
    fits: list[Fit]  # one per model
    seconds: float  # of processor time
    moments: list[Moment]


Tick = Callable[[float, str], object]  # called with the share of the work that is done, and with what is being done
Tell = Callable[[Votes], object]  # called with the votes of the models that have been trained so far


def ignore_tick(share: float, what: str) -> None:
    """A `Tick` that does nothing."""


def ignore_votes(votes: Votes) -> None:
    """A `Tell` that does nothing."""


def adapt(
    task: ArcTask,
    settings: AdaptSettings = AdaptSettings(),
    tick: Tick = ignore_tick,
    tell: Tell = ignore_votes,
) -> Adaptation:
    """Train models on a task's demonstrations and let them vote on its tests.

    The time limit is for the processor time of this process, so give torch one thread.
    """
    blind = ArcTask(task.id, task.train, tuple(Pair(pair.question, None) for pair in task.test))
    work = _Work(blind, settings, tick, tell)
    work.train()
    return Adaptation(work.votes(), [model.fit for model in work.models], work.used(), work.moments)


class _Work:
    """The models of a task, one after the other, and their votes as they form."""

    def __init__(self, task: ArcTask, settings: AdaptSettings, tick: Tick, tell: Tell) -> None:
        self.task, self.settings, self._tick, self._tell = task, settings, tick, tell
        self.models: list[TaskModel] = []
        self.moments: list[Moment] = []
        self._keys: list[list[bytes]] = []  # of the last attempts
        self._began, self._look = time.process_time(), FIRST_LOOK

    def used(self) -> float:
        """Processor time since the beginning, in seconds."""
        return time.process_time() - self._began

    def train(self) -> None:
        """Train models until there are enough or the time is up. Each then answers the tests."""
        settings, rules = self.settings, canvases(self.task)
        limit = math.inf if settings.seconds is None else TRAINING * settings.seconds
        for number in range(settings.models):
            if number and self.used() > ENOUGH * limit:
                break
            # What the first model has not learned in its share of the time may be easier for the next one.
            until = self._began + (FIRST * limit if number == 0 else limit)
            model = TaskModel(self.task, rules, number, settings)
            self.models.append(model)
            model.train(until, self._report)
            votes = self._answer()
            if sum(model.fit.known for model in self.models) >= AGREEING and _agreed(votes.ballots[self.task.id]):
                break

    def votes(self) -> Votes:
        """The votes so far. Models that could not learn even the demonstrations vote only where none could."""
        voters = [model for model in self.models if model.fit.known] or self.models
        tests = iter(range(len(self.task.test)))

        def predict(asked: ArcTask, question: Grid, augmentations: Sequence[Augmentation]) -> list[Guess]:
            test = next(tests)
            return [guess for model in voters for guess in model.answers[test]]

        return collect(predict, [self.task], lambda _: VIEWS * len(voters))

    def _answer(self) -> Votes:
        """Let the last model answer the tests, and tell the votes."""
        self.models[-1].answer(self.task)
        votes = self.votes()
        attempts = [rank(ballot)[:ATTEMPTS] for ballot in votes.ballots[self.task.id]]
        keys = [[grid_key(grid) for grid in test] for test in attempts]
        if keys != self._keys:
            self.moments.append(Moment(self.used(), attempts))
        self._keys = keys
        self._tell(votes)
        return votes

    def _report(self, fit: Fit) -> None:
        settings, number = self.settings, len(self.models) - 1
        share = (number + fit.updates / (settings.updates or math.inf)) / settings.models
        if settings.seconds is not None:
            share = max(share if settings.updates else 0.0, self.used() / settings.seconds)
        self._tick(share, f"model {number + 1} ({fit.canvas}): update {fit.updates}, loss {fit.loss:.4f}")
        if self.used() >= self._look:  # a model in training answers where none has learned the demonstrations
            self._look = LOOKS * self.used()
            if not any(model.fit.known for model in self.models):
                self._answer()


def _agreed(ballots: Sequence[Ballot]) -> bool:
    """Whether nearly all votes are for one answer, in every test."""
    counts = [[len(votes) for votes in ballot.values()] for ballot in ballots]
    return all(max(count) >= AGREED * sum(count) for count in counts)


class TaskModel:
    """Model `number` of a task, with the demonstrations that it is trained on.

    Successive models use the canvases in turn; after each round of all canvases, other colours have a name.
    """

    def __init__(self, task: ArcTask, rules: Sequence[Canvas], number: int, settings: AdaptSettings) -> None:
        round, canvas = divmod(number, len(rules))
        self.number, self.settings, self.canvas = number, settings, rules[canvas]
        choices = namings(task)
        self.named = choices[round % len(choices)] + [OUTSIDE] * self.canvas.drawn
        upright = [self._example(pair) for pair in task.train]
        self.examples = [one.turned(way) for one in upright if one is not None for way in range(len(VIEWS))]
        torch.manual_seed(1000 * settings.seed + number)
        planes, places = len(self.examples[0].planes), len(self.examples[0].places)
        self.model = AdaptModel(settings.width, settings.n, planes, places, ROLES, len(self.named))
        set_precision(self.model, pick_precision(settings.precision, torch.device("cpu"), settings.width))
        self.fit = Fit(self.canvas.name, 0, math.inf, False)
        self.answers: list[list[Guess]] = []  # to each test, once it was asked
        self._ema = Ema(self.model, settings.ema)

    def train(self, until: float, tick: Callable[[Fit], object]) -> None:
        """Train until the demonstrations are known by heart, or a limit is reached; on one batch at least.

        Args:
            until: stop once the process has used this much processor time, in seconds.
            tick: called after every batch.
        """
        settings, fit = self.settings, self.fit
        rng = np.random.default_rng([settings.seed, self.number])
        optimizers = make_optimizers(self.model, "muon", settings.lr, (0.9, 0.95), 0.01)
        size, right = self._batch_size(), 0
        while True:
            batch = collate([self.examples[at] for at in rng.permutation(len(self.examples))[:size]])
            logits, loss = self._learn(batch, optimizers)
            right = right + 1 if exact(logits, batch) else 0
            fit.loss = loss if fit.loss == math.inf else 0.95 * fit.loss + 0.05 * loss
            self._set_rate(optimizers)
            fit.known = right >= KNOWN
            tick(fit)
            if fit.known or fit.updates >= (settings.updates or math.inf) or time.process_time() >= until:
                break

    def answer(self, task: ArcTask) -> None:
        """Answer every test with the averaged weights."""
        with self._ema.applied(self.model):
            self.answers = [self.guesses(pair.question) for pair in task.test]

    def _set_rate(self, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        """Lower the learning rate with the loss, so that a model settles when it has nearly learned."""
        rate = self.settings.lr * min(1.0, max(SLOWEST, math.sqrt(self.fit.loss / SETTLING)))
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate

    def _learn(self, batch: Batch, optimizers: Sequence[torch.optim.Optimizer]) -> tuple[Tensor, float]:
        """Supervision steps on a batch, each with an update. -> logits and loss of the last one"""
        state, logits, loss = self.model.begin(self.model.embed(batch).detach()), torch.empty(0), math.nan
        for _ in range(self.settings.supervised):
            state, logits = self.model(state, batch)
            value = answer_loss(logits, batch)
            value.backward()  # type: ignore[no-untyped-call]
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            self.model.shrink(self.settings.shrink * optimizers[0].param_groups[0]["lr"] / self.settings.lr)
            self._ema.update(self.model)
            state, loss = state.detach(), value.item()
            self.fit.updates += 1
        return logits, loss

    def _example(self, pair: Pair) -> Example | None:
        return example(self.canvas, self.named, pair.question, pair.answer)

    def _batch_size(self) -> int:
        rows = max(one.target.size * len(one.colours) for one in self.examples)
        return max(SMALLEST, min(LARGEST, ROWS // rows))

    @torch.inference_mode()
    def guesses(self, question: Grid) -> list[Guess]:
        """Answer a question in each of the eight symmetries.

        Returns:
            For each symmetry, the answer grid, still turned, and the model's probability that all its cells are right.
        """
        upright = self._example(Pair(question, None))
        assert upright is not None  # `canvases` only returns rules that hold on every test question
        guesses: list[Guess] = []
        for view in VIEWS:
            one = upright.turned(view.dihedral)
            batch = collate([one])
            state, logits = self.model.begin(self.model.embed(batch)), torch.empty(0)
            for _ in range(self.settings.supervised):
                state, logits = self.model(state, batch)
            best = logits[0].log_softmax(-1).max(-1)
            guesses.append(
                Guess(one.answer(best.indices.numpy()), math.exp(float(one.crop(best.values.numpy()).sum())))
            )
        return guesses


def answer_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Mean cross-entropy over each example's answer cells, then over the examples. -> scalar"""
    scored = batch.target >= 0
    nll = F.cross_entropy(logits.permute(0, 3, 1, 2), batch.target.clamp(min=0), reduction="none") * scored
    return (nll.sum((1, 2)) / scored.sum((1, 2))).mean()


def exact(logits: Tensor, batch: Batch) -> bool:
    """Whether every cell of every answer is right."""
    return bool(((logits.argmax(-1) == batch.target) | (batch.target < 0)).all())
