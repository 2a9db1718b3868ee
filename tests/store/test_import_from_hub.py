"""`trm import OWNER/NAME --file ...`, against a server that answers as the hub does."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from conftest import Call
from hub_server import COMMIT, Hub, serving_hub
from safetensors.torch import save
from torch import Tensor

import trm
from trm.models import build
from trm.store.convert import to_published
from trm.store.published import INDEX
from trm.tasks import get_task
from trm.training.config import override
from trm.training.presets import get_preset

REPO = "someone/trm-mlp"


def torch_file(tensors: dict[str, Tensor]) -> bytes:
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    """A small model with the paper's MLP, under the published names."""
    config = override(get_preset("sudoku-extreme-trm-mlp").config, ["model.width=16", "model.puzzle_width=16"])
    torch.manual_seed(0)
    model = build(config.model, get_task("sudoku").spec)
    return to_published(model.config, model.state_dict())


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving_hub({}, tmp_path / "cache", monkeypatch) as server:
        server.place = REPO
        yield server


def half(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.bfloat16() for name, tensor in tensors.items()}


LAYOUTS: dict[
    str, tuple[str, Callable[[dict[str, Tensor]], dict[str, bytes]]]
] = {  # the file that is asked for, and what the repository holds
    "plain": ("step_10", lambda t: {"step_10": torch_file(t)}),
    "compiled": ("step_10", lambda t: {"step_10": torch_file({f"_orig_mod.model.inner.{k}": v for k, v in t.items()})}),
    "parallel": ("step_10", lambda t: {"step_10": torch_file({f"module.{k}": v for k, v in t.items()})}),
    "bfloat16": ("step_10", lambda t: {"step_10": torch_file(half(t))}),
    "safetensors": ("model.safetensors", lambda t: {"model.safetensors": save(t)}),
    "sharded": (f"model{INDEX}", lambda t: sharded(t)),
}


def sharded(tensors: dict[str, Tensor]) -> dict[str, bytes]:
    names, files = sorted(tensors), ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    shares = names[::2], names[1::2]
    content = {file: save({name: tensors[name] for name in share}) for file, share in zip(files, shares, strict=True)}
    index = {"weight_map": {name: file for file, share in zip(files, shares, strict=True) for name in share}}
    return {**content, f"model{INDEX}": json.dumps(index).encode()}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_weights(
    layout: str, hub: Hub, published: dict[str, Tensor], tmp_path: Path, call: Call
) -> None:
    file, files = LAYOUTS[layout]
    hub.files |= files({name: tensor.contiguous() for name, tensor in published.items()})
    done = call("import", REPO, "--file", file, "--out", str(tmp_path / "mine"))
    assert done.code == 0, done.err
    expected = half(published) if layout == "bfloat16" else published
    stored = trm.load(str(tmp_path / "mine"))
    found = to_published(stored.model.config, stored.model.state_dict())
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name].float(), expected[name].float()) for name in found)
    assert stored.about["imported"]["file"] == f"{REPO}/{file}"
    evaluated = call("eval", str(tmp_path / "mine"), "--data", "minimal", "--limit", "2", "--steps", "1", "--json")
    assert json.loads(evaluated.out)["rows"] == 2


def test_a_revision_is_asked_for(hub: Hub, published: dict[str, Tensor], tmp_path: Path, call: Call) -> None:
    hub.files["step_10"] = torch_file(published)
    arguments = ("import", REPO, "--file", "step_10", "--out", str(tmp_path / "mine"), "--revision")
    refused = call(*arguments, "nosuch")
    assert refused.code == 1
    assert "it has no revision nosuch" in refused.err
    assert call(*arguments, COMMIT).code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((REPO,), 2, f"{REPO}: no such file; of a repository on the hub --file says which file is meant"),
        ((REPO, "--file", "step_11"), 1, f"cannot download step_11 of model {REPO}: there is no such file in it"),
        (("other/none", "--file", "a"), 1, "there is no such model, or it is private"),
        (("nosuch.pt", "--revision", "main"), 2, "--revision is for a repository on the hub: give --file too"),
        (("a/b/c", "--file", "x"), 2, "a/b/c is no repository on the hub, which --file is for: write OWNER/NAME"),
        ((REPO, "--file", f"bad{INDEX}"), 2, "not an index of .safetensors files"),
        ((REPO, "--file", f"escaping{INDEX}"), 2, "not an index of .safetensors files: weight_map names"),
        ((REPO, "--file", f"lone{INDEX}"), 1, "cannot download lone.safetensors"),
    ],
)
def test_what_cannot_be_imported(
    arguments: tuple[str, ...], code: int, message: str, hub: Hub, tmp_path: Path, call: Call
) -> None:
    hub.files |= {
        f"bad{INDEX}": b"[]",
        f"escaping{INDEX}": b'{"weight_map": {"a": "../../secret.safetensors"}}',
        f"lone{INDEX}": b'{"weight_map": {"a": "lone.safetensors"}}',
    }
    done = call("import", *arguments, "--out", str(tmp_path / "mine"))
    assert (done.code, message in done.err) == (code, True), done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "mine").exists()
