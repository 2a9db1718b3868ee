"""Published checkpoint files in and out of our format (names and shapes: `trm/store/convert.py`)."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from trm import store
from trm.errors import BadInput
from trm.files import write_atomic
from trm.models import build
from trm.store.convert import Imported, from_published, to_published
from trm.tasks import get_task
from trm.tasks.base import Spec


def read_tensors(path: Path) -> dict[str, Tensor]:
    """A state dict from a .safetensors file, or from a torch file whatever it is called.

    Torch files are read with `weights_only=True`: tensors and plain containers, never code.

    Raises:
        BadInput: no such file, a damaged one, or one that holds anything but named tensors.
    """
    if not path.is_file():
        raise BadInput(f"{path}: no such file; give a published checkpoint (.safetensors, or a torch file)")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever torch makes of bytes that are no checkpoint
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadInput(f"{path}: not a checkpoint of plain tensors ({reason})") from None
    if not isinstance(content, dict) or not content:
        raise BadInput(f"{path}: holds a {type(content).__name__}, not a state dict (names and tensors)")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise BadInput(f"{path}: entry {name!r} is a {type(value).__name__}; give the model's state dict alone")
    return content


def import_file(path: Path, out: Path, task: str | None = None, **given: int | str) -> Imported:
    """Write a published TRM or HRM checkpoint to the folder `out` in our format.

    Args:
        path: see `read_tensors`.
        out: the model's folder; `trm.load(out)` reads it.
        task: a registered task's name; without it, the published task with as many tokens.
        given: settings that no tensor shows, see `from_published`.

    Returns:
        What was imported; its `assumed` names the settings that were neither in the file nor given.

    Raises:
        BadInput: an unreadable file, or a tensor that is missing, unknown or of the wrong shape.
    """
    tensors = read_tensors(path)
    result = from_published(tensors, None if task is None else get_task(task).spec, **given)
    spec = registered(result.spec)
    # Meta tensors are replaced by the imported ones, so a large embedding table is held once, not twice.
    with torch.device("meta"):
        model = build(result.config, spec)
    model.load_state_dict(result.state, assign=True)
    source = {"file": path.name, "sha256": digest(path), "max_steps": result.max_steps, "assumed": result.assumed}
    store.save_model(out, model, result.config, spec, path.stem, {"imported": source})
    return result


def digest(path: Path) -> str:
    """SHA-256 of a file, read in pieces: with puzzle embeddings it may have gigabytes."""
    whole = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            whole.update(piece)
    return whole.hexdigest()


def registered(spec: Spec) -> Spec:
    """Our own task's layout (with its constraint groups) where it is the published one's, else `spec` itself."""
    try:
        ours = get_task(spec.name).spec
    except BadInput:
        return spec
    return ours if (ours.cells, ours.vocab) == (spec.cells, spec.vocab) else spec


def export_file(name: str, path: Path) -> None:
    """Write a model of ours (a shipped one's name, or a folder) as a published state dict, as `import_file` reads.

    A .safetensors file where `path` ends so, else a torch file such as the published code writes.
    """
    stored = store.load(name)
    tensors = to_published(stored.model.config, stored.model.state_dict())
    if path.suffix == ".safetensors":
        content = save({key: value.contiguous() for key, value in tensors.items()})
    else:
        buffer = io.BytesIO()
        torch.save(tensors, buffer)
        content = buffer.getvalue()
    write_atomic(path, lambda file: file.write(content))
