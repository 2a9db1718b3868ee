"""`trm eval` of an ARC model: its answers to every question under many augmentations, put to the vote."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from trm import store
from trm.arc.votes import PASSES, RULES, Guess, Score, Votes, augmented, collect, pool, score, write_submission
from trm.devices import pick_device
from trm.errors import BadInput
from trm.files import check_writable
from trm.inference.evaluate import final_answers
from trm.store.stored import Stored
from trm.tasks import get_task
from trm.tasks.arc.augment import Augmentation, decode, identifier
from trm.tasks.arc.sets import answered, held_out_tasks
from trm.tasks.arc.text import ArcTask, Grid
from trm.training.config import RunConfig
from trm.training.datasets import embeddings_each

VOTES = 16  # of each question, where nothing else is asked for; the published evaluation has 1,001


@dataclass(frozen=True)
class Trained:
    """What a model's `about` says of how it was trained on ARC."""

    run: RunConfig
    places: dict[str, int]  # a task's id -> its number among those trained on, from 0
    tests_too: frozenset[str]  # tasks that were trained on with their test pairs

    @property
    def most(self) -> int | None:
        """Augmentations of a task that have a puzzle embedding; None: any do, since all share one or there are none."""
        return embeddings_each(self.run) if self.run.model.puzzle_ids and not self.run.arc.by_task else None

    def embedding(self, id: str, number: int) -> int:
        """Row of the table for augmentation `number` of a task; the blank one, 0, for a task not trained on."""
        each = embeddings_each(self.run)
        return identifier(self.places[id], number % each, each - 1) if id in self.places else 0


def trained(stored: Stored) -> Trained:
    """Raises BadInput for a model that does not say which task each of its embeddings is for."""
    about = stored.about
    try:
        run, data = RunConfig.model_validate(about["run"]), about["data"]
        ids, tests_too = [str(id) for id in data["tasks"]], frozenset(map(str, data["tests_too"]))
    except (KeyError, TypeError, ValidationError):
        what = "about.run, about.data.tasks and about.data.tests_too"
        raise BadInput(
            f"model {stored.name!r} does not say which ARC tasks its embeddings are for: its config.json needs {what}, "
            "as trm train writes them"
        ) from None
    have, need = stored.model.config.puzzle_ids, 1 + len(ids) * embeddings_each(run)
    if have and have != need:
        raise BadInput(f"model {stored.name!r} has {have} puzzle embeddings, but by its config.json it needs {need}")
    return Trained(run, {id: at for at, id in enumerate(ids)}, tests_too)


@dataclass(frozen=True)
class ModelPredictor:
    """A stored model as `trm.arc.votes.Predict`: its answers after the last step, with sigmoid(q) as confidence.

    Args:
        stored: the model, in evaluation mode.
        known: how it was trained.
        steps: supervision steps for every answer.
        batch: augmentations of a question at once.
        device: where the model is.
        tick: called with the number of answers made.
    """

    stored: Stored
    known: Trained
    steps: int
    batch: int = 16
    device: torch.device | None = None
    tick: Callable[[int], object] = lambda count: None

    def __call__(self, task: ArcTask, question: Grid, augmentations: Sequence[Augmentation]) -> list[Guess]:
        """One guess each. `augmentations` are the first ones of the model's own seed: their numbers name embeddings."""
        tokens = np.stack([augmentation.encode(question) for augmentation in augmentations])
        ids = np.array([self.known.embedding(task.id, number) for number in range(len(augmentations))])
        model, board = self.stored.model, get_task(self.stored.spec.name)
        guesses: list[Guess] = []
        for answers in final_answers(model, board, tokens, ids, self.steps, self.batch, self.device):
            part = augmentations[len(guesses) : len(guesses) + len(answers.tokens)]
            for grid, sure, augmentation in zip(answers.tokens, answers.halting.tolist(), part, strict=True):
                guesses.append((decode(grid, augmentation.offset), sure))
            self.tick(len(part))
        return guesses


@dataclass(frozen=True)
class Asked:
    """What is wanted of an evaluation; None: as the first model's training suggests."""

    data: str = "embedded"
    rows: slice = field(default_factory=lambda: slice(None))  # of the tasks
    steps: int | None = None
    batch: int = 16
    votes: int | None = None
    submission: Path | None = None


@dataclass(frozen=True)
class Found:
    """What came of it."""

    task: str
    data: str  # without the path
    models: list[dict[str, Any]]  # name; how many tasks it was not trained on, and how many with their tests
    tasks: tuple[ArcTask, ...]
    scored: tuple[ArcTask, ...]  # those whose test answers are known
    questions: int
    votes: int  # of each model on each question
    steps: int
    seconds: float
    single: Votes  # of the first model
    pooled: Votes | None  # of all, where there are several

    def scores(self) -> list[list[Score]]:
        """By every rule: of the first model, then of all of them."""
        if not self.scored:
            return []
        kinds = [self.single] if self.pooled is None else [self.single, self.pooled]
        return [[score(votes, self.scored, rule) for rule in RULES] for votes in kinds]

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        head = {"task": self.task, "weights": self.models[0]["name"], "data": self.data}
        counts = {"tasks": len(self.tasks), "scored": len(self.scored), "questions": self.questions}
        told = {"votes": self.votes, "steps": self.steps, "seconds": round(self.seconds, 3)}
        scores = dict(
            zip(("scores", "pooled"), ([one.as_dict() for one in kind] for kind in self.scores()), strict=False)
        )
        return {**head, **counts, **told, "models": self.models, **scores}


