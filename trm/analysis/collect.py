"""The models that `trm compare` is given, each with its record of the chosen rows. Missing records are made."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trm import store
from trm.analysis import records
from trm.analysis.compare import ComparedModel
from trm.analysis.cost import forward_cost, run_flops
from trm.analysis.records import Record, read_record, write_record
from trm.analysis.watch import Watch
from trm.devices import pick_device
from trm.errors import BadInput
from trm.inference.evaluation import evaluate_model
from trm.models.precision import placed
from trm.models.turns import unasked
from trm.store.provenance import run_settings, training_seconds, trainings, update_of
from trm.store.shipped import SHIPPED
from trm.store.stored import Stored
from trm.tasks import data_name, evaluation_puzzles, find_family, get_task
from trm.tasks.base import Puzzles, Task
from trm.training.config import RunConfig
from trm.training.datasets import task_of

EVALUATION = "evaluation.json"  # the record of a language model, in the folder of its evaluation
EVALUATIONS = "evaluations"  # the folder of a model's records, beside its weights


@dataclass(frozen=True)
class ModelSource:
    """What an argument of `trm compare` names: `record`, a language model's, or `stored`, one of our models."""

    name: str
    argument: str
    record: Record | None = None
    stored: Stored | None = None
    weights: str = ""  # sha256 of the file of weights
    folder: Path | None = None  # where its records are kept; None: not in a folder that is ours to write to

    @property
    def task(self) -> str:
        return self.record.task if self.record else self.model.spec.name

    @property
    def model(self) -> Stored:
        assert self.stored is not None
        return self.stored

    @property
    def identity(self) -> str:
        """The same for two sources of one model. Settings such as T and n belong to a model as much as weights do."""
        if self.record:
            return self.record.model_dump_json()
        return self.weights + self.model.model.config.model_dump_json()


def collect(
    arguments: Sequence[str],
    data: str = "embedded",
    steps: int = 16,
    rows: slice = slice(None),
    batch: int = 16,
    watch: Watch = Watch(),
) -> list[ComparedModel]:
    """Find the models, and evaluate those that have no record of these rows yet.

    New records are kept beside the weights of models in folders of the user.

    Args:
        arguments: folders of runs, names of shipped models or of models on the hub, folders of a language model's
            evaluation.
        data: a file of puzzles and answers, or the name of a set: `embedded`, `minimal` (both shipped) or `hub`.
        steps: supervision steps of our models.
        rows: of the data.
        batch: puzzles that a model works on at once.
        watch: told about every evaluation.

    Raises:
        BadInput: a model is missing, damaged or given twice; the models are of different tasks; there are no rows.
    """
    sources = [find_source(argument, name) for argument, name in zip(arguments, short_names(arguments), strict=True)]
    check_sources(sources)
    if all(one.record for one in sources):
        return [describe_model(one, one.record) for one in sources if one.record]
    task = get_task(sources[0].task)
    if find_family(task.spec.name).votes:
        raise BadInput("ARC is scored by votes over augmentations, not row by row: trm eval-arc MODEL for each model")
    puzzles = evaluation_puzzles(task, data).take(rows)
    if not len(puzzles):
        raise BadInput("no rows left: --skip leaves out all of the data")
    for remark in puzzles.remarks:
        watch.remark(remark)
    origin = data_name(data)
    return [
        describe_model(one, one.record or record_of(one, task, puzzles, origin, steps, batch, watch)) for one in sources
    ]


def check_sources(sources: Sequence[ModelSource]) -> None:
    """Raises BadInput for a model that is given twice, and for models of different tasks."""
    seen: dict[str, str] = {}
    for one in sources:
        if one.identity in seen:
            raise BadInput(f"{seen[one.identity]} and {one.argument} are the same model; name it once")
        seen[one.identity] = one.argument
        if one.task != sources[0].task:
            names = f"{sources[0].name} solves {sources[0].task} and {one.name} solves {one.task}"
            raise BadInput(f"{names}: compare models of one task")


def short_names(arguments: Sequence[str]) -> list[str]:
    """The last part of each path, or its parent for a folder `model`; the whole path where two are alike."""
    names = []
    for argument in arguments:
        path = Path(argument)
        path = path if path.name else path.resolve()
        names.append(path.parent.name if path.name == "model" and path.parent.name else path.name)
    counts = Counter(names)
    return [argument if counts[name] > 1 else name for argument, name in zip(arguments, names, strict=True)]


