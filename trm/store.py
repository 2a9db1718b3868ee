"""Our model format: a folder with `config.json` (all that is needed to rebuild and trust it) and safetensors."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from trm.checkpoint import check_free
from trm.errors import BadInput
from trm.files import check_writable, write_atomic, write_text
from trm.hub import fetch
from trm.models import TRM, ModelConfig, Spec, build
from trm.models.turns import TurnsTRM
from trm.tasks import register_task
from trm.tasks.arc.text import VERSIONS
from trm.tasks.custom.task import FAMILY, task_of_run

FORMAT = 1
CONFIG = "config.json"
SHIPPED = Path(__file__).parent / "weights"
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
RUNS = Path("runs")  # where `trm train` puts its folders: no owner on the hub, even before the first of them


@dataclass(frozen=True)
class Stored:
    """A model with what is known of it."""

    model: TRM
    spec: Spec
    name: str
    about: dict[str, Any] = field(default_factory=dict)  # provenance: command, data, commit, accuracy, ...


def trainings(about: dict[str, Any]) -> list[dict[str, Any]]:
    """What is known of a model's training, then of that of the model whose weights it began with, and so on; the last
    is empty where nothing is known of one. Of networks that take turns: of each, but of a training that several come
    from only the most that was done of it.
    """
    if "turns" in about:
        return once([one for member in about["turns"] for one in trainings(member)])
    known = [about]
    if "init" in about or (isinstance(about.get("run"), dict) and about["run"].get("init")):
        began = about.get("init")
        known += trainings(began if isinstance(began, dict) else {})
    return known


def once(known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """`known` without the earlier states of trainings that are there more than once."""
    longest: dict[str, dict[str, Any]] = {}
    for number, one in enumerate(known):
        told = {key: one[key] for key in ("command", "data", "run", "init") if key in one}
        key = json.dumps(told, sort_keys=True) if told else str(number)  # what is not known of may be another each time
        if key not in longest or one.get("step", 0) > longest[key].get("step", 0):
            longest[key] = one
    return list(longest.values())


def training_seconds(about: dict[str, Any]) -> float | None:
    """Of all trainings of a model; None where one does not say."""
    total = 0.0
    for one in trainings(about):
        if not isinstance(seconds := one.get("seconds"), int | float):
            return None
        total += seconds
    return total


def save_model(
    folder: Path, model: nn.Module, config: ModelConfig, spec: Spec, name: str, about: dict[str, Any]
) -> None:
    """Write `config.json` and `model.safetensors` to `folder`, each atomically."""
    tensors = {key: value.detach().cpu().float().contiguous() for key, value in model.state_dict().items()}
    write_atomic(folder / "model.safetensors", lambda file: file.write(save(tensors)))
    content = {"format": FORMAT, "name": name, "task": asdict(spec), "model": config.model_dump(), "about": about}
    write_text(folder / CONFIG, json.dumps(content, indent=1) + "\n")


def take_turns(names: Sequence[str], out: Path, steps: int) -> None:
    """Write to the folder `out` a model of stored ones that take turns of `steps` supervision steps; the first begins.

    Raises:
        BadInput: fewer than two models, of different shapes or tasks, or of a kind that cannot; or `out` holds a model.
    """
    check_free(out, "OUT")
    models = [load(name) for name in names]
    if len(models) < 2:
        raise BadInput("to take turns there must be two models or more")
    first = models[0]
    for name, other in zip(names, models, strict=True):
        if other.model.config.turns > 1:
            raise BadInput(f"{name} is already networks that take turns; name the models that it was made of")
        if other.spec.name in VERSIONS:
            raise BadInput(f"{name} knows ARC tasks by numbers of its own, so it cannot take turns with another model")
        if (other.model.config, other.spec) != (first.model.config, first.spec):
            raise BadInput(f"{name} is a model of another shape or task than {names[0]}; only alike ones take turns")
    config = first.model.config.model_copy(update={"turns": len(models), "turn_steps": steps})
    try:
        joint = build(config, first.spec)
    except BadInput as error:
        raise BadInput(f"{names[0]} cannot take turns: {error}") from None
    assert isinstance(joint, TurnsTRM)
    for network, stored in zip((joint, *joint.others), models, strict=True):
        network.load_state_dict(stored.model.state_dict(), strict=network is not joint)
    check_writable(out / CONFIG)
    about: dict[str, Any] = {key: first.about[key] for key in ("run", "data") if key in first.about}
    about["command"] = shlex.join(("trm", "turns", str(out), *names, "--steps", str(steps)))
    about["turns"] = [stored.about for stored in models]
    save_model(out, joint, config, first.spec, out.name, about)


def find(name: str) -> Path:
    """The folder of a model: a path, a shipped model's name, or OWNER/NAME on the Hugging Face hub, downloaded.

    Raises:
        BadInput: there is no such folder, and the name cannot be one of the hub's.
        TrmError: the hub has no such model, or cannot be reached.
    """
    path = Path(name)
    for folder in (path, path / "model", SHIPPED / name):
        if (folder / CONFIG).is_file():
            return folder
    if HUB_NAME.fullmatch(name) and path.parent != RUNS and not path.parent.exists():
        fetch(name, "model.safetensors", "model")
        return fetch(name, CONFIG, "model").parent
    shipped = ", ".join(shipped_names()) or "none"
    raise BadInput(
        f"no model {name!r}: give the folder of a training run, a shipped model's name ({shipped}), or OWNER/NAME of a "
        "model on the hub"
    )


def shipped_names() -> list[str]:
    return sorted(path.parent.name for path in SHIPPED.glob("*/config.json"))


def load(name: str, spec: Spec | None = None) -> Stored:
    """Rebuild a stored model in evaluation mode.

    Args:
        name: a shipped model's name, the folder of a model or of a training run, or OWNER/NAME of a model on the hub.
        spec: another size of the task, where the model's weights do not depend on the size.

    Raises:
        BadInput: no such model, one for another task, a damaged file, or tensors of the wrong shape (each named).
        TrmError: a model of the hub cannot be downloaded.
    """
    folder = find(name)
    try:
        content = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        config = ModelConfig.model_validate(content["model"])
        stored_spec, name = read_spec(content["task"]), str(content["name"])
        if stored_spec.name.startswith(f"{FAMILY}-"):
            task = task_of_run(content["about"]["run"])
            register_task(stored_spec.name, lambda: task)  # a name of its own, so nothing is replaced
        tensors = load_file(folder / "model.safetensors")
    except KeyError as error:
        raise BadInput(f"model {folder}: config.json lacks {error}; copy or train it again") from None
    except (ValidationError, TypeError, ValueError, AttributeError, OSError, SafetensorError) as error:
        raise BadInput(f"model {folder}: {str(error).splitlines()[0]}; copy or train it again") from None
    check_family(name, stored_spec, (spec or stored_spec).name)
    model = rebuild(str(folder), config, spec or stored_spec, tensors)
    return Stored(model, spec or stored_spec, name, content.get("about", {}))


def resize(stored: Stored, spec: Spec) -> Stored:
    """The same weights for another size of the task. Raises BadInput where they depend on the size."""
    check_family(stored.name, stored.spec, spec.name)
    model = rebuild(repr(stored.name), stored.model.config, spec, stored.model.state_dict())
    return Stored(model, spec, stored.name, stored.about)


def check_family(name: str, trained: Spec, wanted: str) -> None:
    """Raise BadInput for the model `name` if what it was `trained` for is not the task called `wanted` at some size."""
    if (family := trained.name.split("-")[0]) != wanted.split("-")[0]:
        raise BadInput(f"model {name!r} was trained for {family}, not for {wanted}")


def rebuild(where: str, config: ModelConfig, spec: Spec, tensors: dict[str, torch.Tensor]) -> TRM:
    """A model in evaluation mode that holds `tensors`. Raises BadInput where they do not fit."""
    model = build(config, spec)
    check_shapes(where, tensors, model)
    model.load_state_dict(tensors)
    model.eval()
    return model


def read_spec(values: dict[str, Any]) -> Spec:
    """A `Spec` from JSON, whose lists become tuples again."""
    groups = tuple(tuple(tuple(group) for group in kind) for kind in values["groups"])
    return Spec(**{**values, "groups": groups})


def check_shapes(where: str, tensors: dict[str, torch.Tensor], model: nn.Module) -> None:
    """Raise BadInput naming the first tensor that is missing, unknown or of another shape than the model's."""
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    for key in sorted(wanted.keys() | tensors.keys()):
        have = tuple(tensors[key].shape) if key in tensors else "missing"
        want = wanted.get(key, "no such tensor")
        if have != want:
            raise BadInput(f"model {where}: tensor {key} is {have}, the configuration needs {want}")