def evaluate(names: Sequence[str], asked: Asked, stored: Stored | None = None, quiet: bool = True) -> Found:
    """Ask models of one ARC benchmark the tests of its evaluation tasks, or those of other tasks, and vote.

    Args:
        names: of the models, as `trm.store.stored.load` takes them; the votes of several are pooled too.
        asked: on which tasks and how; the submission, of all models together, is written.
        stored: the first model, where it is loaded already.
        quiet: show no progress.

    Raises:
        BadInput: no tasks, nothing to score, a model twice or of another benchmark or of other tasks, more votes than
            embeddings.
    """
    # Checkpoints of one run have one name, so the others are called as the caller calls them.
    models = [stored or store.load(names[0]), *(replace(store.load(name), name=name) for name in names[1:])]
    task = models[0].spec.name
    for name, model in zip(names, models, strict=True):
        if model.spec.name != task:
            raise BadInput(f"{names[0]} solves {task} and {name} {model.spec.name}: pool models of one benchmark")
    if len({store.find(name).resolve() for name in names}) < len(names):
        raise BadInput("the votes of one model would be counted twice; name every model once")
    tasks, scored = to_ask(task, asked)
    known = [trained(model) for model in models]
    count = asked.votes or min(VOTES, *(one.most or VOTES for one in known))
    steps = asked.steps or known[0].run.max_steps
    about = [relation(model, one, tasks, count) for model, one in zip(models, known, strict=True)]
    questions, device = sum(len(one.test) for one in tasks), pick_device()
    with Progress(console=Console(stderr=True), transient=True, disable=quiet) as progress:
        bar = progress.add_task("answering", total=questions * count * len(models))
        tick = partial(progress.advance, bar)
        predictors = [
            ModelPredictor(*pair, steps, asked.batch, device, tick) for pair in zip(models, known, strict=True)
        ]
        began, votes = time.perf_counter(), []
        for predictor in predictors:
            predictor.stored.model.to(device)
            votes.append(collect(predictor, tasks, augmented(count, predictor.known.run.seed)))
    seconds = time.perf_counter() - began
    pooled = pool(votes) if len(votes) > 1 else None
    if asked.submission is not None:
        try:
            write_submission(asked.submission, pooled or votes[0], tasks)
        except OSError as error:
            raise BadInput(f"cannot write {error.filename}: {error.strerror}") from None
    source = asked.data if asked.data == "embedded" else Path(asked.data).name
    return Found(task, source, about, tasks, scored, questions, count, steps, seconds, votes[0], pooled)


def to_ask(name: str, asked: Asked) -> tuple[tuple[ArcTask, ...], tuple[ArcTask, ...]]:
    """The tasks, and those of them that can be scored. Raises BadInput for what is better said before hours of work."""
    tasks = held_out_tasks(name, asked.data)[asked.rows]
    scored = answered(tasks)
    if not tasks:
        raise BadInput(f"no tasks left: --skip {asked.rows.start} of the data is all of it")
    if not scored and asked.submission is None:
        raise BadInput(
            f"no test answer in {asked.data} is known, so nothing to score; --submission FILE writes answers"
        )
    if asked.submission is not None:
        check_writable(asked.submission)
    return tasks, scored


def relation(stored: Stored, known: Trained, tasks: Sequence[ArcTask], votes: int) -> dict[str, Any]:
    """What a model was told of the tasks in training. Raises BadInput where it has no embeddings for what is asked."""
    if known.most is not None and votes > known.most:
        most = f"has {known.most} embeddings for each task, one for each augmentation"
        raise BadInput(f"--votes {votes}: model {stored.name!r} {most}; {known.most} is the most")
    new = sum(task.id not in known.places for task in tasks)
    if new == len(tasks) and known.run.model.puzzle_ids:
        raise BadInput(
            f"model {stored.name!r} was trained on none of these {new} tasks and has no embedding for them: give the "
            "tasks that it was trained on with --data"
        )
    return {"name": stored.name, "not_trained_on": new, "tests_trained_on": sum(t.id in known.tests_too for t in tasks)}


def evaluate_and_print(names: Sequence[str], asked: Asked, as_json: bool, stored: Stored | None = None) -> None:
    """All of `trm eval` for ARC. Raises as `evaluate` does."""
    found = evaluate(names, asked, stored, quiet=as_json or not sys.stderr.isatty())
    if as_json:
        print(json.dumps(found.as_dict()))
        return
    for model in found.models:
        if model["not_trained_on"]:
            print(f"{model['name']}: {model['not_trained_on']} of the tasks were not in its training", file=sys.stderr)
        if model["tests_trained_on"]:
            count = f"the tests of {model['tests_trained_on']} of the tasks"
            print(f"{model['name']}: {count} were in its training, so this is no test", file=sys.stderr)
    console = Console(highlight=False, markup=False)
    on = f"{len(found.scored)} task{'s' if len(found.scored) > 1 else ''} ({found.data})"
    title = f"{found.models[0]['name']} on {on}, {found.votes} votes a question: %, with 95 % intervals"
    for scores in found.scores():
        console.print(table(scores, title))
    console.print(f"questions: {found.questions}; {found.steps} steps for each answer; {found.seconds:.1f} s")
    if asked.submission is not None:
        console.print(f"answers to {len(found.tasks)} tasks: {asked.submission}")


def table(scores: Sequence[Score], title: str) -> Table:
    """What is right among the first k answers, ranked by every rule."""
    shown = Table("ranked by", title=title, title_justify="left", box=SIMPLE_HEAD)
    for one in scores:
        shown.add_column(one.rule, no_wrap=True)
    for k in PASSES:
        cells = [[100 * part for part in one.passes[k][:3]] for one in scores]
        shown.add_row(scores[0].name(k), *(f"{share:.1f} ({low:.1f}-{high:.1f})" for share, low, high in cells))
    return shown
