"""Examples on their canvas, names of colours, and symmetries of the model."""

from __future__ import annotations

import hypothesis
import numpy as np
import torch
from adapt_cases import noise
from arc_cases import grid, grids, same
from hypothesis import given
from hypothesis import strategies as st

from trm.adapt.canvas import canvases
from trm.adapt.examples import EMPTY, PLACES, collate, example, named_colours, palette
from trm.adapt.model import AdaptModel, Batch
from trm.tasks.arc.augment import turn
from trm.tasks.arc.text import ArcTask, Grid, Pair


@hypothesis.settings(max_examples=12, deadline=None)
@given(grids, st.integers(0, 7))
def test_a_turned_example_holds_the_turned_answer(one: Grid, way: int) -> None:
    small = one[:6, :5]
    task = ArcTask("x", (Pair(one, small), Pair(one, small)), (Pair(one, None),))
    colours = palette(task)
    for canvas in canvases(task):
        made = example(canvas, colours, one, small)
        assert made is not None
        turned = made.turned(way)
        assert same(np.array(colours, np.uint8)[turned.crop(turned.target)], turn(small, way))
        assert (turned.target != EMPTY).sum() == small.size


def test_names_of_colours() -> None:
    task = ArcTask("x", (Pair(grid("013"), grid("023")), Pair(grid("143"), grid("223"))), (Pair(grid("056"), None),))
    assert palette(task) == [0, 1, 2, 3, 4, 5, 6]
    assert named_colours(task, palette(task), few=True) == [1, 2, 3, 0, 0, 0, 0]  # 1 becomes 2 each time
    assert named_colours(task, palette(task), few=False) == [1, 2, 3, 4, 0, 0, 0]  # and 3 is in every demonstration
    larger = ArcTask("x", (Pair(grid("13"), grid("1", "2")), Pair(grid("13"), grid("1", "1"))), task.test)
    assert named_colours(larger, range(4), few=True) == [1, 0, 2, 0]  # 2 is made from nothing


def batch_of(*questions: Grid) -> Batch:
    task = ArcTask("x", tuple(Pair(question, question) for question in questions), (Pair(questions[0], None),))
    rule = canvases(task)[0]
    made = [example(rule, range(4), question, question) for question in questions]
    return collate([one for one in made if one is not None])


def logits(model: AdaptModel, batch: Batch) -> torch.Tensor:
    state, out = model.begin(model.embed(batch)), torch.empty(0)
    for _ in range(2):
        state, out = model(state, batch)
    return out


def test_colours_without_a_name_are_interchangeable() -> None:
    torch.manual_seed(0)
    (question,) = noise((4, 5))
    order = [0, 3, 1, 2]
    for known, equal in (([1, 0, 0, 0], True), ([1, 2, 0, 0], False)):
        model = AdaptModel(8, 2, 4, PLACES, known)
        plain, moved = logits(model, batch_of(question)), logits(model, batch_of(np.array(order, np.uint8)[question]))
        assert torch.allclose(plain, moved[..., order], atol=1e-4) is equal


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    small, large = noise((2, 3), (5, 4))
    model = AdaptModel(8, 2, 4, PLACES, [1, 0, 2, 0])
    alone, together = logits(model, batch_of(small)), logits(model, batch_of(small, large))
    assert together.shape == (2, 5, 4, 4)
    assert torch.allclose(alone[0], together[0, :2, :3], atol=1e-4)
