"""Evaluation of ARC models: they answer every test question under many augmentations, and the answers are votes."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError

from trm import store
from trm.arc.votes import RULES, Guess, Score, Votes, augmented, collect, pool, score, write_submission
from trm.devices import pick_device
from trm.errors import BadInput
from trm.files import check_writable, digest
from trm.inference.evaluation import final_answers
from trm.models.precision import placed
from trm.store.stored import Stored
from trm.tasks import get_task
from trm.tasks.arc.augment import Augmentation, decode, identifier
from trm.tasks.arc.identifiers import FILE, Identifiers, read_identifiers
from trm.tasks.arc.sets import answered, held_out_tasks
from trm.tasks.arc.text import VERSIONS, ArcTask, Grid
from trm.tasks.arc.training import embeddings_each
from trm.training.config import RunConfig

VOTES = 16  # per question, unless the request says otherwise; the published evaluation has 1,001


@dataclass(frozen=True)
class ArcTraining:
    """What a model's `about` says of its training on ARC."""

    run: RunConfig
    places: dict[str, int]  # task id -> its number among the tasks trained on, from 0
    tests_too: frozenset[str]  # ids of the tasks whose test pairs were trained on as well
    identifiers: Identifiers | None = None  # of a published model: its table has an order of its own

    @property
    def most_votes(self) -> int | None:
        """Augmentations of a task that have a puzzle embedding, of the task that has most of them.

        None: any number (no embeddings, or one per task).
        """
        if self.identifiers:
            return max(map(len, self.identifiers.tasks.values()))
        return embeddings_each(self.run) if self.run.model.puzzle_ids and not self.run.arc.by_task else None

    def augmentations(self, task: ArcTask, count: int) -> list[Augmentation]:
        """The first `count` augmentations of a task that the model knows, or fewer where it knows fewer."""
        if self.identifiers and task.id in self.identifiers.tasks:
            return [row.augmentation for row in self.identifiers.tasks[task.id][:count]]
        return augmented(count, self.run.seed)(task)

    def embedding(self, id: str, number: int) -> int:
        """Row of the embedding table for augmentation `number` of a task; the blank one for an unknown task."""
        if self.identifiers:
            return self.identifiers.tasks[id][number].row if id in self.identifiers.tasks else self.identifiers.blank
        each = embeddings_each(self.run)
        return identifier(self.places[id], number % each, each - 1) if id in self.places else 0


def training_of(stored: Stored, folder: Path | None = None) -> ArcTraining:
    """What a model says of its training.

    Args:
        stored: the model.
        folder: its folder, where the names of a published model's embeddings are.

    Raises:
        BadInput: the model does not say which task each of its embeddings belongs to.
    """
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
    identifiers, have = imported_identifiers(stored, folder), stored.model.config.puzzle_ids
    need = 1 + len(ids) * embeddings_each(run)
    if have and have != need and identifiers is None:
        raise BadInput(f"model {stored.name!r} has {have} puzzle embeddings, but by its config.json it needs {need}")
    return ArcTraining(run, {id: at for at, id in enumerate(ids)}, tests_too, identifiers)


def imported_identifiers(stored: Stored, folder: Path | None) -> Identifiers | None:
    """The names of an imported model's embeddings; None for other models. Raises BadInput where they are not there."""
    imported = stored.about.get("imported")
    written = imported.get("identifiers") if isinstance(imported, dict) else None
    if written is None or folder is None:
        return None
    path = folder / FILE
    if not path.is_file() or digest(path) != written:
        raise BadInput(f"model {folder}: {FILE} is missing or not the one that it was imported with; import it again")
    return read_identifiers(path)


