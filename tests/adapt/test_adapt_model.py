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
from trm.adapt.examples import collate, example, named_colours
from trm.adapt.marks import EMPTY, ROLES
from trm.adapt.model import AdaptModel, Batch
from trm.tasks.arc.augment import turn
from trm.tasks.arc.text import ArcTask, Grid, Pair


@hypothesis.settings(max_examples=12, deadline=None)
@given(grids, st.integers(0, 7))
def test_a_turned_example_holds_the_turned_answer(one: Grid, way: int) -> None:
    small = one[:6, :5]
    task = ArcTask("x", (Pair(one, small), Pair(one, small)), (Pair(one, None),))
    for canvas in canvases(task):
        made = example(canvas, [0], one, small)
        assert made is not None
        turned = made.turned(way)
        assert same(np.array(made.colours, np.uint8)[turned.crop(turned.target)], turn(small, way))
        assert (turned.target != EMPTY).sum() == small.size


def test_names_of_colours() -> None:
    task = ArcTask("x", (Pair(grid("013"), grid("023")), Pair(grid("143"), grid("223"))), (Pair(grid("056"), None),))
    assert named_colours(task, few=True) == [0, 1, 2]  # 1 becomes 2 each time
    assert named_colours(task, few=False) == [0, 1, 2, 3]  # and 3 is in every demonstration
    larger = ArcTask("x", (Pair(grid("13"), grid("1", "2")), Pair(grid("13"), grid("1", "1"))), task.test)
    assert named_colours(larger, few=True) == [0, 2]  # 2 is made from nothing


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
