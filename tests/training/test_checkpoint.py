"""A damaged checkpoint is refused in one line that names the damage and the way to go on; nothing is lost."""

from __future__ import annotations

import copy
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import tiny
from torch import Tensor

from trm.errors import TrmError
from trm.store.stored import CHECKPOINT
from trm.training import checkpoint
from trm.training.run import train

OPTIMIZERS = ("muon", "adamw", "adam_atan2")


@pytest.fixture(scope="module")
def runs(small_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each optimiser, two of three updates done."""
    torch.set_num_threads(1)
    folders = {}
    for optimizer in OPTIMIZERS:
        folder = folders[optimizer] = tmp_path_factory.mktemp(optimizer)
        assert train(tiny(small_csv, "updates=2", f"optimizer={optimizer}"), folder, "tiny")
    return folders


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name != ".lock"}


def refusal(folder: Path) -> str:
    """What resuming says; it is one line, leaves every file as it was, and names the way to go on."""
    before = files(folder)
    with pytest.raises(TrmError) as caught:
        train(None, folder, resume=True)
    message = str(caught.value)
    assert "\n" not in message
    assert "damaged" in message
    assert "Nothing was changed; restore it from a copy, or start a new run in another --out" in message
    assert f"init={folder}" in message
    for advice in ("weights_only", "trust", "PyTorch", "pickle", "miniz"):
        assert advice not in message
    assert files(folder) == before
    return message


@pytest.fixture
def run(runs: dict[str, Path], tmp_path: Path) -> Path:
    shutil.copytree(runs["muon"], tmp_path / "run")
    return tmp_path / "run"


def test_truncated_anywhere(run: Path) -> None:
    whole, rng = (run / CHECKPOINT).read_bytes(), random.Random(0)
    for length in (0, 1, 100, len(whole) - 1, *(rng.randrange(len(whole)) for _ in range(8))):
        (run / CHECKPOINT).write_bytes(whole[:length])
        assert "it is cut short, or no torch file" in refusal(run)


def test_flipped_bits_are_noticed_or_harmless(run: Path) -> None:
    """Whatever byte is changed: the content is the same, or the file is refused."""
    whole, rng = (run / CHECKPOINT).read_bytes(), random.Random(1)
    content, refused = checkpoint.load(run), 0
    places = [rng.randrange(len(whole)) for _ in range(40)] + [-1 - rng.randrange(4000) for _ in range(40)]
    for place in places:
        changed = bytearray(whole)
        changed[place] ^= 1 << rng.randrange(8)
        (run / CHECKPOINT).write_bytes(changed)
        try:
            found = checkpoint.load(run)
        except TrmError:
            refused += 1
        else:
            assert equal(found, content)
    assert refused > 30


def test_a_flipped_weight_names_its_part(run: Path) -> None:
    content = checkpoint.load(run)
    weight = next(value for value in content["trainer"]["model"].values() if value.numel() > 64)
    whole, part = (run / CHECKPOINT).read_bytes(), weight.numpy().tobytes()
    place = whole.index(part) + len(part) // 2
    (run / CHECKPOINT).write_bytes(whole[:place] + bytes([whole[place] ^ 64]) + whole[place + 1 :])
    assert "its part data/" in refusal(run)


def equal(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(equal, a, b))
    return bool(torch.equal(a, b)) if isinstance(a, Tensor) else bool(a == b)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value in nested containers."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(value[key], (*path, key))


def changed(content: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """`content` with another value there; None: with none."""
    whole = copy.deepcopy(content)
    node = whole
    for key in path[:-1]:
        node = node[key]
    if value is None:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return whole


# What the program does not need in order to go on, or what older versions did not write.
OPTIONAL = {("totals", "hint_loss")}
SETTINGS = {"lr", "amsgrad", "maximize", "foreach", "capturable", "differentiable", "fused", "decoupled_weight_decay"}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_missing_or_misshapen_part_of_the_trainer_is_named(
    optimizer: str, runs: dict[str, Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs[optimizer], run)
    content = checkpoint.load(run)
    tried = 0
    for path in places(content["trainer"]):
        if path in OPTIONAL or path[-1] in SETTINGS:
            continue
        value = content["trainer"]
        for key in path:
            value = value[key]
        others: list[Any] = [None, "x"]
        if isinstance(value, Tensor) and value.numel() > 1:
            others += [value.flatten()[:-1], value.half(), value.unsqueeze(0)]
        for other in others:
            checkpoint.save(run, changed(content, ("trainer", *path), other))
            message = refusal(run) if tried % 20 == 0 else quick(run)
            assert str(path[0]) in message, (path, message)
            tried += 1
    assert tried > 100
    checkpoint.save(run, content)
    assert train(None, run, resume=True)


def quick(run: Path) -> str:
    with pytest.raises(TrmError, match="is damaged") as caught:
        train(None, run, resume=True)
    return str(caught.value)


@pytest.mark.parametrize("key", sorted(checkpoint.KINDS))
def test_every_missing_part_of_the_whole_is_named(key: str, run: Path) -> None:
    content = checkpoint.load(run)
    for value, what in ((None, f"{key} is missing"), (["x"], f"{key} is of a wrong type")):
        checkpoint.save(run, changed(content, (key,), value))
        assert what in refusal(run)
    if key == "config":
        checkpoint.save(run, {**content, "config": content["config"][:-9]})
        assert "\n" not in str(quick_error(run))


def quick_error(run: Path) -> TrmError:
    with pytest.raises(TrmError) as caught:
        train(None, run, resume=True)
    return caught.value


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("part", ["model", "ema", "optimizers"])
def test_weights_that_are_no_numbers_are_named(part: str, bad: float, run: Path) -> None:
    content = checkpoint.load(run)
    saved = content["trainer"][part]
    values = saved[0]["state"][0] if part == "optimizers" else saved
    name = next(iter(values))
    values[name].view(-1)[0] = bad
    checkpoint.save(run, content)
    message = refusal(run)
    assert f"tensor {name} holds {'NaN' if bad != bad else 'infinity'}" in message
    assert part in message


def test_numbers_that_no_slot_can_hold_are_named(run: Path) -> None:
    content = checkpoint.load(run)
    for name, value in (("question", 99), ("answer", 200), ("ids", -1), ("steps", -1), ("taken", -5)):
        slots = content["trainer"]["slots"]
        wrong = slots[name].clone()
        wrong.view(-1)[3] = value
        checkpoint.save(run, changed(content, ("trainer", "slots", name), wrong))
        assert f"slots.{name} holds" in refusal(run)


def test_code_in_a_checkpoint_is_refused_in_our_words(run: Path) -> None:
    content = checkpoint.load(run)
    torch.save({**content, "version": 1, "name": Path("x")}, run / CHECKPOINT)
    assert "it holds other objects than tensors and plain containers" in refusal(run)


def test_updates_beyond_the_run_are_refused(run: Path) -> None:
    content = checkpoint.load(run)
    for value in (-1, 3, "2", 1.5):
        checkpoint.save(run, changed(content, ("trainer", "update"), value))
        assert "update is" in refusal(run)
    assert json.loads(content["config"])["updates"] == 2
