"""The JSON that `trm export` writes beside an ONNX file, and the JavaScript of docs/export.md that reads it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from conftest import Call
from javascript import NODE, PATIENCE, Script

from trm import store
from trm.inference import onnx
from trm.models import ModelConfig, build
from trm.store import onnx_export
from trm.store.onnx_export import describe_file, metadata_of, values_of
from trm.store.stored import Stored
from trm.tasks.base import Spec
from trm.tasks.maze.task import Maze
from trm.tasks.sudoku.task import Sudoku

ROOT = Path(__file__).parents[2]
ANSWER = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """The folder of a small model for mazes of 3x4."""
    config = ModelConfig(width=8, multiple=8, T=1, n=1, mixer="local", positions="none", puzzle_ids=0)
    spec, folder = Maze(3, 4).spec, tmp_path / "small"
    store.save_model(folder, build(config, spec), config, spec, "small", {"run": {"max_steps": 7}})
    return folder


def test_it_says_what_the_file_needs(tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """tests/inference/test_onnx.py compares it with files that are written there, which takes long."""
    content = (store.SHIPPED / "maze" / onnx.FILE).read_bytes()
    monkeypatch.setattr(onnx_export, "to_onnx", lambda stored, sha256: content)
    for _ in range(2):  # the second time over the first
        done = call("export", "maze", "--to", str(tmp_path / "model.onnx"))
        assert (done.code, done.out) == (0, "")
        assert done.err.splitlines()[-2:] == [f"wrote {tmp_path / name}" for name in ("model.onnx", "model.json")]
    assert (tmp_path / "model.onnx").read_bytes() == content
    about = json.loads((tmp_path / "model.json").read_text())
    session, metadata = onnxruntime.InferenceSession(content), metadata_of(content)
    shared = ("format", "name", "first_token", "halt_logit", "max_steps", "weights_sha256")
    assert {key: about[key] for key in shared} == {key: metadata[key] for key in shared}
    assert about["onnx_sha256"] == hashlib.sha256(content).hexdigest()
    assert (about["family"], about["task"], about["height"], about["width"]) == ("maze", "maze", 30, 30)
    assert about["values"] == ["", "#", ".", "S", "G", "o"]
    assert about["steps"] == 256
    exported = onnx.load(str(tmp_path / "model.onnx"))
    for part, whole in zip("yz", exported.start, strict=True):
        one = about["start"][part]
        assert [1, *one["shape"]] == [*whole.shape]
        assert np.array_equal(np.full(whole.shape, np.float32(one["values"])), whole)
        assert [node.shape[1:] for node in session.get_inputs() if node.name == part] == [one["shape"]]


def test_values_of_tasks() -> None:
    assert values_of(Sudoku(2, 3).spec) == ["", ".", *"123456"]
    assert values_of(Sudoku(4, 4).spec) == ["", ".", *"123456789ABCDEFG"]
    unknown = Spec("unheard-of", 2, 2, 4, 2)
    assert values_of(unknown) is None
    config = ModelConfig(width=8, multiple=8, T=1, n=1, mixer="mlp", positions="none", puzzle_ids=0)
    content = (store.SHIPPED / "sudoku" / onnx.FILE).read_bytes()
    about = describe_file(Stored(build(config, unknown), unknown, "x", {}), content)
    assert (about["values"], about["steps"], about["task"]) == (None, None, "unheard-of")


def test_other_files_are_kept(small: Path, call: Call) -> None:
    """FILE.json is written too, so it must not be somebody else's, or a part of a model."""
    mine = small.parent / "mine.json"
    for text in ('{"a": 1}', "[]", "not JSON"):
        mine.write_text(text)
        result = call("export", str(small), "--to", str(mine.with_suffix(".onnx")))
        assert result.code == 2
        assert "mine.json, which would be written too, is there and is another file" in result.err
        assert result.err.count("\n") == 1
        assert mine.read_text() == text
    mine.unlink()
    mine.mkdir()
    assert call("export", str(small), "--to", str(mine.with_suffix(".onnx"))).code == 2
    config = (small / "config.json").read_text()
    result = call("export", str(small), "--to", str(small / "config.onnx"))
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "belongs to the model" in result.err
    assert (small / "config.json").read_text() == config
    assert not list(small.parent.rglob("*.onnx"))


def test_the_javascript_of_the_documentation(script: Script, tmp_path: Path) -> None:
    """It runs as it stands there, with the runtime where npm would have put it."""
    (code,) = re.findall(r"^```js\n(.*?)^```$", (ROOT / "docs" / "export.md").read_text(encoding="utf-8"), re.M | re.S)
    assert len(code.splitlines()) <= 30
    content = (store.SHIPPED / "sudoku" / onnx.FILE).read_bytes()
    about: dict[str, Any] = describe_file(store.load("sudoku"), content)
    (tmp_path / "sudoku.onnx").write_bytes(content)
    (tmp_path / "sudoku.json").write_text(json.dumps(about))
    (tmp_path / "example.mjs").write_text(code)
    package = tmp_path / "node_modules" / "onnxruntime-web"
    shutil.copytree(script.runtime, package)
    (package / "package.json").write_text('{"name": "onnxruntime-web", "exports": "./index.mjs"}')
    (package / "index.mjs").write_text(
        'import { readFileSync } from "node:fs";\n'
        'import { env } from "./ort.wasm.min.mjs";\n'
        "env.wasm.numThreads = 1;\n"
        'env.wasm.wasmBinary = readFileSync(new URL("ort-wasm-simd-threaded.wasm", import.meta.url)).buffer;\n'
        'export * from "./ort.wasm.min.mjs";\n'
    )
    command = [str(NODE), "example.mjs"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.stdout, done.stderr) == (f"{ANSWER}\n", "")
