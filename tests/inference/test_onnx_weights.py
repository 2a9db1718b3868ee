"""An exported file says which weights it is of, and is not used beside other ones."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from conftest import Call, refused

from trm import store
from trm.errors import BadInput
from trm.inference import backends
from trm.inference import onnx as exported
from trm.store.onnx_export import to_onnx

EASY = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
ANSWER = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"
FILED = [name for name in store.shipped_names() if (store.SHIPPED / name / "model.onnx").is_file()]


def copied(name: str, folder: Path) -> Path:
    """A shipped model's folder at another place."""
    shutil.copytree(store.SHIPPED / name, folder)
    return folder


def about(content: bytes) -> dict[str, object]:
    (entry,) = [entry for entry in onnx.load_from_string(content).metadata_props if entry.key == "trm"]
    values: dict[str, object] = json.loads(entry.value)
    return values


def without_digest(path: Path) -> None:
    """Make the file as older versions wrote it."""
    model = onnx.load(path)
    (entry,) = [entry for entry in model.metadata_props if entry.key == "trm"]
    values = json.loads(entry.value)
    del values["weights_sha256"]
    values.pop("file_sha256", None)
    entry.value = json.dumps(values)
    onnx.save(model, path)


@pytest.mark.parametrize("name", FILED)
def test_shipped_files_name_the_weights_beside_them(name: str) -> None:
    folder = store.SHIPPED / name
    sha256 = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert about((folder / "model.onnx").read_bytes())["weights_sha256"] == sha256


def test_a_model_in_memory_names_the_file_that_it_would_become(tmp_path: Path) -> None:
    stored = store.load("sudoku-mini")
    store.save_model(tmp_path, stored.model, stored.model.config, stored.spec, "x", {})
    sha256 = hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest()
    assert about(to_onnx(stored))["weights_sha256"] == sha256


def test_a_file_beside_other_weights_is_refused(tmp_path: Path, call: Call) -> None:
    folder = copied("sudoku-mini", tmp_path / "a model")
    solve = ("solve", "sudoku", EASY, "--backend", "onnx", "-q", "--weights")
    for named in (folder, folder / "model.onnx"):
        assert call(*solve, str(named)).out.strip() == ANSWER
    other = store.SHIPPED / "sudoku-search"
    shutil.copy(other / "model.onnx", folder / "model.onnx")
    for named in (folder, folder / "model.onnx"):
        refused(call(*solve, str(named)), "was exported from other weights", f"'{folder}' --to")
    shutil.copy(store.SHIPPED / "sudoku-mini" / "model.onnx", folder / "model.onnx")
    without_digest(folder / "model.onnx")
    refused(call(*solve, str(folder)), "does not say from which weights it was exported", "trm export")
    assert call("export", str(folder), "--to", str(folder / "model.onnx")).code == 0
    assert call(*solve, str(folder)).out.strip() == ANSWER
    # Alone, or under a name of its own, a file of another model is what was asked for.
    shutil.copy(other / "model.onnx", folder / "other.onnx")
    assert exported.load(str(folder / "other.onnx")).name == "sudoku-search"
    (folder / "model.safetensors").unlink()
    without_digest(folder / "model.onnx")
    assert exported.load(str(folder / "model.onnx")).name == "sudoku-mini"


def test_an_older_export_under_another_name_is_refused_too(tmp_path: Path) -> None:
    folder = copied("sudoku-mini", tmp_path / "run")
    (folder / "model.onnx").rename(folder / "step.onnx")
    assert exported.load(str(folder / "step.onnx")).name == "sudoku-mini"
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1  # trained on
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(exported.Stale, match=r"step\.onnx was exported from other weights"):
        exported.load(str(folder / "step.onnx"))


def test_auto_takes_torch_and_says_so(tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    copied("sudoku-mini", tmp_path / "shipped" / "sudoku-mini")
    for module in (backends, exported, sys.modules["trm.store.stored"]):
        monkeypatch.setattr(module, "SHIPPED", tmp_path / "shipped")
    solve = ("solve", "sudoku", EASY, "--weights", "sudoku-mini", "-q")
    done = call(*solve)
    assert (done.code, done.out.strip(), done.err) == (0, ANSWER, "")
    without_digest(tmp_path / "shipped" / "sudoku-mini" / "model.onnx")
    done = call(*solve)
    assert (done.code, done.out.strip(), done.err.count("\n")) == (0, ANSWER, 1)
    assert "does not say from which weights" in done.err
    assert "torch is used instead" in done.err


def test_checking_needs_no_torch(tmp_path: Path) -> None:
    folder = copied("sudoku-mini", tmp_path / "model")
    code = f"import sys; from trm.inference import onnx; onnx.load({str(folder)!r}); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_stale_is_bad_input() -> None:
    assert issubclass(exported.Stale, BadInput)


def test_a_model_of_puzzle_embeddings_is_refused(tmp_path: Path) -> None:
    shutil.copy(store.SHIPPED / "sudoku-mini" / "model.onnx", tmp_path / "x.onnx")
    without_digest(tmp_path / "x.onnx")
    graph = onnx.load(tmp_path / "x.onnx")
    graph.graph.input.append(onnx.helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, ["batch"]))
    onnx.save(graph, tmp_path / "x.onnx")
    with pytest.raises(BadInput, match="an embedding for each puzzle"):
        exported.load(str(tmp_path / "x.onnx"))
