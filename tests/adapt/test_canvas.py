"""Sizes of answers, the planes under them, and objects in a question."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis
import numpy as np
import pytest
from adapt_cases import noise, task_of
from arc_cases import grid, random_task, same
from hypothesis import given
from hypothesis import strategies as st

from trm.adapt.canvas import DRAWN, canvases
from trm.adapt.examples import OUTSIDE, example
from trm.adapt.objects import Box, named_boxes, objects
from trm.tasks.arc.augment import turn
from trm.tasks.arc.text import ArcTask, Grid

PANELS = [np.insert(one, 3, 9, axis=1) for one in noise((2, 6), (4, 6), (3, 6))]


@pytest.mark.parametrize(
    ("answer", "questions", "name"),
    [
        (lambda q: q[::-1], noise((2, 3), (4, 5), (3, 3)), "the question's size"),
        (lambda q: q.T, noise((2, 3), (4, 5), (3, 2)), "the question's size, transposed"),
        (lambda q: np.tile(q, (2, 3)), noise((2, 3), (4, 5), (3, 2)), "2x3 times the question"),
        (lambda q: q[:, :3], PANELS, "one of 1x2 panels between lines"),
        (lambda q: q[::2], noise((2, 3), (6, 5), (8, 2)), "one of 2x1 panels"),
        (lambda q: q[:1, :1], noise((2, 3), (7, 5), (5, 2)), "over the question: 1 x 1"),
        (
            lambda q: np.zeros((len(q) + 2, 1), np.uint8),
            noise((2, 3), (7, 5), (5, 2)),
            "over the question: height +2 x 1",
        ),
    ],
)
def test_the_size_of_an_answer(answer: Callable[[Grid], Grid], questions: list[Grid], name: str) -> None:
    task = task_of(answer, *questions)
    assert name in [canvas.name for canvas in canvases(task)]
    (canvas,) = [canvas for canvas in canvases(task) if canvas.name == name]
    for pair in (*task.train, *task.test):
        laid = canvas.rule(pair.question)
        assert laid is not None
        assert pair.answer is not None
        size, planes = laid.size, laid.planes
        assert size == pair.answer.shape
        if "over" not in name:  # the right answer is among the planes
            assert any(same(plane, pair.answer) for plane in planes)


def test_an_object_cut_out() -> None:
    questions = []
    for height, width, at in ((2, 3, 1), (3, 2, 4), (4, 4, 2)):
        question = np.zeros((9, 10), np.uint8)
        question[at : at + height, at : at + width] = 1 + np.arange(height * width).reshape(height, width) % 5
        question[8, 9] = 7
        questions.append(question)
    task = task_of(lambda q: named_boxes(q)["the largest object"].crop(q), *questions)
    assert [pair.question.shape == (9, 10) for pair in task.train] == [True] * 2
    (best, *_) = canvases(task)
    assert best.name.startswith("cut out")
    layout = best.rule(questions[2])
    assert layout is not None
    assert layout.size == (4, 4)
    assert any(same(plane, task.test[0].answer) for plane in layout.planes)


def odd_sizes() -> ArcTask:
    sizes = iter([(3, 5), (7, 2), (1, 9), (1, 1)])
    return task_of(lambda q: np.ones(next(sizes), np.uint8), *[grid("00", "00")] * 4)


def test_where_no_rule_holds_the_size_is_drawn() -> None:
    task = odd_sizes()
    (canvas,) = canvases(task)
    assert (canvas.name, canvas.drawn) == (DRAWN, True)
    laid = canvas.rule(task.test[0].question)
    assert laid is not None
    assert laid.size == (7, 9)  # holds every answer
    for pair in task.train:
        made = example(canvas, [0, 1, OUTSIDE], pair.question, pair.answer)
        assert made is not None
        assert pair.answer is not None
        for way in range(8):
            turned = made.turned(way)
            assert same(turned.answer(turned.target.astype(np.int64)), turn(pair.answer, way))
        holes = made.target.astype(np.int64)
        holes[0, 0] = made.colours.index(OUTSIDE)
        assert same(made.answer(np.full_like(holes, made.colours.index(OUTSIDE))), grid("0"))
        if min(pair.answer.shape) > 1:
            assert made.answer(holes)[0, 0] == 0  # not outside, as the answer is around it


def test_halves_and_quarters_of_a_box() -> None:
    halves = Box(1, 2, 4, 6).halves()
    assert len(halves) == 8
    assert halves["the top part"] == Box(1, 2, 2, 6)
    assert halves["the bottom right part"] == Box(3, 5, 2, 3)
    assert set(Box(0, 0, 3, 4).halves()) == {"the left part", "the right part"}
    assert Box(0, 0, 3, 5).halves() == {}


@hypothesis.settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_rules_hold_on_every_demonstration(seed: int, side: int) -> None:
    task = random_task(np.random.default_rng(seed), "noise", pairs=2, side=side)
    for canvas in canvases(task):
        counts = set()
        for pair in (*task.train, *task.test):
            laid = canvas.rule(pair.question)
            assert laid is not None
            counts.add(len(laid.planes))
            answered = pair.answer is not None and (canvas.drawn or laid.size == pair.answer.shape)
            assert pair in task.test or answered
        assert len(counts) == 1


@hypothesis.settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_objects_are_what_touches(seed: int, alike: bool) -> None:
    """Against the transitive closure of the matrix of neighbours."""
    board = np.random.default_rng(seed).integers(0, 3, (5, 6)).astype(np.uint8)
    cells = [(r, c) for r, c in np.argwhere(board != 0).tolist()]
    near = np.array([[max(abs(a - c), abs(b - d)) < 2 for c, d in cells] for a, b in cells])
    if alike:
        near &= np.array([[board[one] == board[other] for other in cells] for one in cells])
    for _ in cells:
        near = near @ near
    expected = {frozenset(cell for cell, linked in zip(cells, row, strict=True) if linked) for row in near}
    found = {frozenset(map(tuple, np.argwhere(mask).tolist())) for mask in objects(board, 0, alike)}
    assert found == expected
