"""Import and export of published checkpoints, and the sizes of the published models."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from trm import store
from trm.errors import BadInput
from trm.models import ModelConfig, build
from trm.store.convert import from_published, to_published
from trm.store.published import export_file, import_file, read_tensors
from trm.tasks import get_task
from trm.tasks.base import Spec
from trm.training.presets import PRESETS

SPEC = Spec("plain", 3, 4, vocab=7, first_symbol=7)
SMALL = ModelConfig(width=32, heads=2, puzzle_ids=5, puzzle_tokens=3, puzzle_width=40, T=2, n=2)
MODELS = {
    "attention": {},
    "attention without puzzle embeddings": {"puzzle_ids": 0, "puzzle_tokens": 16, "puzzle_width": 512},
    "learned positions": {"positions": "learned", "layers": 1},
    "mlp": {"mixer": "mlp", "positions": "none", "heads": 8},
    "mlp without puzzle embeddings": {"mixer": "mlp", "positions": "none", "heads": 8, "puzzle_ids": 0}
    | {"puzzle_tokens": 16, "puzzle_width": 512},
    "mlp of another expansion": {"mixer": "mlp", "positions": "none", "heads": 8, "expansion": 2.0, "multiple": 16},
    "hrm": {"kind": "hrm", "layers": 4, "puzzle_tokens": 2},
    "hrm, learned positions": {"kind": "hrm", "positions": "learned"},
}


def tensors(config: ModelConfig, spec: Spec, seed: int = 0) -> dict[str, Tensor]:
    """A state dict of ours with random values."""
    state = build(config, spec).state_dict()
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(value.shape, generator=generator) for name, value in state.items()}


@pytest.mark.parametrize("prefix", ["", "model.inner.", "_orig_mod.model.inner."])
@pytest.mark.parametrize("change", MODELS.values(), ids=MODELS)
def test_import_and_export_are_inverse(change: dict[str, object], prefix: str) -> None:
    config = SMALL.changed(**change)
    state = tensors(config, SPEC)
    published = to_published(config, state, prefix)
    given = {"heads": config.heads, "T": config.T, "n": config.n, "puzzle_tokens": config.puzzle_tokens}
    result = from_published(published, SPEC, **given)
    assert result.config == config
    assert result.state.keys() == state.keys()
    assert all(result.state[name] is state[name] for name in state)
    again = to_published(result.config, result.state, prefix)
    assert again.keys() == published.keys()
    assert all(again[name] is published[name] for name in published)


def test_what_is_not_in_the_tensors_is_named() -> None:
    config = SMALL.changed(heads=8, width=64, puzzle_tokens=16, T=3, n=4)
    result = from_published(to_published(config, tensors(config, SPEC)), SPEC)
    usual = {"heads": 8, "T": 3, "n": 4, "positions": "rope", "puzzle_tokens": 16, "max_steps": 16}
    assert result.assumed == usual
    assert result.config == config
    given = from_published(to_published(config, tensors(config, SPEC)), SPEC, n=7, heads=4, max_steps=8)
    assert given.assumed.keys() == usual.keys() - {"n", "heads", "max_steps"}
    assert (given.config.n, given.config.heads, given.max_steps) == (7, 4, 8)


LAYER = "L_level.layers.1.mlp.down_proj.weight"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            LAYER,
            torch.zeros(32, 255),
            f"tensor {LAYER} is (32, 255); the other tensors and the settings imply (32, 256)",
        ),
        (LAYER, None, f"tensor {LAYER} is missing"),
        ("embed_tokens.embedding_weight", None, "tensor embed_tokens.embedding_weight is missing"),
        ("embed_tokens.embedding_weight", torch.zeros(7), "tensor embed_tokens.embedding_weight is (7,)"),
        ("q_head.bias", torch.zeros(3), "tensor q_head.bias is (3,)"),
        (
            "extra.weight",
            torch.zeros(1),
            "tensor extra.weight is (1,); the other tensors and the settings imply no such",
        ),
        ("inner.H_init", torch.zeros(32), "tensor H_init occurs twice"),
        ("H_init", torch.zeros(32, dtype=torch.int64), "tensor H_init holds int64, not weights"),
        ("L_level.layers.0.mlp.down_proj.weight", torch.zeros(32, 100), "tensor L_level.layers.0.mlp.gate_up_proj"),
        ("puzzle_emb.weights", torch.zeros(5, 97), "does not fit in 3 puzzle_tokens of width 32"),
    ],
)
def test_a_wrong_tensor_is_named(name: str, value: Tensor | None, message: str) -> None:
    published = to_published(SMALL, tensors(SMALL, SPEC), "")
    if value is None:
        del published[name]
    else:
        published[name] = value
    with pytest.raises(BadInput, match=re.escape(message)):
        from_published(published, SPEC, heads=2, T=2, n=2, puzzle_tokens=3)


def test_settings_that_make_no_sense_are_refused() -> None:
    published = to_published(SMALL, tensors(SMALL, SPEC))
    with pytest.raises(BadInput, match="width is read from the tensors"):
        from_published(published, SPEC, width=32)
    with pytest.raises(BadInput, match="width 32 must be a multiple of twice the heads"):
        from_published(published, SPEC, heads=3)
    with pytest.raises(BadInput, match="setting n=0"):
        from_published(published, SPEC, heads=2, n=0)
    for steps in ("1.5", 0):
        with pytest.raises(BadInput, match="max_steps must be a whole number, 1 or more"):
            from_published(published, SPEC, heads=2, max_steps=steps)
    with pytest.raises(BadInput, match="has 7 tokens, and published tasks have 11"):
        from_published(published)


@pytest.mark.parametrize("change", [{"kind": "direct"}, {"memory": "single"}, {"networks": "separate"}])
def test_what_was_never_published_is_not_exported(change: dict[str, str]) -> None:
    config = SMALL.changed(**change)
    with pytest.raises(BadInput, match=r"the published code has no model of .* ends in \.onnx"):
        to_published(config, tensors(config, SPEC))


@pytest.mark.parametrize("suffix", ["", ".pt", ".safetensors"])
def test_files_go_in_and_out_exactly(tmp_path: Path, suffix: str) -> None:
    config = ModelConfig(mixer="mlp", positions="none", width=32, puzzle_ids=1, puzzle_width=32)
    spec = get_task("sudoku").spec
    published = to_published(config, tensors(config, spec), "_orig_mod.model.inner.")
    published["_orig_mod.model.inner.H_init"] = published["_orig_mod.model.inner.H_init"].bfloat16()  # as published
    source = tmp_path / f"step_65104{suffix}"
    if suffix == ".safetensors":
        save_file(published, source)
    else:
        torch.save(published, source)
    result = import_file(source, tmp_path / "out")
    assert result.assumed == {"T": 3, "n": 6, "max_steps": 16}
    stored = store.load(str(tmp_path / "out"))
    assert (stored.spec, stored.model.config, stored.name) == (spec, config, "step_65104")
    assert stored.about["imported"]["file"] == source.name
    question = torch.randint(1, 11, (2, 81))
    with torch.no_grad():
        logits = stored.model(stored.model.start(2), question).logits
    assert logits.shape == (2, 81, 11)

    export_file(str(tmp_path / "out"), tmp_path / f"back{suffix}")
    back = read_tensors(tmp_path / f"back{suffix}")
    assert back.keys() == {name.removeprefix("_orig_mod.") for name in published}
    for name, value in back.items():
        assert torch.equal(value, published[f"_orig_mod.{name}"].float()), name
    import_file(tmp_path / f"back{suffix}", tmp_path / "again")
    first, second = (read_tensors(tmp_path / folder / "model.safetensors") for folder in ("out", "again"))
    assert all(torch.equal(first[name], second[name]) for name in first.keys() | second.keys())


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch hacked",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "not a checkpoint of plain tensors"),
        (b"PK\x03\x04 cut short", "not a checkpoint of plain tensors"),
        (b"source,question,answer\n", "not a checkpoint of plain tensors"),
        ({"model": {"a": torch.zeros(1)}}, "entry 'model' is a dict; give the model's state dict alone"),
        (torch.zeros(3), "holds a Tensor, not a state dict"),
        ({}, "not a state dict"),
        ({"a": Evil()}, "not a checkpoint of plain tensors"),
    ],
)
def test_other_files_are_one_line(
    content: object, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "checkpoint"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(BadInput, match=re.escape(message)) as caught:
        import_file(path, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "hacked").exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "change", [{"kind": "hrm"}, {"kind": "direct"}, {"memory": "scales"}, {"networks": "separate"}]
)
def test_our_format_keeps_every_kind(change: dict[str, str], tmp_path: Path) -> None:
    config = SMALL.changed(**change)
    model = build(config, SPEC).eval()
    store.save_model(tmp_path, model, config, SPEC, "kind", {})
    loaded = store.load(str(tmp_path)).model
    question, ids = torch.randint(1, 7, (2, 12)), torch.tensor([0, 4])
    with torch.no_grad():
        assert torch.equal(loaded(loaded.start(2), question, ids).logits, model(model.start(2), question, ids).logits)
    assert json.loads((tmp_path / "config.json").read_text())["model"] == config.model_dump()


# Counted as in the papers: weights, biases, token embedding and heads, but not puzzle embeddings.
@pytest.mark.parametrize(
    ("preset", "count", "published"),
    [
        ("sudoku-extreme-trm-mlp", 5_028_866, "5.03"),
        ("sudoku-extreme-trm-attention", 6_828_034, "6.83"),
        ("sudoku-extreme-hrm", 27_275_266, "27.28"),
        ("sudoku-extreme-direct", 27_275_266, "27.28"),
    ],
)
def test_parameter_counts_are_the_published_ones(preset: str, count: int, published: str) -> None:
    with torch.device("meta"):
        model = build(PRESETS[preset].config.model, get_task("sudoku").spec)
    assert sum(p.numel() for p in model.parameters()) == count
    assert f"{count / 1e6:.2f}" == published