@dataclass(frozen=True)
class ModelPredictor:
    """A stored model as `trm.arc.votes.Predict`: its answers after the last step, with sigmoid(q) as confidence.

    Args:
        stored: the model, in evaluation mode.
        training: how it was trained.
        steps: supervision steps for every answer.
        batch: augmentations of a question that the model works on at once.
        device: where the model is.
        tick: called after each batch with the number of answers in it.
    """

    stored: Stored
    training: ArcTraining
    steps: int
    batch: int = 16
    device: torch.device | None = None
    tick: Callable[[int], object] = lambda count: None

    def __call__(self, task: ArcTask, question: Grid, augmentations: Sequence[Augmentation]) -> list[Guess]:
        """One guess each. `augmentations` are the first ones of the training: embeddings go by their numbers."""
        tokens = np.stack([augmentation.encode(question) for augmentation in augmentations])
        ids = np.array([self.training.embedding(task.id, number) for number in range(len(augmentations))])
        model, board = self.stored.model, get_task(self.stored.spec.name)
        guesses: list[Guess] = []
        for answers in final_answers(model, board, tokens, ids, self.steps, self.batch, self.device):
            part = augmentations[len(guesses) : len(guesses) + len(answers.tokens)]
            for grid, confidence, augmentation in zip(answers.tokens, answers.halting.tolist(), part, strict=True):
                guesses.append(Guess(decode(grid, augmentation.offset), confidence))
            self.tick(len(part))
        return guesses


# Request and result


@dataclass(frozen=True)
class EvalRequest:
    """Which models to evaluate on which tasks, and how. None: as the training of the first model suggests."""

    models: tuple[str, ...]  # names, as `trm.store.stored.load` takes them; the votes of several are pooled too
    data: str = "embedded"
    rows: slice = field(default_factory=lambda: slice(None))  # of the tasks
    steps: int | None = None
    batch: int = 16
    votes: int | None = None  # per question and model
    submission: Path | None = None  # where to write the competition's file, from the votes of all models


@dataclass(frozen=True)
class EvaluatedModel:
    """A model, and how many of the tasks it knows from its training."""

    name: str
    not_trained_on: int  # tasks
    tests_trained_on: int  # tasks whose tests it was trained on, which makes them no test


@dataclass(frozen=True)
class EvalResult:
    """The votes of an evaluation, and what they are worth."""

    task: str  # the benchmark
    data: str  # without the folder
    models: tuple[EvaluatedModel, ...]
    tasks: tuple[ArcTask, ...]
    scored: tuple[ArcTask, ...]  # the tasks whose test answers are known
    votes: int  # per question and model, at most
    fewest: int  # of a question and model: a published model may know few augmentations of a task
    steps: int
    seconds: float
    single: Votes  # of the first model
    pooled: Votes | None  # of all models, if there are several

    @property
    def questions(self) -> int:
        return sum(len(task.test) for task in self.tasks)

    def scores(self) -> list[Score]:
        """Of the first model, one for each ranking rule; none where no answer is known."""
        return self._scores(self.single)

    def pooled_scores(self) -> list[Score]:
        """Of all models together, one for each ranking rule; none where there is only one model."""
        return [] if self.pooled is None else self._scores(self.pooled)

    def _scores(self, votes: Votes) -> list[Score]:
        return [score(votes, self.scored, rule) for rule in RULES] if self.scored else []

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        found: dict[str, Any] = {
            "task": self.task,
            "weights": self.models[0].name,
            "data": self.data,
            "tasks": len(self.tasks),
            "scored": len(self.scored),
            "questions": self.questions,
            "votes": self.votes,
            "fewest_votes": self.fewest,
            "steps": self.steps,
            "seconds": round(self.seconds, 3),
            "models": [asdict(model) for model in self.models],
        }
        for name, scores in (("scores", self.scores()), ("pooled", self.pooled_scores())):
            if scores:
                found[name] = [one.as_dict() for one in scores]
        return found


# Evaluation


