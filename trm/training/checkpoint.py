"""A training checkpoint: one file with everything that a run needs to continue as if it had never stopped."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from trm.errors import BadInput, TrmError
from trm.files import write_atomic
from trm.numbers import LARGEST, is_finite
from trm.store.stored import CHECKPOINT, CONFIG, WEIGHTS
from trm.store.torch_files import is_plain, not_finite, read_torch_file
from trm.tasks.text import printable

if TYPE_CHECKING:
    from trm.training.trainer import Trainer

VERSION = 1
NUMBERS = ("betas", "eps", "momentum", "params", "weight_decay")  # settings of optimisers that a checkpoint must repeat
KINDS: dict[str, Any] = {"config": str, "name": str, "about": dict, "seconds": (int, float), "trainer": dict}
STATES = {"AdamAtan2": {"step", "m", "v"}, "Muon": {"m"}, "AdamW": {"step", "exp_avg", "exp_avg_sq"}}


def save(folder: Path, content: dict[str, Any]) -> None:
    """Write `content` (tensors, numbers, strings, dicts, lists) to the run's folder atomically."""
    write_atomic(folder / CHECKPOINT, lambda file: torch.save({"version": VERSION, **content}, file))


def load(folder: Path) -> dict[str, Any]:
    """Read a run's checkpoint. Raises BadInput where there is none, TrmError where it is damaged."""
    path = folder / CHECKPOINT
    if not path.is_file():
        raise BadInput(f"{folder} holds no {CHECKPOINT}: nothing to resume; give the --out folder of an earlier run")
    try:
        content = read_torch_file(path)
        if not isinstance(content, dict) or "version" not in content:
            raise ValueError("it holds something else")
    except ValueError as error:
        raise damaged(folder, str(error)) from None
    if type(content["version"]) is not int or content["version"] != VERSION:
        raise TrmError(f"{path} is of version {describe(content['version'])}, this program reads version {VERSION}")
    for key, kind in KINDS.items():
        if not isinstance(content.get(key), kind):
            raise damaged(folder, f"{key} is missing" if key not in content else f"{key} is of a wrong type")
    if not isinstance(content["about"].get("data"), dict) or "sha256" not in content["about"]["data"]:
        raise damaged(folder, "about.data.sha256 is missing")
    try:
        json.dumps(content["about"])  # as it is written beside the weights
    except (TypeError, ValueError, RecursionError):
        raise damaged(folder, "about is of a wrong type") from None
    if not is_finite(content["seconds"]):
        raise damaged(folder, f"seconds is {describe(content['seconds'])}")
    return content


