"""Checkpoints of strangers: what is imported can be asked, what cannot is refused, and nothing is written over."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from arc_cases import DATA
from conftest import Call, refused
from safetensors.torch import load_file, save_file
from torch import Tensor

from trm import store
from trm.errors import BadInput
from trm.models import build
from trm.store.convert import to_published
from trm.store.onnx_export import to_onnx
from trm.store.published import import_file, read_tensors
from trm.store.stored import check_new
from trm.tasks import get_task
from trm.training.presets import get_preset


def published(preset: str, task: str, prefix: str, **change: Any) -> dict[str, Tensor]:
    """A small random checkpoint under published names."""
    small = {"width": 64, "puzzle_width": 64, "layers": 1, **change}
    config = get_preset(preset).config.model.changed(**small)
    torch.manual_seed(0)
    return to_published(config, build(config, get_task(task).spec).state_dict(), prefix)


PREFIXES = ["", "module.", "module._orig_mod.model.inner.", "_orig_mod.module.model.inner.", "module.model.inner."]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_every_wrapper_is_taken_off(prefix: str, tmp_path: Path, call: Call) -> None:
    torch.save(published("sudoku-extreme-trm-mlp", "sudoku", prefix), tmp_path / "x.pt")
    assert call("import", str(tmp_path / "x.pt"), "--out", str(tmp_path / "out")).code == 0
    assert call("eval", str(tmp_path / "out"), "--limit", "2", "--steps", "1", "--threads", "1").code == 0


@pytest.mark.parametrize(
    ("preset", "task", "ids", "whose"),
    [
        ("sudoku-extreme-trm-mlp", "sudoku", 5, "puzzles"),
        ("sudoku-extreme-hrm", "sudoku", 2, "puzzles"),
        ("maze-hard-trm", "maze", 3, "puzzles"),
        ("arc-agi-1-trm", "arc-agi-1", 7, "ARC tasks"),
        ("arc-agi-1-trm", "arc-agi-1", 1, "ARC tasks"),
    ],
)
def test_puzzle_embeddings_that_nobody_can_choose_from(
    preset: str, task: str, ids: int, whose: str, tmp_path: Path, call: Call
) -> None:
    torch.save(published(preset, task, "_orig_mod.model.inner.", puzzle_ids=ids), tmp_path / "x.pt")
    for more in ([], ["--task", task]):
        done = call("import", str(tmp_path / "x.pt"), "--out", str(tmp_path / "out"), *more)
        refused(done, f"tensor puzzle_emb.weights has {ids} rows, embeddings of the {whose}", "cannot be asked")
        assert not (tmp_path / "out").exists()


def test_an_arc_model_without_embeddings_can_be_asked(tmp_path: Path, call: Call) -> None:
    torch.save(published("arc-agi-1-trm", "arc-agi-1", "module.", puzzle_ids=0), tmp_path / "x.pt")
    out = str(tmp_path / "out")
    refused(call("import", str(tmp_path / "x.pt"), "--out", out), "--task arc-agi-1 or arc-agi-2 says which benchmark")
    assert call("import", str(tmp_path / "x.pt"), "--out", out, "--task", "arc-agi-1", "--set", "T=1").code == 0
    (tmp_path / "one.json").write_text(json.dumps(DATA))
    ask = ("eval-arc", out, "--data", str(tmp_path / "one.json"), "--votes", "1", "--steps", "1", "--threads", "1")
    done = call(*ask)
    assert done.code == 0, done.err


FILES = ("config.json", "model.safetensors", "checkpoint.pt", "log.jsonl", "run.json", "card.json", "model.onnx")


@pytest.mark.parametrize("name", [*FILES, "update-5/config.json", "step-5/config.json"])
def test_an_import_writes_over_nothing(name: str, tmp_path: Path, call: Call) -> None:
    torch.save(published("sudoku-extreme-trm-mlp", "sudoku", ""), tmp_path / "x.pt")
    out = tmp_path / "out"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text("mine")
    done = call("import", str(tmp_path / "x.pt"), "--out", str(out))
    refused(done, "already holds", "choose another --out")
    assert [path.read_text() for path in out.rglob("*") if path.is_file()] == ["mine"]


def test_a_folder_of_other_things_takes_a_model(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    check_new(tmp_path)
    check_new(tmp_path / "new")
    with pytest.raises(BadInput, match="is a file; name a folder with --out"):
        check_new(tmp_path / "notes.txt")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "card.json"])
def test_an_export_destroys_no_model(name: str, tmp_path: Path, call: Call) -> None:
    torch.save(published("sudoku-extreme-trm-mlp", "sudoku", ""), tmp_path / "x.pt")
    import_file(tmp_path / "x.pt", tmp_path / "out")
    (tmp_path / "out" / "card.json").touch()
    before = (tmp_path / "out" / name).read_bytes()
    refused(call("export", str(tmp_path / "out"), "--to", str(tmp_path / "out" / name)), "choose another --to")
    assert (tmp_path / "out" / name).read_bytes() == before


@pytest.mark.parametrize(("bad", "word"), [(float("nan"), "NaN"), (float("inf"), "infinity"), (-np.inf, "infinity")])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_what_is_no_number_is_named_at_import(bad: float, word: str, suffix: str, tmp_path: Path, call: Call) -> None:
    tensors = published("sudoku-extreme-trm-mlp", "sudoku", "module.")
    name = sorted(tensors)[4]
    tensors[name].view(-1)[2] = bad
    path = tmp_path / f"x{suffix}"
    save_file(tensors, path) if suffix == ".safetensors" else torch.save(tensors, path)
    refused(call("import", str(path), "--out", str(tmp_path / "out")), f"tensor {name} holds {word}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("bad", "word"), [(float("nan"), "NaN"), (float("-inf"), "infinity")])
def test_what_is_no_number_is_named_at_loading_and_export(bad: float, word: str, tmp_path: Path, call: Call) -> None:
    folder = tmp_path / "model"
    shutil.copytree(store.SHIPPED / "sudoku-mini", folder)
    stored = store.load(str(folder))
    tensors = load_file(folder / "model.safetensors")
    name = sorted(tensors)[3]
    tensors[name].view(-1)[-1] = bad
    save_file(tensors, folder / "model.safetensors")
    fault = f"tensor {name} holds {word}"
    refused(call("eval", str(folder), "--limit", "1"), fault)
    for file in ("x.onnx", "x.pt", "x.safetensors"):
        refused(call("export", str(folder), "--to", str(tmp_path / file)), fault)
        assert not (tmp_path / file).exists()
    broken = copy.deepcopy(stored.model)
    broken.state_dict()[name].view(-1)[-1] = bad
    with pytest.raises(BadInput, match=fault):
        to_onnx(store.Stored(broken, stored.spec, "x"))


class Code:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("hacked",)


@pytest.mark.parametrize("content", [{"a": Code()}, {"a": Path("x")}, {"a": np.zeros(3)}, torch.nn.Linear(2, 2), print])
@pytest.mark.parametrize("zipped", [True, False])
def test_advice_is_ours(content: object, zipped: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    torch.save(content, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(BadInput) as caught:
        read_tensors(tmp_path / "x.pt")
    message = str(caught.value)
    assert "it holds other objects than tensors and plain containers; save the model's state dict alone" in message
    assert not [word for word in ("weights_only", "trust", "torch.load", "\n", "GLOBAL") if word in message]
    assert capfd.readouterr() == ("", "")


def test_a_flipped_byte_in_a_checkpoint_is_no_weight(tmp_path: Path) -> None:
    tensors = published("sudoku-extreme-trm-mlp", "sudoku", "")
    torch.save(tensors, tmp_path / "x.pt")
    content = bytearray((tmp_path / "x.pt").read_bytes())
    place = content.index(max(tensors.values(), key=Tensor.numel).numpy().tobytes())
    content[place + 1000] ^= 16
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(BadInput, match=r"its part data/.* is damaged"):
        read_tensors(tmp_path / "x.pt")
