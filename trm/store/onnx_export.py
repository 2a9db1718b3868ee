"""Writes a model as an ONNX file of one supervision step, for programs without torch (see `trm/inference/onnx.py`).

The file holds weights and operations, and in its metadata, under the key `trm`, a JSON object with everything else that
the loop over steps needs. As not every runtime can read metadata, a file of JSON beside it says the same and more.
docs/export.md describes both.
"""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trm import store
from trm.errors import BadInput, TrmError
from trm.files import check_writable, digest, read_object, short, write_atomic, write_text
from trm.models import TRM, Spec, State
from trm.store.seals import UNSEALED, sealed
from trm.store.stored import WEIGHTS, Stored, check_not_ours, weights_of
from trm.store.torch_files import not_finite
from trm.tasks import family_name, find_family, get_task

FORMAT = 1
OUTPUTS = ("next_y", "next_z", "logits", "halt")
LIMIT = (2 << 30) - (1 << 24)  # bytes of weights: a protobuf has 2 GB at most, and the graph needs some of that


class TensorStep(nn.Module):
    """One supervision step with tensors for arguments and results, as the exporter needs it."""

    def __init__(self, model: TRM) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, y: Tensor, z: Tensor, question: Tensor, ids: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        output = self.model(State(y, z), question, ids)
        return output.state.y, output.state.z, output.logits, output.halt


def export_onnx(name: str, path: Path, spec: Spec | None = None) -> None:
    """Write a model (a shipped one's name, a folder, or OWNER/NAME on the hub) to `path` as an ONNX file, and beside it
    what `describe_file` says of it: FILE.onnx and FILE.json.

    Args:
        name: see `trm.store.stored.load`.
        path: the file.
        spec: another size of the task, where the model's weights do not depend on the size; a file has one size.

    Raises:
        BadInput: no such model, one larger than a file can be, or one with a layer that ONNX cannot express; or there
            is another FILE.json.
        TrmError: the packages that export needs are not installed.
    """
    beside = path.with_suffix(".json")
    check_beside(beside)
    stored = store.load(name, spec)
    content = to_onnx(stored, digest(store.find(name) / WEIGHTS))
    write_atomic(path, lambda file: file.write(content))
    write_text(beside, json.dumps(describe_file(stored, content), indent=1) + "\n")


def check_beside(path: Path) -> None:
    """Raise BadInput unless the description of an exported file can be written to `path`."""
    check_writable(path)
    if not path.is_file():
        return
    check_not_ours(path, "--to")
    try:
        known = "onnx_sha256" in read_object(path)
    except (OSError, ValueError, RecursionError):
        known = False
    if not known:
        raise BadInput(f"{short(path)}, which would be written too, is there and is another file; choose another --to")


def to_onnx(stored: Stored, sha256: str = "") -> bytes:
    """The content of the file. Equal models give equal bytes if the versions of torch and onnxscript are equal.

    Args:
        stored: the model.
        sha256: of its file of weights [default: of the file that `trm.store.save_model` would write].

    Raises:
        BadInput, TrmError: as `export_onnx`.
    """
    try:
        import onnx_ir
        import onnxscript  # noqa: F401  (the message of torch is less clear)
    except ImportError as error:
        raise TrmError(f"exporting to ONNX needs {error.name}: pip install 'trm[onnx]'") from None
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass, DeduplicateInitializersPass

    model = stored.model
    if model.config.turns > 1:
        why = f"is {model.config.turns} networks that take turns, and has no ONNX form"
        raise BadInput(f"model {stored.name!r} {why}; export one network, such as sudoku-search")
    size = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    if size > LIMIT:
        raise BadInput(f"model {stored.name!r} has {size >> 20} MB of weights; an ONNX file holds {LIMIT >> 20} MB")
    if fault := not_finite(model.state_dict()):
        raise BadInput(f"model {stored.name!r}: {fault}; train it again")
    program = trace(stored)
    # Keep one copy of constants that every call repeats, and drop stack traces, which name files of this machine.
    for clean in (DeduplicateInitializersPass(size_limit=LIMIT), ClearMetadataAndDocStringPass()):
        clean(program.model)
    program.rename_axes({value.shape[0]: "batch" for value in program.model.graph.inputs})
    sha256 = sha256 or hashlib.sha256(weights_of(model)).hexdigest()
    program.model.metadata_props["trm"] = json.dumps(describe(stored, sha256))
    content: bytes = onnx_ir.to_proto(program.model).SerializeToString(deterministic=True)
    return sealed(content)


