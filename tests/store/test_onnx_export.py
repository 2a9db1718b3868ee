"""Models that cannot be written as ONNX."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from trm import store
from trm.errors import BadInput
from trm.models import ModelConfig, build, mixers
from trm.store import onnx_export
from trm.store.stored import Stored
from trm.tasks.base import Spec
from trm.tasks.sudoku.task import Sudoku

TASK = Sudoku(2, 2)


class Odd(nn.Module):
    """A mixer with an operation that ONNX lacks."""

    def __init__(self, config: ModelConfig, spec: Spec) -> None:
        super().__init__()

    def forward(self, h: Tensor) -> Tensor:
        return torch.linalg.qr(h).Q  # type: ignore[no-any-return]


def test_a_layer_that_onnx_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(mixers.MIXERS, "odd", Odd)
    monkeypatch.setitem(mixers.FRAMES, "odd", "tokens")
    model = build(ModelConfig(width=8, layers=1, T=1, n=1, mixer="odd"), TASK.spec)
    with pytest.raises(BadInput, match=r"mixer 'odd', kind 'trm'\) cannot be written as ONNX: .*linalg_qr"):
        onnx_export.to_onnx(Stored(model, TASK.spec, "odd"))


def test_a_model_too_large_for_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_export, "LIMIT", 1000)
    with pytest.raises(BadInput, match="MB of weights; an ONNX file holds"):
        onnx_export.to_onnx(store.load("sudoku-mini"))


def test_networks_that_take_turns() -> None:
    with pytest.raises(BadInput, match="4 networks that take turns, and has no ONNX form; export one network"):
        onnx_export.to_onnx(store.load("sudoku-search-x4"))
