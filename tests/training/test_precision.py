"""The precision of a run: chosen when it starts, written down, and kept when it goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from conftest import tiny

from trm.models import precision as precisions
from trm.store import load
from trm.training import trainer as training
from trm.training.config import RunConfig
from trm.training.run import train


def chosen(config: RunConfig, monkeypatch: pytest.MonkeyPatch, gain: float) -> str:
    monkeypatch.setattr(precisions, "gain", lambda device, width: gain)
    return training.settled(config, torch.device("cpu")).precision


def test_auto_is_settled_by_speed_and_nothing_else_is(small_csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tiny(small_csv).precision == "auto"
    assert chosen(tiny(small_csv), monkeypatch, gain=2.0) == "bfloat16"
    assert chosen(tiny(small_csv), monkeypatch, gain=1.0) == "float32"
    for asked in ("float32", "float64", "tf32", "bfloat16"):
        assert chosen(tiny(small_csv, f"precision={asked}"), monkeypatch, gain=2.0) == asked


def test_a_run_keeps_its_precision(small_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, halves, exact = tmp_path / "whole", tmp_path / "halves", tmp_path / "exact"
    monkeypatch.setattr(precisions, "gain", lambda device, width: 2.0)
    assert train(tiny(small_csv), whole, "tiny")
    assert json.loads((whole / "run.json").read_text())["run"]["precision"] == "bfloat16"
    assert load(str(whole)).about["run"]["precision"] == "bfloat16"
    update, done = training.Trainer.update, [0]

    def stopped(self: training.Trainer) -> None:
        update(self)
        done[0] += 1
        if done[0] == 10:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training.Trainer, "update", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(tiny(small_csv), halves, "tiny")
    # Where the run goes on, float32 is faster.
    monkeypatch.setattr(precisions, "gain", lambda device, width: 0.5)
    assert train(None, halves, "tiny", resume=True)
    assert train(tiny(small_csv), exact, "tiny")
    one, other, third = (load(str(folder)).model.state_dict() for folder in (whole, halves, exact))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert not all(torch.equal(value, third[name]) for name, value in one.items())