def describe(stored: Stored, sha256: str) -> dict[str, Any]:
    """The metadata: what a program must know besides the graph."""
    frame, about = stored.model.frame, stored.about
    trained = about.get("run", about.get("imported", {}))
    definition = definition_of(stored.spec)
    return {
        "format": FORMAT,
        "name": stored.name,
        "task": asdict(stored.spec),
        "weights_sha256": sha256,
        "file_sha256": UNSEALED,
        "first_token": stored.model.first_token,
        "halt_logit": stored.model.halt_logit,
        "max_steps": trained.get("max_steps"),  # in training; null where that is not known
        "start_y": frame.start_y.tolist(),
        "start_z": frame.start_z.tolist(),
        **({"definition": definition} if definition else {}),
    }


def definition_of(spec: Spec) -> dict[str, Any] | None:
    """What defines a task that its name does not define; None where there is no such thing."""
    try:
        return find_family(spec.name).definition(get_task(spec.name))
    except BadInput:  # it is not registered
        return None


def describe_file(stored: Stored, content: bytes) -> dict[str, Any]:
    """What is written beside a file with this content: its metadata in a form that suits every host, and what the
    tokens mean.
    """
    metadata, spec = metadata_of(content), stored.spec
    start = {part: getattr(stored.model.start(1), part).shape[1:] for part in "yz"}
    usual = usual_steps(spec)
    kept = ("format", "name", "first_token", "halt_logit", "max_steps", "weights_sha256")
    return {
        **{key: metadata[key] for key in kept},
        "onnx_sha256": hashlib.sha256(content).hexdigest(),
        "family": family_name(spec.name),
        "task": spec.name,
        "height": spec.height,
        "width": spec.width,
        "values": values_of(spec),
        **({"definition": metadata["definition"]} if "definition" in metadata else {}),
        "steps": usual,
        "start": {part: {"shape": [*shape], "values": metadata[f"start_{part}"]} for part, shape in start.items()},
    }


def metadata_of(content: bytes) -> dict[str, Any]:
    """The metadata of an exported file."""
    import onnx

    entries = {entry.key: entry.value for entry in onnx.load_from_string(content).metadata_props}
    metadata: dict[str, Any] = json.loads(entries["trm"])
    return metadata


def usual_steps(spec: Spec) -> int | None:
    """Supervision steps from one start that are usual for the task; None where it is not registered."""
    try:
        return int(find_family(spec.name).thinking["steps"])
    except (BadInput, KeyError):
        return None


def values_of(spec: Spec) -> list[str] | None:
    """What each token is written as, "" for 0, which is padding; None where the task has no such form."""
    try:
        task = get_task(spec.name)
        lines = [task.to_line(np.full(spec.cells, token, np.uint8)) for token in range(1, spec.vocab)]
    except (BadInput, IndexError):
        return None
    parts = [[*line] if len(line) == spec.cells else line.split() for line in lines]
    return ["", *(part[0] for part in parts)] if all(len(part) == spec.cells for part in parts) else None


def trace(stored: Stored) -> Any:
    """The graph, a `torch.onnx.ONNXProgram`. Raises BadInput for a layer that ONNX cannot express."""
    model, spec = stored.model, stored.spec
    batch = {0: torch.export.Dim.DYNAMIC}
    start = model.start(2)
    inputs = {"y": start.y.contiguous(), "z": start.z.contiguous()}
    inputs["question"] = torch.full((2, spec.cells), spec.vocab - 1)
    if model.config.puzzle_ids > 1:
        inputs["ids"] = torch.zeros(2, dtype=torch.int64)
    with torch.no_grad(), quiet():
        try:
            return torch.onnx.export(
                TensorStep(model).eval(),
                tuple(inputs.values()),
                dynamo=True,
                input_names=list(inputs),
                output_names=OUTPUTS,
                dynamic_shapes=tuple(batch for _ in inputs),
                external_data=False,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            cause = error.__cause__ or error
            reason = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
            what = f"mixer {model.config.mixer!r}, kind {model.config.kind!r}"
            raise BadInput(f"model {stored.name!r} ({what}) cannot be written as ONNX: {reason}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Without messages meant for the developers of torch: that torchvision is missing, and of a deprecated class."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`isinstance\\(treespec, LeafSpec\\)` is deprecated", FutureWarning)
            yield
    finally:
        logger.setLevel(level)
