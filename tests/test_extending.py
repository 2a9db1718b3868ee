"""Tasks and mixers from outside the package: the examples as they stand, and what registering does."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import trm
from trm.errors import BadInput
from trm.models import ModelConfig, build, mixers, register_mixer
from trm.models.frames import GridFrame, SymbolFrame, TokenFrame
from trm.tasks import Part, family, get_task, load_puzzles, register_task
from trm.tasks.base import Spec
from trm.tasks.sudoku.task import Sudoku

EXAMPLES = Path(__file__).parent.parent / "examples"
SPEC = Sudoku(2, 2).spec
PARTS: tuple[Part, ...] = ("train", "validation")


@pytest.fixture(autouse=True)
def _registries() -> Iterator[None]:
    """What a test registers is gone after it."""
    registries: list[dict[str, Any]] = [family.REGISTERED, mixers.MIXERS, mixers.FRAMES]
    before = [dict(registry) for registry in registries]
    yield
    for registry, content in zip(registries, before, strict=True):
        registry.clear()
        registry.update(content)


def run_example(name: str, folder: Path, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [name, str(folder), str(steps)])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_a_task_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_example("own_task.py", tmp_path / "latin", 4, monkeypatch)
    assert "of 100 unseen squares solved" in capsys.readouterr().out
    assert (tmp_path / "latin" / "model.safetensors").is_file()
    task = get_task("latin")
    rng = np.random.default_rng(0)
    for part in PARTS:
        puzzles = load_puzzles(task, "embedded", part)
        for question, answer in zip(puzzles.question[:50], puzzles.answer[:50], strict=True):
            for asked, right in ((question, answer), task.augment(question, answer, rng)):
                grid = right.reshape(5, 5) - 1
                assert all(sorted(line) == [1, 2, 3, 4, 5] for line in [*grid.tolist(), *grid.T.tolist()])
                assert ((asked == 1) | (asked == right)).all()
                assert (asked == 1).sum() == 10
                assert task.valid(asked[None], right[None])[0]
                assert not task.valid(asked[None], np.roll(right, 1)[None] * 0 + 2)[0]
                wrong = right.copy()
                wrong[:2] = wrong[1::-1]
                assert not task.valid(asked[None], wrong[None])[0]
            np.testing.assert_array_equal(task.read(task.draw(question)).question[0], question)
            easier = task.reveal(question, answer, 0.5, rng)
            assert ((easier == question) | (easier == answer)).all()
    solver = trm.Solver("latin", weights=tmp_path / "latin", steps=2)
    answer = solver.solve("12345 2.... 3.... 4.... 5....")
    assert (answer.grid.shape, answer.steps <= 2) == ((5, 5), True)
    np.testing.assert_array_equal(answer.grid, answer.tokens.reshape(5, 5))
    np.testing.assert_array_equal(solver.solve(np.full((5, 5), 1)).grid, solver.solve("." * 25).grid)
    with pytest.raises(BadInput, match="a Latin square is 25 cells"):
        solver.solve("12")
    with pytest.raises(BadInput, match="a puzzle of latin is 5x5 tokens from 0 to 6, not 0 to 9"):
        solver.solve(np.full((5, 5), 9) * np.eye(5, dtype=int))


def test_a_mixer_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_example("own_mixer.py", tmp_path / "convolution", 1, monkeypatch)
    assert "confidence 0." in capsys.readouterr().out
    model = trm.load(str(tmp_path / "convolution")).model
    assert isinstance(model.frame, GridFrame)
    mixer: Any = model.blocks[0].mixer
    weight = mixer.around.weight.detach().numpy()
    h = np.random.default_rng(0).standard_normal((2, 900, 16)).astype(np.float32)
    padded = np.pad(h.reshape(2, 30, 30, 16), ((0, 0), (1, 1), (1, 1), (0, 0)))
    total = h.reshape(2, 30, 30, 16).copy()
    for row in range(3):
        for column in range(3):
            total += padded[:, row : row + 30, column : column + 30] @ weight[:, :, row, column].T
    total /= np.sqrt((total**2).mean(-1, keepdims=True) + 1e-5)
    with torch.inference_mode():
        np.testing.assert_allclose(mixer(torch.from_numpy(h)).numpy(), total.reshape(h.shape), atol=1e-5)


class Still(nn.Module):
    """Mixes nothing."""

    def __init__(self, config: ModelConfig, spec: Spec) -> None:
        super().__init__()

    def forward(self, h: Tensor) -> Tensor:
        return h


@pytest.mark.parametrize(("frame", "kind"), [("tokens", TokenFrame), ("grid", GridFrame), ("symbols", SymbolFrame)])
def test_the_frame_of_a_mixer(frame: mixers.FrameName, kind: type) -> None:
    register_mixer("still", Still, frame)
    model = build(ModelConfig(mixer="still", width=8, layers=1, multiple=8, T=1, n=1, positions="none"), SPEC)
    assert type(model.frame) is kind
    output = model(model.start(3), torch.ones(3, 16, dtype=torch.uint8))
    assert output.logits.shape == (3, 16, 4 if frame == "symbols" else 6)
    assert output.halt.shape == (3,)


def test_a_task_without_puzzles_of_its_own_says_so() -> None:
    with pytest.raises(BadInput, match="task 'still' is unknown"):
        get_task("still")
    register_task("still", lambda: Sudoku(2, 2))
    assert get_task("still") == Sudoku(2, 2)
    with pytest.raises(BadInput, match="no embedded puzzles"):
        load_puzzles(get_task("still"), "embedded")
