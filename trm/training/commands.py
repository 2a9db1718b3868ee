"""What a run's folder says of how it was started, and the commands that go on from there."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from trm.errors import BadInput
from trm.files import read_object
from trm.remarks import report
from trm.tasks import find_family
from trm.tasks.custom.task import FAMILY as CUSTOM
from trm.training.config import RunConfig

RECORD = "run.json"  # in a run's folder
NO_PATHS = ("", "embedded", "generated", "hub")  # values of `data` that name no file


class Launch(NamedTuple):
    """How a run was started; 0 where that is not known."""

    processes: int = 0
    threads: int = 0  # of each process
    batch: int = 0  # slots over all processes


def read_launch(folder: Path) -> Launch:
    """How the run in `folder` was started the last time. What cannot be read is named on standard error."""
    bad = list[str]()
    for name, part in ((RECORD, "launch"), ("config.json", "about")):  # older runs say it only beside their weights
        try:
            content = read_object(folder / name)
            if part not in content:
                continue  # an older run's
            values = content[part]
            run = content["run"] if name == RECORD else values["run"]
            launch = Launch(values["processes"], values["threads"], run["batch"])
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            bad.append(name)
            continue
        if all(type(count) is int and count > 0 for count in launch):
            if bad:
                report(f"{folder / RECORD} is damaged: how the run was started is read from {name}")
            return launch
        bad.append(name)
    if bad:
        report(
            f"{folder}: {' and '.join(bad)} damaged: with how many processes and threads the run was started is not "
            "known; if it was with others than now, give --procs and --threads"
        )
    return Launch()


@dataclass(frozen=True)
class DataPaths:
    """Where the files lie that a run reads, whatever folder it is resumed from. Empty for what is no file."""

    data: str = ""
    extra: str = ""  # `arc.extra`

    @classmethod
    def of(cls, config: RunConfig) -> DataPaths:
        """The absolute paths of the files that `config` names, seen from the current folder."""
        data = "" if config.data in NO_PATHS else str(Path(config.data).absolute())
        return cls(data, str(Path(config.arc.extra).absolute()) if config.arc.extra else "")

    @classmethod
    def read(cls, values: Any) -> DataPaths:
        """From a checkpoint, where it has them: older ones have none."""
        known = values if isinstance(values, Mapping) else {}
        return cls(**{name: known[name] for name in ("data", "extra") if isinstance(known.get(name), str)})

    def applied(self, config: RunConfig) -> RunConfig:
        """`config` with these paths in place of its relative ones where the files are still there."""
        if config.data not in NO_PATHS:
            config = config.changed(data=found(config.data, self.data))
        if config.arc.extra:
            config = config.changed(arc=config.arc.changed(extra=found(config.arc.extra, self.extra)))
        return config


def found(typed: str, recorded: str) -> str:
    """A path as it was typed, or where it was then (`recorded`; empty: not known) if it is relative and still there."""
    return recorded if recorded and not Path(typed).is_absolute() and Path(recorded).exists() else typed


def shown(path: str | Path) -> str:
    """A path as an argument of a command, where it is not taken for an option."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def resume_command(preset: str, folder: Path, processes: int, threads: int) -> str:
    """The command that continues the run in `folder`; `processes` and `threads` as they were given, 0: not given."""
    command = ["trm", "train", preset, "--out", shown(folder), "--resume"]
    for option, count in (("--procs", processes), ("--threads", threads)):
        command += [option, str(count)] if count else []
    return shlex.join(command)


class NextStep(NamedTuple):
    """What to do with a trained model."""

    command: str
    remark: str = ""  # what to know of it; may be empty


def eval_command(folder: Path) -> NextStep:
    """The command that measures the model of the run in `folder`. It can be run in the current folder."""
    content = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    config, paths = RunConfig.model_validate(content["run"]), DataPaths.read(content.get("paths"))
    data, model = config.data, shown(folder)
    if data not in NO_PATHS and paths.data and Path(data).absolute() != Path(paths.data):
        data = paths.data  # the run was begun in another folder
    family = find_family(config.task)
    if family.votes:
        return NextStep(shlex.join(("trm", "eval-arc", model, *arc_options(folder, data))))
    if has_embedded(config):
        return NextStep(shlex.join(("trm", "eval", model)))
    if data == "generated":
        spec, test = family.task(config.task).spec, shown(folder / "test.csv")
        size = ("--height", str(spec.height), "--width", str(spec.width))
        make = shlex.join(("trm", "data", family.name, test, *size))
        return NextStep(f"{make} && {shlex.join(('trm', 'eval', model, '--data', test))}")
    if data in NO_PATHS:
        return NextStep(shlex.join(("trm", "eval", model, "--data", data)))
    remark = "no other puzzles of this task are known, so these are the ones it was trained on: --data may name others"
    return NextStep(shlex.join(("trm", "eval", model, "--data", shown(data))), remark)


def arc_options(folder: Path, data: str) -> list[str]:
    """The options of `trm eval-arc` for a model that was trained on `data`."""
    from trm.tasks.arc.sets import answered
    from trm.tasks.arc.text import read_tasks

    if data in NO_PATHS:
        return []
    options = ["--data", shown(data)]
    try:
        scored = bool(answered(read_tasks(data)))
    except BadInput:  # the files have changed since, which is no fault of the run
        scored = True
    return options if scored else [*options, "--submission", shown(folder / "submission.json")]


def has_embedded(config: RunConfig) -> bool:
    """Whether puzzles that no run trains on ship for the task of the run."""
    if config.task == CUSTOM:
        return False
    family = find_family(config.task)
    try:
        family.embedded(family.task(config.task), "validation")
    except BadInput:
        return False
    return True
