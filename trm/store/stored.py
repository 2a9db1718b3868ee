"""Models in this package's format: a folder with `config.json` (architecture, task, provenance) and safetensors."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from trm.errors import BadInput, in_one_line
from trm.files import path_fault, read_object, short, write_atomic, write_text
from trm.hub import fetch
from trm.models import TRM, ModelConfig, Spec, build
from trm.settings import explain
from trm.store.shipped import CONFIG as CONFIG
from trm.store.shipped import SHIPPED, current_name, shipped_names
from trm.store.shipped import WEIGHTS as WEIGHTS
from trm.store.torch_files import not_finite
from trm.tasks import family_name
from trm.tasks.arc.identifiers import FILE as IDENTIFIERS
from trm.tasks.base import features_fault
from trm.tasks.custom.family import remember
from trm.tasks.custom.task import FAMILY, task_of_run
from trm.tasks.text import printable

FORMAT = 1
MOST_CELLS, MOST_TOKENS = 1 << 20, 1 << 8  # of a board, and in a vocabulary: a token is a byte
MOST_OFFSETS = 1 << 10  # of the cells that a cell depends on
NEWER = {"halt_probability", "hints", "turns", "turn_steps"}  # settings of a model that older files lack
SEAL = "sha256"  # of the tensors, in the metadata of a file of weights
CHECKPOINT = "checkpoint.pt"  # in a run's folder
# Other files that this program writes to the folder of a model or a run.
OTHERS = ("log.jsonl", "run.json", "card.json", IDENTIFIERS, "model.onnx", "model.json")
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
RUNS = Path("runs")  # the folder of `trm train`; it is never taken for an owner on the hub, even if it does not exist


@dataclass(frozen=True)
class Stored:
    """A model in evaluation mode, with its task and provenance."""

    model: TRM
    spec: Spec  # of the task at the size that the model was built for
    name: str
    about: dict[str, Any] = field(default_factory=dict)  # provenance: command, data, machine, accuracy, ...
    local: bool = False  # read from a folder of this machine that the user named, and not from the hub


def save_model(
    folder: Path, model: nn.Module, config: ModelConfig, spec: Spec, name: str, about: dict[str, Any]
) -> None:
    """Write `config.json` and `model.safetensors` to `folder`, each atomically. Weights are stored as float32."""
    weights = weights_of(model)
    write_atomic(folder / WEIGHTS, lambda file: file.write(weights))
    content = {"format": FORMAT, "name": name, "task": asdict(spec), "model": config.model_dump(), "about": about}
    write_text(folder / CONFIG, json.dumps(content, indent=1) + "\n")


def weights_of(model: nn.Module) -> bytes:
    """The content of a model's file of weights."""
    tensors = {key: value.detach().cpu().float().contiguous() for key, value in model.state_dict().items()}
    content: bytes = save(tensors, {SEAL: seal(tensors)})
    return content


