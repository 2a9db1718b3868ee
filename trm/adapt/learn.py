"""An ARC task nobody trained on: tiny models trained from scratch on its own demonstrations, and their votes.

    canvases -> for each of several models: train on the demonstrations in all eight symmetries, until they are known
    by heart -> every test in all eight symmetries, turned back -> ranked votes

Test answers are never looked at: whatever is given here is blinded first.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trm.adapt.canvas import Canvas, canvases
from trm.adapt.examples import KINDS, collate, example, names, palette
from trm.adapt.model import AdaptModel, Batch
from trm.arc.votes import Guess, Votes, collect
from trm.tasks.arc.augment import DIHEDRAL, Augmentation
from trm.tasks.arc.text import ArcTask, Grid, Pair
from trm.training.ema import Ema, load
from trm.training.optim import make_optimizers

VIEWS = tuple(Augmentation(number) for number in range(len(DIHEDRAL)))
KNOWN = 20  # batches without a wrong cell, one after the other: the demonstrations are known by heart
TRAINING = 0.97  # of the time; the rest is for the votes
ROWS = 4000  # (cell, colour) pairs of a batch, about


@dataclass(frozen=True)
class Settings:
    """How a task is adapted to. With `steps` and without a time limit the result is a function of task and seed."""

    seconds: float | None = 240.0  # of processor time, all models of a task together
    steps: int | None = None  # weight updates of a model, at most
    models: int = 6  # at most
    seed: int = 0
    width: int = 24
    n: int = 3  # latent updates of a supervision step
    supervised: int = 3  # supervision steps of a batch, a weight update each
    lr: float = 0.01
    ema: float = 0.98


@dataclass
class Fit:
    """What came of the training of one model."""

    canvas: str
    steps: int
    loss: float  # running mean of the last supervision step's
    known: bool  # whether the demonstrations were learnt by heart

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Adapted:
    """What came of a task."""

    votes: Votes = field(default_factory=Votes)
    fits: list[Fit] = field(default_factory=list)  # none: no rule for the size of the answer
    seconds: float = 0.0  # of processor time


Tick = Callable[[float, str], object]  # told the share of the work done, and what is being done


def adapt(task: ArcTask, settings: Settings = Settings(), tick: Tick = lambda share, what: None) -> Adapted:
    """Train and vote. Where no rule for the answer's size holds, there are no votes.

    The time limit is for the processor time of this process, so torch should have one thread.
    """
    blind = ArcTask(task.id, task.train, tuple(Pair(pair.question, None) for pair in task.test))
    began, found = time.process_time(), Adapted(Votes({task.id: [{} for _ in task.test]}))
    rules, trained = canvases(blind), list[Trained]()
    limit = math.inf if settings.seconds is None else TRAINING * settings.seconds
    for number in range(settings.models if rules else 0):
        used = time.process_time() - began
        if number and used > 0.9 * limit:
            break
        # What the first model has not learnt in three fifths of the time may be easier for another one.
        until = began + (0.6 * limit if number == 0 else limit)
        learner = Trained(blind, rules, number, settings)
        learner.train(until, partial(_tell, tick, settings, began, number))
        trained.append(learner)
        found.fits.append(learner.fit)
    # Those that could not even learn the demonstrations vote only where none could.
    voters = [one for one in trained if one.fit.known] or trained

    def predict(asked: ArcTask, question: Grid, augmentations: Sequence[Augmentation]) -> list[Guess]:
        return [guess for one in voters for guess in one.guesses(question)]

    if voters:
        found.votes = collect(predict, [blind], lambda _: VIEWS * len(voters))
    found.seconds = time.process_time() - began
    return found


def _tell(tick: Tick, settings: Settings, began: float, number: int, fit: Fit) -> None:
    share = (number + fit.steps / (settings.steps or math.inf)) / settings.models
    if settings.seconds is not None:
        share = max(share if settings.steps else 0.0, (time.process_time() - began) / settings.seconds)
    tick(share, f"model {number + 1} ({fit.canvas}): step {fit.steps}, loss {fit.loss:.4f}")


class Trained:
    """Model `number` of a task, and the demonstrations it is trained on.

    Models take turns at the canvases; after each round of them the colours' names change between few and many.
    """

    def __init__(self, task: ArcTask, rules: Sequence[Canvas], number: int, settings: Settings) -> None:
        round, turn = divmod(number, len(rules))
        self.number, self.settings, self.canvas, self.colours = number, settings, rules[turn], palette(task)
        made = [example(self.canvas, self.colours, pair.question, pair.answer) for pair in task.train]
        self.examples = [one.turned(way) for one in made if one is not None for way in range(len(VIEWS))]
        torch.manual_seed(1000 * settings.seed + number)
        known = names(task, self.colours, few=round % 2 == 0)
        self.model = AdaptModel(settings.width, settings.n, len(self.examples[0].planes), KINDS, known)
        self.fit = Fit(self.canvas.name, 0, math.inf, False)

    def train(self, until: float, tick: Callable[[Fit], object]) -> None:
        """Until the demonstrations are known by heart, the process has used `until` seconds, or the steps are done."""
        settings, fit = self.settings, self.fit
        rng = np.random.default_rng([settings.seed, self.number])
        optimizers = make_optimizers(self.model, "muon", settings.lr, (0.9, 0.95), 0.01)
        ema = Ema(self.model, settings.ema)
        size, right = self._batch_size(), 0
        while not fit.steps or (  # a model that was never trained has nothing to say
            time.process_time() < until and fit.steps < (settings.steps or math.inf) and not fit.known
        ):
            chosen = rng.permutation(len(self.examples))[:size]
            batch = collate([self.examples[at] for at in chosen])
            state, loss = self.model.begin(self.model.embed(batch).detach()), math.nan
            for _ in range(settings.supervised):
                state, logits = self.model(state, batch)
                value = answer_loss(logits, batch)
                value.backward()  # type: ignore[no-untyped-call]
                for optimizer in optimizers:
                    optimizer.step()
                    optimizer.zero_grad(set_to_none=True)
                ema.update(self.model)
                state, loss = state.detach(), value.item()
                fit.steps += 1
            right = right + 1 if exact(logits, batch) else 0
            fit.loss = loss if fit.loss == math.inf else 0.95 * fit.loss + 0.05 * loss
            fit.known = right >= KNOWN
            tick(fit)
        load(self.model, ema.average)

    def _batch_size(self) -> int:
        rows = max(one.target.size for one in self.examples) * len(self.colours)
        return max(2, min(16, ROWS // rows))

    @torch.inference_mode()
    def guesses(self, question: Grid) -> list[Guess]:
        """The answer to a question in each of the eight symmetries, and the chance that all of its cells are right."""
        plain = example(self.canvas, self.colours, question, None)
        assert plain is not None  # or the canvas would not have been chosen
        guesses: list[Guess] = []
        for view in VIEWS:
            one = plain.turned(view.dihedral)
            batch = collate([one])
            state = self.model.begin(self.model.embed(batch))
            for _ in range(self.settings.supervised):
                state, logits = self.model(state, batch)
            sure, answer = logits[0].log_softmax(-1).max(-1)
            grid = np.array(self.colours, np.uint8)[one.cut(answer.numpy())]
            guesses.append((grid, math.exp(float(one.cut(sure.numpy()).sum()))))
        return guesses


def answer_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Mean cross-entropy: of each example's answer cells, then of the examples."""
    scored = batch.target >= 0
    nll = F.cross_entropy(logits.permute(0, 3, 1, 2), batch.target.clamp(min=0), reduction="none") * scored
    return (nll.sum((1, 2)) / scored.sum((1, 2))).mean()


def exact(logits: Tensor, batch: Batch) -> bool:
    """Whether every cell of every answer is right."""
    return bool(((logits.argmax(-1) == batch.target) | (batch.target < 0)).all())
