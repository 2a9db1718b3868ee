"""Small tasks are solved, without a look at test answers and within the time limit."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from adapt_cases import MIRROR, RECOLOUR, SMALL
from arc_cases import grid, same

from trm.adapt.learn import _agreed, adapt
from trm.arc.votes import rank
from trm.tasks.arc.text import ArcTask, Pair


@pytest.mark.parametrize("task", [RECOLOUR, MIRROR], ids=lambda task: task.id)
def test_small_tasks_are_solved(task: ArcTask) -> None:
    heard: list[float] = []
    found = adapt(task, SMALL, lambda share, what: heard.append(share))
    (ballot,) = found.votes.ballots[task.id]
    assert same(rank(ballot)[0], task.test[0].answer)
    assert 0 < heard[0] <= heard[-1] <= 1


def test_test_answers_are_not_looked_at_and_the_seed_decides() -> None:
    few = replace(SMALL, updates=4, models=2)
    other = ArcTask(MIRROR.id, MIRROR.train, (Pair(MIRROR.test[0].question, grid("9")),))
    one, two, three = adapt(MIRROR, few), adapt(other, few), adapt(MIRROR, replace(few, seed=1))
    assert one.votes == two.votes
    assert one.fits == two.fits
    assert one.votes != three.votes
    assert sum(len(votes) for votes in one.votes.ballots["mirror"][0].values()) == 16  # two models, eight symmetries


def test_the_time_limit_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes on a second whenever it is asked."""
    now = iter(range(10**6))
    monkeypatch.setattr(time, "process_time", lambda: float(next(now)))
    found = adapt(MIRROR, replace(SMALL, seconds=20.0, updates=None, models=5))
    assert len(found.fits) == 2
    assert 0 < sum(fit.updates for fit in found.fits) <= 2 * 20
    assert found.seconds < 30
    assert found.votes.ballots["mirror"] != [{}]


def test_when_models_agree() -> None:
    """Nine of ten votes, in every test."""
    nine, eight = {b"a": [0.5] * 9, b"b": [0.9]}, {b"a": [0.5] * 8, b"b": [0.9] * 2}
    assert _agreed([nine, nine])
    assert not _agreed([nine, eight])
