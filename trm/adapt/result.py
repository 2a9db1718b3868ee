"""The result of adapting to one task, and the file that holds it."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from trm.adapt.learn import Adaptation, AdaptSettings, Fit
from trm.arc.votes import ATTEMPTS, Votes, rank, score
from trm.errors import BadInput, TrmError
from trm.files import write_text
from trm.tasks.arc.sets import answered
from trm.tasks.arc.text import ArcTask, Grid, parse_grid

LONGEST = 160  # characters of a file's name, without its ending; file systems take 255 bytes


class GridVotes(BaseModel):
    """An answer, and the votes for it."""

    model_config = ConfigDict(extra="forbid")

    grid: list[list[int]]
    confidences: list[float]  # one per vote: the model's probability that every cell is right


class Moment(BaseModel):
    """When the attempts changed, and to what."""

    model_config = ConfigDict(extra="forbid")

    seconds: float  # of processor time
    tests: list[list[list[list[int]]]]  # for each test its attempts


class Result(BaseModel):
    """The result of one task, as its file holds it. The first two answers to a test are the attempts at it."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="constants")

    format: Literal[2] = 2
    task: str  # its id
    asked: str  # the task's `fingerprint`
    settings: dict[str, Any]  # as `trm.adapt.learn.AdaptSettings` names them, perhaps those of another version
    seconds: float  # of processor time
    models: list[Fit]  # empty in files of earlier versions where no rule for the size of the answer holds
    tests: list[list[GridVotes]]  # for each test, best answer first
    moments: list[Moment] = []  # earlier versions noted none

    @model_validator(mode="before")
    @classmethod
    def _rename_steps(cls, data: Any) -> Any:
        """Updates were called steps in files of earlier versions."""
        if not isinstance(data, dict):
            return data
        parts = {"settings": _renamed(data.get("settings"))}
        if isinstance(parts["settings"], dict):
            parts["settings"].setdefault("precision", "float32")  # of versions that had no other
        if isinstance(data.get("models"), list):
            parts["models"] = [_renamed(model) for model in data["models"]]
        return {**data, **{name: part for name, part in parts.items() if name in data}}

    @classmethod
    def of(cls, task: ArcTask, adaptation: Adaptation, settings: AdaptSettings) -> Result:
        """The result of `adapt(task, settings)`."""
        tests = [
            [GridVotes(grid=grid.tolist(), confidences=ballot[_key(grid.tolist(), task.id)]) for grid in rank(ballot)]
            for ballot in adaptation.votes.ballots[task.id]
        ]
        return cls(
            task=task.id,
            asked=fingerprint(task),
            settings=asdict(settings),
            seconds=round(adaptation.seconds, 2),
            models=adaptation.fits,
            tests=tests,
            moments=[
                Moment(seconds=round(seconds, 2), tests=[[grid.tolist() for grid in test] for test in attempts])
                for seconds, attempts in adaptation.moments
            ],
        )

    def ballots(self) -> list[dict[bytes, list[float]]]:
        """The votes for each test, in the form of `trm.arc.votes`. Raises BadInput for an invalid grid."""
        return [{_key(answer.grid, self.task): answer.confidences for answer in test} for test in self.tests]

    def attempts(self) -> list[list[Grid]]:
        """For each test, at most two grids, best first."""
        return [[np.array(answer.grid, np.uint8) for answer in test[:ATTEMPTS]] for test in self.tests]

    def confidence(self) -> list[list[float]]:
        """For each attempt: the sum of its votes' confidences as a share of all votes, 0 to 1."""
        cast = [sum(len(answer.confidences) for answer in test) for test in self.tests]
        return [
            [math.fsum(answer.confidences) / count for answer in test[:ATTEMPTS]]
            for test, count in zip(self.tests, cast, strict=True)
        ]


def _renamed(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    return {"updates" if name == "steps" else name: value for name, value in part.items()}


def is_solved(task: ArcTask, result: Result) -> bool | None:
    """Whether every test is answered by one of its two attempts; None where the answers are not known."""
    if not answered((task,)):
        return None
    return score(Votes({task.id: result.ballots()}), [task], passes=(ATTEMPTS,)).passes[ATTEMPTS].share == 1


def fingerprint(task: ArcTask) -> str:
    """A short digest of everything that adapting looks at. It tells two tasks of the same id apart."""
    seen = [[pair.as_dict() for pair in task.train], [pair.question.tolist() for pair in task.test]]
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:16]


def _key(grid: list[list[int]], place: str) -> bytes:
    """A grid as a key of a ballot. Raises BadInput for an invalid grid."""
    whole = parse_grid(grid, place)
    return bytes(whole.shape) + whole.tobytes()


# Files


def result_path(out: Path, id: str) -> Path:
    """The file of a task's result in the folder `out`. No id makes a name too long for a file."""
    name = quote(id, safe="")
    if len(name) > LONGEST:
        name = f"{name[: LONGEST // 2]}-{hashlib.sha256(id.encode()).hexdigest()[:16]}"
    return out / "tasks" / f"{name}.json"


def make_folder(out: Path) -> None:
    """Make the folder for results. Call it before the work. Raises BadInput where that is not possible."""
    try:
        (out / "tasks").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot make the folder {out / 'tasks'}: {error.strerror}; give another --out") from None


def write_result(out: Path, result: Result) -> None:
    """Write the file of a result. Raises TrmError where that is not possible."""
    path = result_path(out, result.task)
    try:
        write_text(path, result.model_dump_json() + "\n")
    except OSError as error:
        raise TrmError(f"cannot write {path}: {error.strerror}") from None


def read_result(out: Path, task: ArcTask, settings: AdaptSettings) -> Result | None:
    """Read a task's result; None where the task is not done yet.

    Raises:
        BadInput: the file is damaged, belongs to another task of the same id, or was made with other settings.
    """
    path = result_path(out, task.id)
    if not path.exists():
        return None
    try:
        result = Result.model_validate_json(path.read_bytes())
        result.ballots()
    except (OSError, ValidationError, BadInput) as error:
        why = str(error).splitlines()[0]
        raise BadInput(f"{path} is not a result of trm adapt ({why}); delete it to do the task again") from None
    if (result.task, result.asked, len(result.tests)) != (task.id, fingerprint(task), len(task.test)):
        raise BadInput(f"{path} is the result of another task; give another --out")
    wanted = asdict(settings)
    for name in sorted(wanted.keys() | result.settings.keys()):
        made, want = result.settings.get(name), wanted.get(name)
        if made != want:
            raise BadInput(f"{path} was made with {name}={made}, not {want}; give another --out")
    return result
