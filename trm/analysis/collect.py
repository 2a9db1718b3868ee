"""What `trm compare` is given: folders and names in, records of the chosen rows out, evaluated where there is none."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trm import store
from trm.analysis import records
from trm.analysis.compare import Entry
from trm.analysis.cost import forward_cost, run_flops
from trm.analysis.records import Record
from trm.devices import pick_device
from trm.errors import BadInput
from trm.inference.evaluate import evaluate
from trm.models.turns import unasked
from trm.store.provenance import training_seconds, trainings
from trm.store.shipped import SHIPPED
from trm.store.stored import Stored
from trm.tasks import find_family, get_task, load_puzzles
from trm.tasks.base import Puzzles, Task
from trm.training.config import RunConfig
from trm.training.datasets import task_of

EVALUATION = "evaluation.json"  # what the folder of a language model holds
EVALUATIONS = "evaluations"  # the folder beside a model's weights where its records are kept

Watch = Callable[[str, int], Callable[[int], object]]  # (name, rows) of an evaluation -> what is told of rows done


@dataclass(frozen=True)
class Found:
    """An argument of the command, read. Either `record` (a language model's) or `stored` is there."""

    name: str
    source: str  # the argument
    record: Record | None = None
    stored: Stored | None = None
    weights: str = ""  # sha256 of the weights' file
    keep: Path | None = None  # the folder for its records; None: not ours to write to

    @property
    def task(self) -> str:
        return self.record.task if self.record else self.model.spec.name

    @property
    def model(self) -> Stored:
        assert self.stored is not None
        return self.stored

    @property
    def identity(self) -> str:
        """Weights alone do not make a model: T and n are settings."""
        if self.record:
            return self.record.model_dump_json()
        return self.weights + self.model.model.config.model_dump_json()


def collect(
    arguments: Sequence[str],
    data: str = "embedded",
    steps: int = 16,
    rows: slice = slice(None),
    batch: int = 16,
    watch: Watch = lambda name, rows: lambda done: None,
) -> list[Entry]:
    """Read what every argument names; evaluate the models whose record of these rows is not there yet, and keep it.

    Args:
        arguments: folders, names of shipped models or of the hub's, folders of a language model's evaluation.
        data: a file of puzzles and answers, `hub`, or `embedded`, `minimal` (both shipped).
        steps: supervision steps of our models.
        rows: of the data.
        batch: puzzles at once.
        watch: told of every evaluation.

    Raises:
        BadInput: something is not there, damaged or given twice; other tasks than the first one's; no rows.
    """
    found = [find(argument, name) for argument, name in zip(arguments, short_names(arguments), strict=True)]
    check(found)
    if all(one.record for one in found):
        return [entry(one, one.record) for one in found if one.record]
    task = get_task(found[0].task)
    if find_family(task.spec.name).votes:
        raise BadInput("ARC is scored by votes over augmentations, not row by row: trm eval MODEL for each model")
    part: Literal["minimal", "validation"] = "minimal" if data == "minimal" else "validation"
    puzzles = load_puzzles(task, "embedded" if data == "minimal" else data, part).take(rows)
    if not len(puzzles):
        raise BadInput("no rows left: --skip leaves out all of the data")
    source = data if data in ("embedded", "minimal", "hub") else Path(data).name
    return [entry(one, one.record or evaluated(one, task, puzzles, source, steps, batch, watch)) for one in found]


def check(found: Sequence[Found]) -> None:
    """Raises BadInput for a model that is there twice, and for models of two tasks."""
    seen: dict[str, str] = {}
    for one in found:
        if one.identity in seen:
            raise BadInput(f"{seen[one.identity]} and {one.source} are the same model; name it once")
        seen[one.identity] = one.source
        if one.task != found[0].task:
            names = f"{found[0].name} solves {found[0].task} and {one.name} {one.task}"
            raise BadInput(f"{names}: compare models of one task")


def short_names(arguments: Sequence[str]) -> list[str]:
    """The last part of each path that tells; the whole path where two have the same."""
    names = []
    for argument in arguments:
        path = Path(argument)
        path = path if path.name else path.resolve()
        names.append(path.parent.name if path.name == "model" and path.parent.name else path.name)
    counts = Counter(names)
    return [argument if counts[name] > 1 else name for argument, name in zip(arguments, names, strict=True)]


def find(argument: str, name: str) -> Found:
    """Raises BadInput for what is no model and no evaluation, or damaged."""
    path = Path(argument)
    alone = path / EVALUATION
    if alone.is_file() and not any((folder / "config.json").is_file() for folder in (path, path / "model")):
        record = read_record(alone)
        return Found(record.name, argument, record)
    folder = store.find(argument)
    stored = store.load(argument)
    weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    # Neither the package nor the hub's cache is ours to write to.
    ours = folder in (path, path / "model") and not folder.resolve().is_relative_to(SHIPPED.resolve())
    return Found(name, argument, None, stored, weights, folder / EVALUATIONS if ours else None)


def read_record(path: Path) -> Record:
    """Raises BadInput for a record that is damaged or makes no sense."""
    record = records.load(path)
    flags = set("".join(record.exact + record.valid))
    if not record.rows or flags - {"0", "1"} or not all(1 <= step <= len(record.exact) for step in record.halted):
        raise BadInput(f"{path} makes no sense: no rows, flags that are not 0 or 1, or steps that were not made")
    return record


def evaluated(one: Found, task: Task, puzzles: Puzzles, source: str, steps: int, batch: int, watch: Watch) -> Record:
    """The model's record on `puzzles`: the one that is kept if weights and rows are the same, else a new one."""
    stored, rows = one.model, records.digests(puzzles.question)
    ids = () if puzzles.ids is None else map(str, puzzles.ids.tolist())
    parts = [one.identity, task.spec.name, *rows, *records.digests(puzzles.answer), *ids]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    path = one.keep and one.keep / f"{re.sub(r'[^A-Za-z0-9._-]', '_', source)}-{key}-{steps}.json"
    if path:
        with contextlib.suppress(BadInput):  # not there, or damaged: evaluated again
            kept = read_record(path)
            if kept.about.get("key") == key and kept.rows == rows and len(kept.exact) == steps:
                return kept
    if note := unasked(stored.model.config, steps):
        print(f"{one.name}: {note}", file=sys.stderr)
    device = pick_device()
    model = stored.model.to(device)
    result = evaluate(model, task, puzzles, steps, batch, device, watch(one.name, len(puzzles)))
    assert result.rowwise is not None
    record = Record(
        name=stored.name,
        task=task.spec.name,
        data=source,
        rows=rows,
        exact=tuple(map(records.pack, result.rowwise.exact)),
        valid=tuple(map(records.pack, result.rowwise.valid)),
        halted=tuple(result.rowwise.halted.tolist()),
        seconds=round(result.seconds, 3),
        about={"weights": one.weights, "model": stored.model.config.model_dump(), "key": key},
    )
    if path:
        with contextlib.suppress(OSError):  # a folder that only may be read: evaluated again next time
            records.save(path, record)
    return record


def entry(one: Found, record: Record) -> Entry:
    """What is known of a model beside its record."""
    if one.stored is None:
        return Entry(one.name, one.source, record, pool=one.source)
    model, spec, about = one.stored.model, one.stored.spec, one.stored.about
    run = about.get("run")
    pool, seed = one.source, None
    # That of networks that take turns is the run of the first.
    if "turns" not in about and isinstance(run, dict) and isinstance(run.get("seed"), int):
        # A run that was stopped early, or on other data of the same name, is another run.
        rest = {key: value for key, value in run.items() if key != "seed"}
        pool, seed = json.dumps([rest, about.get("step"), about.get("data")], sort_keys=True), run["seed"]
    return Entry(
        name=one.name,
        source=one.source,
        record=record,
        pool=pool,
        seed=seed,
        weights=sum(value.numel() for value in model.parameters()),
        flops=forward_cost(model.config, spec).flops,
        seconds=training_seconds(about),
        training_flops=training_flops(one.stored),
    )


def training_flops(stored: Stored) -> int | None:
    """Of all its trainings; None where the model does not say how it was trained."""
    total = 0
    for about in trainings(stored.about):
        try:
            run = RunConfig.model_validate(about["run"])
            total += run_flops(run, task_of(run).spec, int(about["step"]))
        except (KeyError, TypeError, ValueError, BadInput):
            return None
    return total