def seal(tensors: Mapping[str, Tensor]) -> str:
    """A digest of named tensors. A file of weights holds it, since nothing else there tells damaged numbers."""
    whole = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        whole.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        whole.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return whole.hexdigest()


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors in a file of weights. Raises ValueError for one that is no weights, or not as it was written.

    Files of other programs or older versions hold no digest, so that damage to a number is not noticed there.
    """
    with safe_open(path, "pt") as file:  # opened once, since a run may be writing another one
        names, written = file.keys(), (file.metadata() or {}).get(SEAL)
        tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in names}
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            raise ValueError(f"tensor {printable(name)} in {path.name} holds {tensor.dtype}, not weights")
    if fault := not_finite(tensors):
        raise ValueError(f"{fault} in {path.name}")
    if written is not None and written != seal(tensors):
        raise ValueError(f"{path.name} is damaged: its tensors are not those that were written")
    return tensors


def find(name: str) -> Path:
    """The folder of a model. A model of the hub is downloaded.

    Args:
        name: the folder of a model or of a training run, a shipped model's name (a former one too), or OWNER/NAME of a
            model on the Hugging Face hub.

    Raises:
        BadInput: there is no such folder, and the name cannot be one on the hub.
        TrmError: the hub has no such model, or cannot be reached.
    """
    if fault := path_fault(name):
        raise BadInput(f"no model {short(name)!r}: {fault}")
    path = Path(name)
    for folder in (path, path / "model", SHIPPED / current_name(name)):
        if (folder / CONFIG).is_file():
            return folder
    if HUB_NAME.fullmatch(name) and path.parent != RUNS and not path.parent.exists():
        fetch(name, WEIGHTS, "model")
        config = fetch(name, CONFIG, "model")
        with suppress(ValueError, KeyError, TypeError, RecursionError):  # damaged, which is said when it is loaded
            if "identifiers" in read_object(config)["about"]["imported"]:
                fetch(name, IDENTIFIERS, "model")
        return config.parent
    if path.suffix == ".onnx" and path.is_file():
        raise BadInput(
            f"{short(name)} is an exported file: trm solve --backend onnx and trm.Solver(backend='onnx') use it"
        )
    shipped = ", ".join(shipped_names()) or "none"
    raise BadInput(
        f"no model {name!r}: give the folder of a training run, a shipped model's name ({shipped}), or OWNER/NAME of a "
        "model on the hub"
    )


def load(name: str, spec: Spec | None = None) -> Stored:
    """Load a stored model in evaluation mode.

    Args:
        name: see `find`.
        spec: build the model for this size of its task [default: the stored size]. Its weights must not depend on the
            size.

    Raises:
        BadInput: no such model, one for another task, a damaged file, or a tensor of the wrong shape or with
            a value that is not finite, which is named.
        TrmError: a model of the hub cannot be downloaded.
    """
    folder = find(name)
    local = folder in (Path(name), Path(name) / "model")
    try:
        content = read_object(folder / CONFIG)
        config, stored_spec = read_config(content["model"]), read_spec(content["task"])
        name, about, version = content["name"], content.get("about", {}), content.get("format", FORMAT)
        if not isinstance(name, str) or not isinstance(about, dict) or type(version) is not int or version != FORMAT:
            raise ValueError(f"{CONFIG} is damaged, or of another version of this program")
        if stored_spec.name.startswith(f"{FAMILY}-"):
            remember(task_of_run(about["run"]))
        tensors = read_weights(folder / WEIGHTS)
    except KeyError as error:
        raise BadInput(f"model {folder}: config.json lacks {error}; copy or train it again") from None
    except (TypeError, ValueError, AttributeError, OSError, RecursionError, SafetensorError) as error:
        reason = in_one_line(explain(error) if isinstance(error, ValidationError) else error)
        raise BadInput(f"model {folder}: {reason}; copy or train it again") from None
    check_family(name, stored_spec, (spec or stored_spec).name)
    model = build_from(tensors, config, spec or stored_spec, str(folder))
    return Stored(model, spec or stored_spec, name, about, local)


def resize(stored: Stored, spec: Spec) -> Stored:
    """The same weights for another size of the task. Raises BadInput if they depend on the size."""
    check_family(stored.name, stored.spec, spec.name)
    model = build_from(stored.model.state_dict(), stored.model.config, spec, repr(stored.name))
    return replace(stored, model=model, spec=spec)


def check_family(name: str, trained: Spec, wanted: str) -> None:
    """Raise BadInput if the model `name`, trained for the task `trained`, is not of the family of the task `wanted`."""
    if (family := family_name(trained.name)) != family_name(wanted):
        raise BadInput(f"model {name!r} was trained for {family}, not for {wanted}")


def build_from(tensors: dict[str, torch.Tensor], config: ModelConfig, spec: Spec, source: str) -> TRM:
    """A model in evaluation mode with the weights `tensors`. Raises BadInput, naming `source`, if they do not fit."""
    try:
        model = build(config, spec)
    except BadInput as error:
        raise BadInput(f"model {source}: {error}") from None
    check_shapes(tensors, model, source)
    model.load_state_dict(tensors)
    model.eval()
    return model


def read_config(values: dict[str, Any]) -> ModelConfig:
    """The configuration in `config.json`. Raises ValidationError, and KeyError for a setting that it lacks."""
    config = ModelConfig.model_validate(values, strict=True)
    if lacking := ModelConfig.model_fields.keys() - config.model_fields_set - NEWER:
        raise KeyError(min(lacking))
    return config


def as_tuples(value: Any) -> Any:
    """Lists in lists as tuples in tuples."""
    return tuple(as_tuples(part) for part in value) if isinstance(value, list | tuple) else value


def read_spec(values: dict[str, Any]) -> Spec:
    """A `Spec` from its JSON form, in which tuples are lists. Raises KeyError, TypeError or ValueError."""
    groups, related = (as_tuples(values.get(name, ())) for name in ("groups", "related"))
    offsets, features = (as_tuples(values.get(name, ())) for name in ("offsets", "features"))
    spec = Spec(**{**values, "groups": groups, "related": related, "offsets": offsets, "features": features})
    sizes = (spec.height, spec.width, spec.vocab, spec.first_symbol)
    parts = [group for kind in (*groups, *related) for group in (kind, *kind)]
    cells = [cell for kind in (*groups, *related) for group in kind for cell in group]
    moves = [step for offset in offsets for step in offset]
    whole = (
        isinstance(spec.name, str) and all(type(number) is int for number in (*sizes, *cells, *moves)) and all(parts)
    )
    whole = whole and all(len(offset) == 2 for offset in offsets) and type(spec.wrap) is bool
    whole = whole and all(abs(step) <= MOST_TOKENS for step in moves) and len(offsets) <= MOST_OFFSETS
    if not whole or min(sizes) < 1 or spec.cells > MOST_CELLS or not spec.first_symbol <= spec.vocab <= MOST_TOKENS:
        raise ValueError(f"the task in {CONFIG} is damaged")
    if fault := features_fault(features, spec.vocab):
        raise ValueError(f"the task in {CONFIG}: {fault}")
    if any(not 0 <= cell < spec.cells for cell in cells):
        raise ValueError(f"the groups of the task in {CONFIG} are damaged")
    return spec


def check_shapes(tensors: dict[str, torch.Tensor], model: nn.Module, source: str) -> None:
    """Raise BadInput naming the first tensor of `source` that is missing, unknown or of the wrong shape."""
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    for key in sorted(wanted.keys() | tensors.keys()):
        have = tuple(tensors[key].shape) if key in tensors else "missing"
        want = wanted.get(key, "no such tensor")
        if have != want:
            raise BadInput(f"model {source}: tensor {printable(key)} is {have}; the configuration needs {want}")


def check_free(folder: Path, out: str = "--out") -> None:
    """Raise BadInput if a new run in `folder`, given by the option `out`, would overwrite another run or a model."""
    if (folder / CHECKPOINT).exists():
        raise BadInput(f"{folder} already holds a run; go on with --resume, or choose another {out}")
    if any((folder / name).exists() for name in (CONFIG, WEIGHTS)):
        raise BadInput(f"{folder} already holds a model; choose another {out}")
    for pattern in ("update-*", "step-*"):  # "step": the former name
        if any(folder.glob(pattern)):
            raise BadInput(f"{folder} already holds weights of a run ({pattern}); choose another {out}")


def check_new(folder: Path, out: str = "--out") -> None:
    """Raise BadInput if `folder`, given by the option `out`, cannot take a model without a trace of another one."""
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file; name a folder with {out}")
    check_free(folder, out)
    for name in OTHERS:
        if (folder / name).exists():
            raise BadInput(f"{folder} already holds {name} of a run or a model; choose another {out}")


def check_not_ours(path: Path, option: str) -> None:
    """Raise BadInput if writing the file `path`, given by `option`, would destroy a part of a stored model or a run."""
    ours = (CONFIG, WEIGHTS, CHECKPOINT, *(name for name in OTHERS if name not in ("model.onnx", "model.json")))
    if path.name in ours and path.exists() and ((path.parent / CONFIG).exists() or (path.parent / CHECKPOINT).exists()):
        raise BadInput(f"{path} belongs to the model or run in {path.parent}; choose another {option}")
