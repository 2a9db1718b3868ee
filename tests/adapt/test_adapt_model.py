"""Examples on their canvas, names of colours, and symmetries of the model."""

from __future__ import annotations

from collections.abc import Sequence

import hypothesis
import numpy as np
import torch
from adapt_cases import noise
from arc_cases import grid, grids, same
from hypothesis import given
from hypothesis import strategies as st

from trm.adapt.canvas import canvases
from trm.adapt.examples import OUTSIDE, collate, example, namings
from trm.adapt.marks import ROLES
from trm.adapt.model import AdaptModel, Batch
from trm.adapt.symmetry import EMPTY
from trm.tasks.arc.augment import turn
from trm.tasks.arc.text import ArcTask, Grid, Pair


@hypothesis.settings(max_examples=12, deadline=None)
@given(grids, st.integers(0, 7))
def test_a_turned_example_holds_the_turned_answer(one: Grid, way: int) -> None:
    small = one[:6, :5]
    task = ArcTask("x", (Pair(one, small), Pair(one, small)), (Pair(one, None),))
    for canvas in canvases(task):
        made = example(canvas, [0] + [OUTSIDE] * canvas.drawn, one, small)
        assert made is not None
        turned = made.turned(way)
        assert same(turned.answer(turned.target.astype(np.int64)), turn(small, way))
        outside = turned.target == made.colours.index(OUTSIDE) if canvas.drawn else turned.target == EMPTY
        assert (~outside).sum() == small.size


def test_names_of_colours() -> None:
    task = ArcTask("x", (Pair(grid("013"), grid("023")), Pair(grid("143"), grid("223"))), (Pair(grid("056"), None),))
    few, more, most = namings(task)
    assert few == [0, 1, 2]  # 1 becomes 2 each time
    assert more == [0, 1, 2, 3]  # and 3 is in every demonstration
    assert most == [0, 1, 2, 3, 4]
    larger = ArcTask("x", (Pair(grid("13"), grid("1", "2")), Pair(grid("13"), grid("1", "1"))), task.test)
    assert namings(larger) == [[0, 2], [0, 1, 2, 3]]  # 2 is made from nothing


def batch_of(*questions: Grid, named: Sequence[int] = (0,)) -> Batch:
    task = ArcTask("x", tuple(Pair(question, question) for question in questions), (Pair(questions[0], None),))
    rule = canvases(task)[0]
    made = [example(rule, named, question, question) for question in questions]
    return collate([one for one in made if one is not None])


def logits(batch: Batch, named: int = 1) -> torch.Tensor:
    torch.manual_seed(0)
    model = AdaptModel(8, 2, batch.planes.shape[1], batch.places.shape[-1], ROLES, named)
    state, out = model.begin(model.embed(batch)), torch.empty(0)
    for _ in range(2):
        state, out = model(state, batch)
    return out


def test_colours_without_a_name_are_interchangeable() -> None:
    (question,) = noise((4, 5))
    order = [0, 3, 1, 2]
    exchanged = np.array(order, np.uint8)[question]
    for named, equal in (([0], True), ([0, 1], False)):
        plain = logits(batch_of(question, named=named), len(named))
        moved = logits(batch_of(exchanged, named=named), len(named))
        assert torch.allclose(plain, moved[..., order], atol=1e-4) is equal


def test_shrinking_shortens_groups_of_weights() -> None:
    """By the amount, and matrices by three times as much, as numpy says; to zero where they are shorter."""
    torch.manual_seed(0)
    model = AdaptModel(8, 2, 3, 4, ROLES, 1)
    torch.nn.init.normal_(model.w_places.weight)
    with torch.no_grad():
        model.w_places.weight[:, 1] *= 0.01
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    model.shrink(0.1)
    groups = {
        "w_planes.weight": (8, 3),
        "w_empty.weight": (8, 3),
        "w_places.weight": (8, 4),
        "w_roles.weight": (8, ROLES),
    }
    large = {"block.w_near.weight": (8, 8, 9), "block.w_far.weight": (6, 8, 8), "view": (8, 8)}
    for name, p in model.named_parameters():
        old, new = (x.detach().numpy() for x in (before[name], p))
        if name in groups:
            length = np.linalg.norm(old, axis=0)
            want = old * np.maximum(0, length - 0.1) / np.maximum(length, 1e-9)
        elif name in large:
            axes = {"block.w_near.weight": (0, 1), "block.w_far.weight": (1, 2), "view": (0, 1)}[name]
            old = old.reshape(large[name])
            length = np.sqrt((old**2).sum(axes, keepdims=True))
            want = old * np.maximum(0, length - 0.3) / np.maximum(length, 1e-9)
        else:
            want = old
        np.testing.assert_allclose(new.reshape(want.shape), want, atol=1e-6)
    assert not model.w_places.weight[:, 1].any()
    assert not model.view.any()  # it began as zero


def test_padding_changes_nothing() -> None:
    small, large = noise((2, 3), (5, 4), colours=2)
    alone, together = logits(batch_of(small)), logits(batch_of(small, large))
    assert together.shape == (2, 5, 4, 2)
    assert torch.allclose(alone[0], together[0, :2, :3], atol=1e-4)


def test_a_question_has_no_layers_for_colours_of_other_questions() -> None:
    batch = batch_of(grid("021"), grid("074"), grid("000"), named=[0, 5])
    assert batch.target[:, 0].tolist() == [[0, 3, 2], [0, 3, 2], [0, 0, 0]]  # after the named ones: 1, 2 and 4, 7
    assert batch.roles.shape == (3, 4, ROLES)
    assert batch.roles[..., -1].tolist() == [[1, 0, 1, 1], [1, 0, 1, 1], [1, 0, 0, 0]]  # whether they are there