def find_source(argument: str, name: str) -> ModelSource:
    """Raises BadInput for an argument that is neither a model nor an evaluation, or is damaged."""
    path = Path(argument)
    alone = path / EVALUATION
    if alone.is_file() and not any((folder / "config.json").is_file() for folder in (path, path / "model")):
        record = read_record(alone)
        return ModelSource(record.name, argument, record)
    folder = store.find(argument)
    stored = store.load(argument)
    weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    # The package and the hub's cache are not ours to write to.
    ours = folder in (path, path / "model") and not folder.resolve().is_relative_to(SHIPPED.resolve())
    return ModelSource(name, argument, None, stored, weights, folder / EVALUATIONS if ours else None)


def record_of(
    source: ModelSource, task: Task, puzzles: Puzzles, origin: str, steps: int, batch: int, watch: Watch
) -> Record:
    """A model's record on `puzzles`: the one that is kept where weights, rows and steps are the same, else a new one.

    Args:
        source: one of our models.
        task: of all models.
        puzzles: the rows.
        origin: where the rows come from, for the record.
        steps: supervision steps.
        batch: puzzles that the model works on at once.
        watch: told about the evaluation, if there is one.
    """
    stored, rows = source.model, records.digests(puzzles.question)
    ids = () if puzzles.ids is None else map(str, puzzles.ids.tolist())
    parts = [source.identity, task.spec.name, *rows, *records.digests(puzzles.answer), *ids]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    path = source.folder and source.folder / f"{re.sub(r'[^A-Za-z0-9._-]', '_', origin)}-{key}-{steps}.json"
    if path:
        with contextlib.suppress(BadInput):  # missing or damaged: evaluated again
            kept = read_record(path)
            if kept.about.get("key") == key and kept.rows == rows and len(kept.exact) == steps:
                return kept
    if note := unasked(stored.model.config, steps):
        watch.remark(f"{source.name}: {note}")
    device = pick_device()
    model = placed(stored.model, device)
    result = evaluate_model(model, task, puzzles, steps, batch, device, watch.begin(source.name, len(puzzles)))
    assert result.rowwise is not None
    record = Record(
        name=stored.name,
        task=task.spec.name,
        data=origin,
        rows=rows,
        exact=tuple(map(records.pack, result.rowwise.exact)),
        valid=tuple(map(records.pack, result.rowwise.valid)),
        halted=tuple(result.rowwise.halted.tolist()),
        seconds=round(result.seconds, 3),
        about={"weights": source.weights, "model": stored.model.config.model_dump(), "key": key},
    )
    if path:
        with contextlib.suppress(OSError):  # the folder is read-only: evaluated again next time
            write_record(path, record)
    return record


def describe_model(source: ModelSource, record: Record) -> ComparedModel:
    """A record together with what else is known of its model."""
    if source.stored is None:
        return ComparedModel(source.name, source.argument, record, group=source.argument)
    model, spec, about = source.stored.model, source.stored.spec, source.stored.about
    run = run_settings(about)
    group, seed = source.argument, None
    # The `run` of networks that take turns is that of the first one alone.
    if "turns" not in about and isinstance(run, dict) and isinstance(run.get("seed"), int):
        # A run that was stopped early, or whose data had other content, is not in the same group.
        rest = {key: value for key, value in run.items() if key not in ("seed", "report")}
        group, seed = json.dumps([rest, update_of(about), about.get("data")], sort_keys=True), run["seed"]
    return ComparedModel(
        name=source.name,
        source=source.argument,
        record=record,
        group=group,
        seed=seed,
        parameters=sum(value.numel() for value in model.parameters()),
        step_flops=forward_cost(model.config, spec).flops,
        training_seconds=training_seconds(about),
        training_flops=training_flops(source.stored),
    )


def training_flops(stored: Stored) -> int | None:
    """FLOPs of all trainings that a model went through; None where it does not say how it was trained."""
    total = 0
    for about in trainings(stored.about):
        try:
            run = RunConfig.model_validate(about["run"])
            total += run_flops(run, task_of(run).spec, int(update_of(about)))
        except (KeyError, TypeError, ValueError, BadInput):
            return None
    return total
