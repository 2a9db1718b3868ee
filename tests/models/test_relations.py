"""The mixer `relations` against loops over cells, and what it does not depend on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trm.errors import BadInput
from trm.models import ModelConfig, build, relations, resized
from trm.models.relations import AROUND, RelationsMixer
from trm.tasks.base import Spec, lines
from trm.tasks.custom.structure import Structure
from trm.tasks.custom.task import Custom

CONFIG = ModelConfig(mixer="relations", width=8, layers=1, multiple=8, T=1, n=2, positions="none")
ROWS, COLUMNS = lines(3, 4)
CASES = {
    "offsets": Spec("t", 3, 4, 5, 5, offsets=((0, 1), (-2, 0), (1, -1))),
    "wrap": Spec("t", 3, 4, 5, 5, offsets=AROUND, wrap=True),
    "groups": Spec("t", 3, 4, 5, 5, groups=(ROWS, (*COLUMNS, (0, 5)))),
    "all": Spec("t", 3, 4, 5, 5, groups=(ROWS,), related=(COLUMNS,), offsets=((0, 1),)),
    "nothing": Spec("t", 3, 4, 5, 5),
}


def expected(mixer: RelationsMixer, spec: Spec, h: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """In loops over cells, for one board h [cells, width]."""
    kinds, offsets = (*spec.groups, *spec.related), spec.offsets
    if not kinds and not offsets:
        kinds, offsets = lines(spec.height, spec.width), AROUND
    w_features, w_related = (w.weight.detach().double().numpy() for w in (mixer.w_features, mixer.w_related))
    half, up = np.split(h @ w_features.T, 2, axis=1)
    features = half / (1 + np.exp(-half)) * up
    found = np.zeros_like(h)
    for cell in range(spec.cells):
        y, x = divmod(cell, spec.width)
        parts = [features[cell], features.sum(0) / np.sqrt(spec.cells)]
        for down, across in offsets:
            row, column = y + down, x + across
            if spec.wrap:
                row, column = row % spec.height, column % spec.width
            inside = 0 <= row < spec.height and 0 <= column < spec.width
            parts.append(features[row * spec.width + column] if inside else np.zeros(h.shape[1]))
        for kind in kinds:
            sums = [features[list(group)].sum(0) / np.sqrt(len(group)) for group in kind if cell in group]
            parts.append(np.sum(sums, axis=0) if sums else np.zeros(h.shape[1]))
        found[cell] = h[cell] + w_related @ np.concatenate(parts)
    normed: np.ndarray[Any, Any] = found / np.sqrt((found**2).mean(1, keepdims=True) + 1e-5)
    return normed


@pytest.mark.parametrize("spec", CASES.values(), ids=CASES.keys())
def test_it_is_what_loops_compute(spec: Spec) -> None:
    torch.manual_seed(1)
    mixer = RelationsMixer(CONFIG, spec)
    h = torch.randn(2, 12, 8, dtype=torch.float64)
    with torch.inference_mode():
        found = mixer.double()(h)
    np.testing.assert_allclose(found.numpy(), [expected(mixer, spec, one) for one in h.numpy()], atol=1e-6)


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(["offsets", "wrap", "all", "nothing"]), st.integers(2, 5), st.integers(2, 5))
def test_weights_do_not_depend_on_the_size(name: str, height: int, width: int) -> None:
    torch.manual_seed(0)
    spec = CASES[name]
    rows, columns = lines(height, width)
    groups, related = ((rows,), (columns,)) if name == "all" else ((), ())
    other = Spec("t", height, width, 5, 5, groups, related, spec.offsets, spec.wrap)
    model = build(CONFIG, spec)
    small = resized(model, other)
    question = torch.randint(1, 5, (2, height * width))
    again = build(CONFIG, other)
    again.load_state_dict(model.state_dict())
    with torch.inference_mode():
        one, two = (net(net.start(2), question).logits for net in (small, again))
    assert torch.equal(one, two)


def test_a_joined_board_may_be_shifted() -> None:
    torch.manual_seed(0)
    model = build(CONFIG, CASES["wrap"])
    board = torch.randint(1, 5, (1, 3, 4))
    with torch.inference_mode():
        plain = model(model.start(1), board.view(1, 12)).logits.view(3, 4, 5)
        moved = model(model.start(1), board.roll((1, 2), (1, 2)).reshape(1, 12)).logits.view(3, 4, 5)
    torch.testing.assert_close(plain.roll((1, 2), (0, 1)), moved, atol=1e-5, rtol=1e-4)


def test_gradients_are_those_of_differences() -> None:
    torch.manual_seed(0)
    mixer = RelationsMixer(CONFIG, CASES["all"]).double()
    h = torch.randn(1, 12, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(mixer, (h,))


def test_what_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relations, "MOST_MEMBERS", 30)
    with pytest.raises(BadInput, match="8 groups and 0 neighbours on 12 cells are too many"):
        build(CONFIG, CASES["groups"])
    monkeypatch.undo()
    monkeypatch.setattr(relations, "MOST_WEIGHTS", 600)
    with pytest.raises(BadInput, match="more than 600 weights; set a smaller width"):
        build(CONFIG, CASES["wrap"])
    with pytest.raises(BadInput, match="no puzzle embeddings and no rope"):
        CONFIG.changed(positions="rope")


@pytest.mark.parametrize(
    ("declared", "offsets"),
    [
        ({"neighbours": 4}, {(-1, 0), (1, 0), (0, -1), (0, 1)}),
        ({"neighbours": 8}, {*AROUND}),
        (
            {"neighbours": 4, "radius": 2},
            {(y, x) for y in range(-2, 3) for x in range(-2, 3) if 0 < abs(y) + abs(x) < 3},
        ),
        ({"neighbours": 8, "radius": 2}, {(y, x) for y in range(-2, 3) for x in range(-2, 3) if (y, x) != (0, 0)}),
        ({}, set()),
    ],
    ids=str,
)
def test_neighbours_of_a_structure(declared: dict[str, Any], offsets: set[tuple[int, int]]) -> None:
    task = Custom(Structure.model_validate({"shape": [3, 4], "values": [0, 1], "related": [["rows"]], **declared}))
    assert {*task.spec.offsets} == offsets
    assert task.spec.related == (ROWS,)
    assert not task.checkable
