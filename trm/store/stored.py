"""Our model format: a folder with `config.json` (all that is needed to rebuild and trust it) and safetensors."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from trm.errors import BadInput
from trm.files import write_atomic, write_text
from trm.hub import fetch
from trm.models import TRM, ModelConfig, Spec, build
from trm.store.shipped import SHIPPED, shipped_names
from trm.tasks import family_name
from trm.tasks.custom.family import remember
from trm.tasks.custom.task import FAMILY, task_of_run

FORMAT = 1
CONFIG, WEIGHTS, CHECKPOINT = "config.json", "model.safetensors", "checkpoint.pt"  # in a model's or run's folder
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
RUNS = Path("runs")  # where `trm train` puts its folders: no owner on the hub, even before the first of them


@dataclass(frozen=True)
class Stored:
    """A model with what is known of it."""

    model: TRM
    spec: Spec
    name: str
    about: dict[str, Any] = field(default_factory=dict)  # provenance: command, data, commit, accuracy, ...


def save_model(
    folder: Path, model: nn.Module, config: ModelConfig, spec: Spec, name: str, about: dict[str, Any]
) -> None:
    """Write `config.json` and `model.safetensors` to `folder`, each atomically."""
    tensors = {key: value.detach().cpu().float().contiguous() for key, value in model.state_dict().items()}
    write_atomic(folder / WEIGHTS, lambda file: file.write(save(tensors)))
    content = {"format": FORMAT, "name": name, "task": asdict(spec), "model": config.model_dump(), "about": about}
    write_text(folder / CONFIG, json.dumps(content, indent=1) + "\n")


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
        fetch(name, WEIGHTS, "model")
        return fetch(name, CONFIG, "model").parent
    shipped = ", ".join(shipped_names()) or "none"
    raise BadInput(
        f"no model {name!r}: give the folder of a training run, a shipped model's name ({shipped}), or OWNER/NAME of a "
        "model on the hub"
    )


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
            remember(task_of_run(content["about"]["run"]))
        tensors = load_file(folder / WEIGHTS)
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
    if (family := family_name(trained.name)) != family_name(wanted):
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


def check_free(folder: Path, out: str = "--out") -> None:
    """Raises BadInput where a new run in `folder`, given as `out`, would write over another one, or over a model."""
    if (folder / CHECKPOINT).exists():
        raise BadInput(f"{folder} already holds a run; go on with --resume, or choose another {out}")
    if any((folder / name).exists() for name in (CONFIG, WEIGHTS)):
        raise BadInput(f"{folder} already holds a model; choose another {out}")
    for pattern in ("update-*", "step-*"):  # "step": the former name
        if any(folder.glob(pattern)):
            raise BadInput(f"{folder} already holds weights of a run ({pattern}); choose another {out}")
