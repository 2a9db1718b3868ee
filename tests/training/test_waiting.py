"""Training does not wait for the device within an update: a profile shows no operation that reads a value back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import trainer
from torch import Tensor

from trm.models.config import ModelConfig
from trm.models.frames import PuzzleEmbedding
from trm.training import transfer
from trm.training.optim import SignSgd
from trm.training.transfer import HostCopy, to_device

# On a GPU each of these makes the host wait: for a number, or for how many rows there are.
WAITING = {"aten::item", "aten::_local_scalar_dense", "aten::nonzero", "aten::_unique2", "aten::unique_dim"}
WAITING |= {"aten::masked_select", "aten::is_nonzero", "aten::equal"}


def refusing(name: str, method: Any) -> Any:
    """A method of tensors that fails, except where the package reads its copies on the host."""

    def called(self: Tensor, *arguments: Any, **more: Any) -> Any:
        assert sys._getframe(1).f_code.co_filename == transfer.__file__, f"{name} waits for the device"
        return method(self, *arguments, **more)

    return called


def operations(work: object) -> set[str]:
    assert callable(work)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        work()
    return {event.name for event in profile.events() or ()}


@pytest.mark.parametrize(
    "more",
    [
        (),
        ("micro=4",),
        ("window=2", "start_noise=0.5", "carry=0.5"),
        ("model.puzzle_ids=3", "model.puzzle_width=16", "model.mixer=mlp", "optimizer=adam_atan2", "loss=stablemax"),
        ("model.kind=hrm", "model.mixer=attention", "model.heads=2", "model.positions=rope", "continue_loss=true"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*profil")
def test_learning_reads_nothing_back(small_csv: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]) -> None:
    monkeypatch.setenv("TRM_FUSED", "0")  # a GPU has no C kernels
    subject = trainer(small_csv, "model.width=16", "max_steps=2", *more)
    for _ in range(2):
        subject.update()  # what is done once, and until all slots halt
    for name in ("tolist", "cpu", "numpy", "__int__", "__float__", "__bool__"):
        monkeypatch.setattr(Tensor, name, refusing(name, getattr(Tensor, name)))
    part = slice(0, subject.config.micro or 8)
    learns = not any(setting.startswith("optimizer") for setting in more)
    found = operations(lambda: subject.learn(part) if learns else subject.update())
    assert (subject.stage.slots.taken_here[part] >= 2).all()  # the slots were refilled
    assert any("Backward" in name for name in found)
    assert not found & WAITING
    monkeypatch.undo()
    # It sees what it looks for.
    assert operations(subject.check_finite) & WAITING
    assert operations(lambda: subject.stage.slots.halted.nonzero()) & WAITING


def test_a_sign_step_is_that_of_unique_ids() -> None:
    """Against a loop over the ids, with some of them several times and one alone."""
    rng = torch.Generator().manual_seed(0)
    for ids in ([3, 1, 3, 3, 0, 1], [2], [4, 4], [0, 1, 2, 3, 4]):
        embedding = PuzzleEmbedding(ModelConfig(width=8, heads=1, puzzle_ids=5, puzzle_tokens=1, puzzle_width=8))
        embedding.table.copy_(torch.randn(5, 8, generator=rng))
        before, grad = embedding.table.clone(), torch.randn(len(ids), 8, generator=rng)
        rows = torch.zeros(len(ids), 8, requires_grad=True)
        rows.grad = grad
        embedding.used.append((torch.tensor(ids), rows))
        SignSgd(embedding, lr=0.1, weight_decay=0.5).step(0.1)
        for row in range(5):
            total = sum((grad[at] for at, id in enumerate(ids) if id == row), start=torch.zeros(8))
            expected: Tensor = before[row] * (1 - 0.1 * 0.5) - 0.1 * total.sign() if row in ids else before[row]
            torch.testing.assert_close(embedding.table[row], expected)


def test_copies_are_the_same_numbers() -> None:
    values = torch.tensor([True, False, True])
    copy = HostCopy(values)
    values[1] = True  # not seen before it is copied
    assert copy.read(slice(0, 3)).tolist() == [True, False, True]
    copy.update(slice(1, 3), torch.tensor([True, False]))
    assert copy.read(slice(0, 1)).tolist() + copy.read(slice(1, 3)).tolist() == [True, True, False]
    array = np.arange(6, dtype=np.uint8).reshape(2, 3).T
    assert to_device(array, torch.device("cpu")).tolist() == array.tolist()