def evaluate(request: EvalRequest, progress: Callable[[int, int], object] = lambda done, total: None) -> EvalResult:
    """Ask models of one ARC benchmark the tests of its evaluation tasks, or of other tasks, and count the votes.

    Args:
        request: the submission that it names is written.
        progress: called with the number of answers so far and in all.

    Raises:
        BadInput: no tasks, nothing to score, a model given twice, models of several benchmarks, a model that does not
            know the tasks, or more votes than embeddings.
    """
    models = load_models(request.models)
    benchmark = models[0].spec.name
    tasks = choose_tasks(benchmark, request)
    trainings = [training_of(model, store.find(name)) for model, name in zip(models, request.models, strict=True)]
    votes = request.votes or min(VOTES, *(training.most_votes or VOTES for training in trainings))
    steps = request.steps or trainings[0].run.max_steps
    evaluated = tuple(
        check_model(model, training, tasks, votes) for model, training in zip(models, trainings, strict=True)
    )
    done = 0
    total = sum(len(one.augmentations(task, votes)) * len(task.test) for one in trainings for task in tasks)

    def tick(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    device, began, cast = pick_device(), time.perf_counter(), list[Votes]()
    for model, training in zip(models, trainings, strict=True):
        placed(model.model, device)
        predictor = ModelPredictor(model, training, steps, request.batch, device, tick)
        cast.append(collect(predictor, tasks, partial(training.augmentations, count=votes)))
    seconds = time.perf_counter() - began
    pooled = pool(cast) if len(cast) > 1 else None
    if request.submission is not None:
        try:
            write_submission(request.submission, pooled or cast[0], tasks)
        except OSError as error:
            raise BadInput(f"cannot write {error.filename}: {error.strerror}") from None
    return EvalResult(
        task=benchmark,
        data=request.data if request.data == "embedded" else Path(request.data).name,
        models=evaluated,
        tasks=tasks,
        scored=answered(tasks),
        votes=votes,
        fewest=min(len(one.augmentations(task, votes)) for one in trainings for task in tasks),
        steps=steps,
        seconds=seconds,
        single=cast[0],
        pooled=pooled,
    )


def load_models(names: Sequence[str]) -> list[Stored]:
    """Models of one ARC benchmark. Raises BadInput for others, and for a model that is named twice."""
    # Checkpoints of one run have the same name, so all but the first are called by the name given here.
    models = [store.load(names[0]), *(replace(store.load(name), name=name) for name in names[1:])]
    benchmark = models[0].spec.name
    if benchmark not in VERSIONS:
        raise BadInput(f"{names[0]} solves {benchmark}, not ARC: trm eval {shlex.quote(names[0])}")
    for name, model in zip(names, models, strict=True):
        if model.spec.name != benchmark:
            raise BadInput(f"{names[0]} solves {benchmark} and {name} {model.spec.name}: pool models of one benchmark")
    if len({store.find(name).resolve() for name in names}) < len(names):
        raise BadInput("the votes of one model would be counted twice; name every model once")
    return models


def choose_tasks(benchmark: str, request: EvalRequest) -> tuple[ArcTask, ...]:
    """The tasks to solve. Raises BadInput for everything that can be known to fail before hours of work."""
    tasks = held_out_tasks(benchmark, request.data)[request.rows]
    if not tasks:
        raise BadInput(f"no tasks left: --skip {request.rows.start} leaves out all of the data")
    if not answered(tasks) and request.submission is None:
        raise BadInput(
            f"no test answer in {request.data} is known, so nothing to score; --submission FILE writes answers"
        )
    if request.submission is not None:
        check_writable(request.submission)
    return tasks


def check_model(stored: Stored, training: ArcTraining, tasks: Sequence[ArcTask], votes: int) -> EvaluatedModel:
    """What the model knows of the tasks. Raises BadInput where it lacks embeddings for them or for so many votes."""
    most = training.most_votes
    if most is not None and votes > most:
        each = f"has {'at most ' if training.identifiers else ''}{most} embeddings for a task, one for an augmentation"
        raise BadInput(f"--votes {votes}: model {stored.name!r} {each}; {most} is the most")
    new = sum(task.id not in training.places for task in tasks)
    if new == len(tasks) and training.run.model.puzzle_ids:
        raise BadInput(
            f"model {stored.name!r} was trained on none of these {new} tasks and has no embedding for them: give the "
            "tasks that it was trained on with --data"
        )
    return EvaluatedModel(stored.name, new, sum(task.id in training.tests_too for task in tasks))
