"""How runs learned: what their logs say, and how the weights that they kept solve held-out puzzles."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from trm.analysis.watch import Watch
from trm.devices import pick_device
from trm.errors import BadInput
from trm.inference.evaluation import evaluate_model
from trm.inference.loop import Thinking
from trm.inference.rows import rows_for
from trm.models.precision import placed
from trm.store.provenance import training_seconds, trainings, update_of
from trm.store.stored import CONFIG, load
from trm.tasks import find_family
from trm.training.log import LOG, logged

Floats = npt.NDArray[np.float64]
C = TypeVar("C", bound="Columns")

BATCH = 16  # puzzles that kept weights work on at once


@dataclass(frozen=True)
class Columns:
    """Entries of a log, in order. Every field is an array with a number for each entry."""

    update: Floats  # optimiser updates so far
    seconds: Floats  # of training so far, including the trainings of the weights that the run began with

    @classmethod
    def of(cls: type[C], entries: Sequence[Mapping[str, float]]) -> C:
        """Columns from entries that name every field."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: np.array([entry[name] for entry in entries], float) for name in names})

    def take(self: C, entries: npt.NDArray[Any]) -> C:
        """The entries at these positions, or where the mask is true."""
        return type(self)(**{field.name: getattr(self, field.name)[entries] for field in fields(self)})

    def stretches(self: C, most: int) -> list[C]:
        """Split into at most `most` parts of about equal length, none of them empty."""
        parts = np.array_split(np.arange(len(self)), min(most, len(self))) if len(self) else []
        return [self.take(part) for part in parts]

    def __len__(self) -> int:
        return len(self.update)


@dataclass(frozen=True)
class Reports(Columns):
    """What a log says about training."""

    loss: Floats  # of the answer
    exact: Floats  # sequences that ended with every cell right
    ended: Floats  # sequences that ended since the report before


@dataclass(frozen=True)
class Checks(Columns):
    """What a run's averaged weights did on held-out puzzles."""

    exact: Floats  # puzzles right after the last step
    puzzles: Floats


@dataclass(frozen=True)
class History:
    """The log of a run."""

    name: str
    reports: Reports
    checks: Checks
    damaged: tuple[int, ...] = ()  # numbers of lines that could not be read and are left out, from 1


def read_history(run: str) -> History:
    """Read the log in a run's folder. Damaged lines are left out; `History.damaged` says which.

    Raises BadInput: there is no log, it is empty, or no line of it is from a training.
    """
    path = Path(run) / LOG
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise BadInput(
            f"{run}: no log of a training ({path.name}: {error.strerror}); name the folder of a run"
        ) from None
    before = seconds_before(Path(run))
    reports: list[dict[str, float]] = []
    checks: list[dict[str, float]] = []
    damaged: list[int] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line.decode())
            entry = (_check if "check" in record else _report)(record, before)
            if not all(map(math.isfinite, entry.values())):
                raise ValueError("a number is not finite")
            (checks if "check" in record else reports).append(entry)
        except (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError):
            if number < len(lines):  # what follows the last line break may be cut off while it is written
                damaged.append(number)
    if not reports:
        fault = f"no line of {LOG} is from a training" if damaged else "nothing has been logged yet"
        raise BadInput(f"{run}: {fault}; name the folder of a run")
    return History(Path(run).name, Reports.of(reports), Checks.of(checks), tuple(damaged))


def _when(record: dict[str, Any], before: float) -> dict[str, float]:
    """The fields that both kinds of lines share. Older logs say `step` for an update."""
    update = logged(record["update"] if "update" in record else record["step"])
    return {"update": update, "seconds": logged(record["seconds"]) + before}


def _report(record: dict[str, Any], before: float) -> dict[str, float]:
    ended = logged(record["finished"])
    exact = logged(record["exact"]) * ended
    return {**_when(record, before), "loss": logged(record["loss"]), "exact": exact, "ended": ended}


def _check(record: dict[str, Any], before: float) -> dict[str, float]:
    puzzles = logged(record["check"]["rows"])
    return {**_when(record, before), "exact": logged(record["check"]["exact"][-1]) * puzzles, "puzzles": puzzles}


def seconds_before(run: Path) -> float:
    """For how long the weights that a run began with had been trained; 0 for new weights, or if it is not known."""
    try:
        about = json.loads((run / CONFIG).read_text(encoding="utf-8"))["about"]
        earlier = trainings(about)[1:]
        seconds = (training_seconds(earlier[0]) if earlier else None) or 0.0
        return seconds if math.isfinite(seconds) else 0.0
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return 0.0  # the run has not saved any weights yet


@dataclass(frozen=True)
class CheckSettings:
    """The held-out puzzles that kept weights solve, and how."""

    data: str  # a set's name or a file
    rows: slice
    thinking: Thinking


def check_kept(run: str, settings: CheckSettings, watch: Watch = Watch()) -> Checks:
    """Evaluate the weights that a run kept on the way (`keep_every`), and its last ones.

    Args:
        run: its folder.
        settings: the puzzles, and how to solve them.
        watch: told about every evaluation.

    Raises:
        BadInput: the run has no weights or the data no such rows, they do not go together, or the run is on ARC, which
            is scored by votes.
    """
    kept_ones = (*Path(run).glob("update-*"), *Path(run).glob("step-*"))  # "step": the former name
    folders = [folder for folder in (Path(run), *kept_ones) if (folder / CONFIG).is_file()]
    if not folders:
        raise BadInput(f"{run} holds no weights yet; a run saves them regularly (settings save_every, keep_every)")
    found: dict[int, dict[str, float]] = {}
    before, device, thinking = seconds_before(Path(run)), pick_device(), settings.thinking
    for folder in folders:
        kept = load(str(folder))
        if find_family(kept.spec.name).votes:
            raise BadInput(f"{run}: ARC is scored by votes over augmentations: trm eval-arc for each of its weights")
        stored, task, puzzles = rows_for(kept, settings.data, settings.rows)
        update = update_of(stored.about) or 0
        if update in found:
            continue  # the last weights are there twice if they were kept too
        for remark in puzzles.remarks:
            watch.remark(remark)
        progress = watch.begin(f"{Path(run).name} after {update} updates", len(puzzles))
        model = placed(stored.model, device)
        result = evaluate_model(model, task, puzzles, thinking.steps, BATCH, device, progress, thinking.until)
        seconds = stored.about.get("seconds", 0.0) + before
        found[update] = {
            "update": update,
            "seconds": seconds,
            "exact": float(result.exact[-1]),
            "puzzles": result.rows,
        }
    return Checks.of([found[update] for update in sorted(found)])