def damaged(folder: Path, reason: str) -> TrmError:
    """The error for a damaged checkpoint. It names the way to go on."""
    go_on = "restore it from a copy, or start a new run in another --out"
    if (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file():
        go_on += f" (--set {shlex.quote(f'init={folder}')} begins with the weights that were saved last)"
    return TrmError(f"{folder / CHECKPOINT} is damaged: {reason}. Nothing was changed; {go_on}")


# The part of the trainer


class Damage(Exception):
    """What is wrong with the part of a checkpoint that the trainer saved."""


def check(content: dict[str, Any], trainer: Trainer) -> None:
    """Check `content`, which `Trainer.state_dict` gave, before it is loaded into `trainer`, a new one of the same run.

    Raises:
        Damage: something is missing, of a wrong shape or type, or not finite; the message names it.
    """
    updates = content.get("update", content.get("step"))  # "step": its former name
    if type(updates) is not int or not 0 <= updates <= trainer.config.updates:
        raise Damage(f"update is {describe(updates)}")
    params = dict(trainer.model.named_parameters())
    compare("model", part(content, "model"), trainer.model.state_dict())
    compare("ema", part(content, "ema"), trainer.ema.average)
    for key in ("model", "ema"):
        if fault := not_finite(content[key]):
            raise Damage(f"{key}: {fault}")
    names = {id(value): name for name, value in params.items()}
    saved = content.get("optimizers")
    if not isinstance(saved, list) or len(saved) != len(trainer.optimizers):
        raise Damage("optimizers are missing")
    for number, (optimizer, state) in enumerate(zip(trainer.optimizers, saved, strict=True)):
        groups = optimizer.state_dict()["param_groups"]
        ordered = [names[id(value)] for group in optimizer.param_groups for value in group["params"]]
        untouched = {name for name in ordered if content["model"][name].equal(content["ema"][name]) or not updates}
        check_groups(f"optimizers[{number}]", state, groups)
        kinds = STATES[type(optimizer).__name__]
        check_moments(f"optimizers[{number}]", state, kinds, {name: params[name] for name in ordered}, untouched)
    stage = trainer.stages[trainer.config.stage_at(updates)]
    slots = part(content, "slots")
    check_slots(slots, trainer.config.batch, stage.task.spec.cells, stage.model.start(1))
    ids = trainer.config.model.puzzle_ids or sys.maxsize  # without embeddings nothing is looked up
    for name, end in (("question", stage.task.spec.vocab), ("answer", stage.task.spec.vocab), ("ids", ids)):
        if not ((slots[name] >= 0) & (slots[name] < end)).all():
            raise Damage(f"slots.{name} holds a number that is not one of 0 to {end - 1}")
    if fault := not_finite({name: slots[name] for name in ("y", "z")}):
        raise Damage(f"slots: {fault}")
    for name in ("steps", "taken"):
        if (slots[name] < 0).any():
            raise Damage(f"slots.{name} holds a negative number")
    totals = part(content, "totals")
    for name, value in vars(trainer.totals).items():
        if not is_finite(totals.get(name, value if name == "hint_loss" else None)):
            raise Damage(f"totals.{name} is {describe(totals.get(name))}")
    if unknown := totals.keys() - vars(trainer.totals).keys():
        raise Damage(f"totals.{printable(min(unknown))} is unknown")


def part(content: dict[str, Any], name: str) -> dict[str, Any]:
    """The part `name`, a dictionary with names as keys. Raises Damage."""
    found = content.get(name)
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise Damage(f"{name} is {describe(found)}")
    return found


def compare(name: str, found: Mapping[str, Any], wanted: Mapping[str, Tensor], types: bool = True) -> None:
    """Raise Damage unless `found` has the tensors of `wanted`, with their shapes and types."""
    for key in sorted(found.keys() | wanted.keys()):
        have, want = found.get(key), wanted.get(key)
        if want is None:
            raise Damage(f"{name}.{printable(key)} is unknown")
        if not is_plain(have) or have.shape != want.shape or (types and have.dtype != want.dtype):
            raise Damage(f"{name}.{key} is {describe(have)} and should be {describe(want)}")


def check_groups(name: str, state: Any, groups: list[dict[str, Any]]) -> None:
    """Raise Damage unless the saved `state` of an optimiser has the settings that its `groups` have now."""
    saved = state.get("param_groups") if isinstance(state, dict) else None
    if not isinstance(saved, list) or len(saved) != len(groups):
        raise Damage(f"{name}.param_groups is {describe(saved)}")
    for have, want in zip(saved, groups, strict=True):
        if not isinstance(have, dict):
            raise Damage(f"{name}.param_groups holds {describe(have)}")
        for key in NUMBERS:
            if key not in want:
                continue
            if key not in have:
                raise Damage(f"{name}.param_groups.{key} is missing")
            if repr(have[key]) != repr(want[key]):  # as text, since it may be anything
                raise Damage(f"{name}.param_groups.{key} has another value than the run's settings")


def check_moments(
    name: str, state: dict[str, Any], kinds: set[str], params: Mapping[str, Tensor], untouched: set[str]
) -> None:
    """Raise Damage unless the saved `state` of an optimiser fits its `params`, in order, each with values of `kinds`.

    Only parameters that are `untouched` by training may have none.
    """
    moments = state.get("state")
    if not isinstance(moments, dict):
        raise Damage(f"{name}.state is {describe(moments)}")
    if unknown := moments.keys() - set(range(len(params))):
        raise Damage(f"{name}.state has a parameter {describe(min(unknown, key=str))} that the model has not")
    for number, (param, tensor) in enumerate(params.items()):
        if number not in moments:
            if param not in untouched:
                raise Damage(f"{name}.state of {param} is missing")
            continue
        values = moments[number]
        if not isinstance(values, dict) or values.keys() != kinds:
            raise Damage(f"{name}.state of {param} has not the values {', '.join(sorted(kinds))}")
        steps = values.get("step", 0)
        if is_plain(steps) and steps.shape == () and steps.dtype == torch.float32:
            whole = 0 <= steps.item() <= LARGEST
        else:
            whole = type(steps) is int and 0 <= steps <= LARGEST
        if not whole:
            raise Damage(f"{name}.state of {param}: step is {describe(values['step'])}")
        rest = {kind: value for kind, value in values.items() if kind != "step"}
        compare(f"{name}.state of {param}: ", rest, dict.fromkeys(rest, tensor))
        if fault := not_finite(rest):
            raise Damage(f"{name}.state of {param}: {fault}")


def check_slots(found: dict[str, Any], batch: int, cells: int, start: Any) -> None:
    """Raise Damage unless `found` are the slots of a batch, for puzzles of so many cells and states as `start`."""
    with torch.device("meta"):
        tokens, counts = torch.empty(batch, cells, dtype=torch.uint8), torch.empty(batch, dtype=torch.long)
        wanted = {"question": tokens, "answer": tokens, "ids": counts, "steps": counts, "taken": counts}
        wanted["halted"] = torch.empty(batch, dtype=torch.bool)
        for name, value in (("y", start.y), ("z", start.z)):
            wanted[name] = torch.empty(batch, *value.shape[1:], dtype=value.dtype)
    compare("slots", found, wanted)


def describe(value: Any) -> str:
    """A value of a checkpoint in a few words."""
    if value is None:
        return "missing"
    if isinstance(value, Tensor):
        kind = "" if is_plain(value) else "no plain "
        return f"{kind}{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    return str(value) if isinstance(value, int | float) else f"a {type(value).__name__}"
