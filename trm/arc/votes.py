"""ARC as the competition scores it: many answers for a question, pooled into votes, ranked, the first few counted.

A predictor answers a question under several augmentations; the answers are turned back and equal ones counted. Nothing
here knows of models: anything that can be called as `Predict` says can be scored.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from trm.errors import BadInput
from trm.files import write_text
from trm.statistics import interval
from trm.tasks.arc.augment import Augmentation, numbered
from trm.tasks.arc.text import ArcTask, Grid, Pair, parse_grid
from trm.tasks.text import quoted

Guess: TypeAlias = tuple[Grid | None, float]  # a grid, None where there is no answer; the confidence in it, 0 to 1
# (task, question as the task has it, augmentations) -> a guess for each augmentation, the grid still augmented; or
# nothing at all for a question it cannot answer. The task's test answers are not for its eyes.
Predict = Callable[[ArcTask, Grid, Sequence[Augmentation]], Sequence[Guess]]
Ballot: TypeAlias = dict[bytes, list[float]]  # a grid (see `_key`) -> the confidences of all votes for it

PASSES = (1, 2, 5, 10, 100)
ATTEMPTS = 2  # that the competition allows
NOTHING = [[0]]  # the attempt where there is no answer: the file needs a grid


@dataclass
class Votes:
    """The votes of one checkpoint, or of several pooled."""

    ballots: dict[str, list[Ballot]] = field(default_factory=dict)  # by task, one for each test pair
    checkpoints: int = 1


def collect(
    predict: Predict, tasks: Iterable[ArcTask], augmentations: Callable[[ArcTask], Sequence[Augmentation]]
) -> Votes:
    """Ask `predict` every test question under all the task's augmentations (see `augmented`) and count the answers.

    Raises ValueError for a predictor that gives another number of guesses or a confidence that is none.
    """
    votes = Votes()
    for task in tasks:
        chosen = augmentations(task)
        blind = ArcTask(task.id, task.train, tuple(Pair(pair.question, None) for pair in task.test))
        votes.ballots[task.id] = [_ballot(predict(blind, pair.question, chosen), chosen) for pair in task.test]
    return votes


def augmented(count: int, seed: int = 0, black: bool = True) -> Callable[[ArcTask], list[Augmentation]]:
    """The first `count` numbered augmentations of each task: the task as it is, and count - 1 others."""
    return lambda task: [numbered(seed, task.id, number, black) for number in range(count)]


def pool(parts: Iterable[Votes]) -> Votes:
    """All votes of several checkpoints together. This is an ensemble over time: its scores get a name of their own."""
    pooled = Votes(checkpoints=0)
    for votes in parts:
        pooled.checkpoints += votes.checkpoints
        for id, ballots in votes.ballots.items():
            mine = pooled.ballots.setdefault(id, [{} for _ in ballots])
            for total, ballot in zip(mine, ballots, strict=True):
                for key, confidences in ballot.items():
                    total.setdefault(key, []).extend(confidences)
    return pooled


# Ranking


def _published(confidences: list[float]) -> tuple[float, ...]:
    return len(confidences), math.fsum(confidences) / len(confidences)


def _confidence_sum(confidences: list[float]) -> tuple[float, ...]:
    return (math.fsum(confidences),)


def _noisy_or(confidences: list[float]) -> tuple[float, ...]:
    # Were votes independent, the product of (1 - confidence) would be the chance that all of them are wrong. The bound
    # keeps one vote that is sure of itself from outweighing any number of others.
    return (math.fsum(-math.log1p(-min(confidence, 0.99)) for confidence in confidences),)


RULES: dict[str, Callable[[list[float]], tuple[float, ...]]] = {
    "published": _published,  # the number of votes, then their mean confidence
    "confidence-sum": _confidence_sum,
    "noisy-or": _noisy_or,
}


def rank(ballot: Ballot, rule: str = "published") -> list[Grid]:
    """The grids of a ballot, best first. Equal ones in an order that does not depend on who voted first."""
    return [_grid(key) for key in _ranked(ballot, rule)]


def _ranked(ballot: Ballot, rule: str) -> list[bytes]:
    if rule not in RULES:
        raise BadInput(f"no ranking rule {quoted(rule)}; choose one of {', '.join(RULES)}")
    return sorted(sorted(ballot), key=lambda key: RULES[rule](ballot[key]), reverse=True)


# Scores


class Pass(NamedTuple):
    """What is right among the first k answers."""

    share: float  # mean over tasks of the share of its test pairs that are solved, as published
    low: float  # 95 % Wilson interval of it, a task counted as one trial
    high: float
    outputs: int  # test pairs solved, what the competition counts


@dataclass(frozen=True)
class Score:
    rule: str
    tasks: int
    outputs: int  # test pairs of all tasks
    checkpoints: int  # whose votes were pooled
    passes: dict[int, Pass]  # by k

    def name(self, k: int) -> str:
        """`pass@2`, but `pass@2 pooled over 4 checkpoints`: nobody may take one for the other."""
        return f"pass@{k}" + (f" pooled over {self.checkpoints} checkpoints" if self.checkpoints != 1 else "")

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        head = {"rule": self.rule, "tasks": self.tasks, "outputs": self.outputs, "checkpoints": self.checkpoints}
        return head | {
            self.name(k): {
                "share": round(one.share, 6),
                "interval": [round(one.low, 6), round(one.high, 6)],
                "outputs": one.outputs,
            }
            for k, one in self.passes.items()
        }


def score(votes: Votes, tasks: Sequence[ArcTask], rule: str = "published", passes: Sequence[int] = PASSES) -> Score:
    """Score votes on `tasks`; a task or question without a vote is not solved.

    Raises BadInput for an unknown rule, no tasks, or a task whose test answers are not known.
    """
    ranks = []
    for task in tasks:
        ballots = votes.ballots.get(task.id) or [{} for _ in task.test]
        ranks.append([_ranked(ballot, rule) for ballot in ballots])
    return _score(ranks, tasks, rule, votes.checkpoints, passes)


def _score(
    ranks: list[list[list[bytes]]], tasks: Sequence[ArcTask], rule: str, checkpoints: int, passes: Sequence[int]
) -> Score:
    """Score answers, best first, of each test pair of each task."""
    if not tasks:
        raise BadInput("no task to score")
    places = [np.array(_places(ranked, task)) for ranked, task in zip(ranks, tasks, strict=True)]
    found = {}
    for k in passes:
        solved = [place < k for place in places]
        shares = np.array([task.mean() for task in solved])
        low, high = interval(shares.sum(), len(tasks))
        found[k] = Pass(float(shares.mean()), float(low), float(high), int(sum(task.sum() for task in solved)))
    return Score(rule, len(tasks), sum(len(task.test) for task in tasks), checkpoints, found)


def _places(ranked: list[list[bytes]], task: ArcTask) -> list[float]:
    """Where among its answers, from 0, each test pair's truth is; infinity where it is not."""
    places = []
    for answers, pair in zip(ranked, task.test, strict=True):
        if pair.answer is None:
            raise BadInput(f"task {quoted(task.id)} cannot be scored: a test answer is not known")
        truth = _key(pair.answer)
        places.append(answers.index(truth) if truth in answers else math.inf)
    return places


# The competition's file


def submission(votes: Votes, tasks: Iterable[ArcTask], rule: str = "published") -> dict[str, list[dict[str, Any]]]:
    """Two attempts for every test question, the first repeated where there is no second."""
    entries = {}
    for task in tasks:
        ballots = votes.ballots.get(task.id) or [{} for _ in task.test]
        entries[task.id] = [_attempts([grid.tolist() for grid in rank(ballot, rule)]) for ballot in ballots]
    return entries


def write_submission(path: Path, votes: Votes, tasks: Sequence[ArcTask], rule: str = "published") -> None:
    """Write `submission.json`, complete and checked against the tasks' questions. Raises BadInput."""
    entries = submission(votes, tasks, rule)
    check_submission(entries, tasks)
    write_text(path, json.dumps(entries, separators=(",", ":")) + "\n")


def check_submission(data: Any, tasks: Iterable[ArcTask]) -> dict[str, list[list[Grid]]]:
    """The attempts of a submission, by task and test question. Raises BadInput for what the competition would refuse:
    a task, a question or an attempt that is missing, too many of them, or a grid that is none.
    """
    if not isinstance(data, Mapping):
        raise BadInput("submission: an object of tasks is needed")
    attempts: dict[str, list[list[Grid]]] = {}
    names = [f"attempt_{number}" for number in range(1, ATTEMPTS + 1)]
    for task in tasks:
        place = f"submission: task {quoted(task.id)}"
        entries = data.get(task.id)
        if not isinstance(entries, list):
            raise BadInput(f"{place}: there are no answers")
        if len(entries) != len(task.test):
            raise BadInput(f"{place}: {len(entries)} answers for {len(task.test)} test questions")
        attempts[task.id] = []
        for number, entry in enumerate(entries, 1):
            if not isinstance(entry, Mapping) or set(entry) != set(names):
                raise BadInput(f"{place}, answer {number}: just {' and '.join(names)} must be there")
            attempts[task.id].append([parse_grid(entry[name], f"{place}, answer {number}, {name}") for name in names])
    if unknown := set(data) - set(attempts):
        raise BadInput(f"submission: there is no task {quoted(min(unknown, key=str))}")
    return attempts


def score_submission(data: Any, tasks: Sequence[ArcTask]) -> Score:
    """pass@1 and pass@2 of a submission, whoever wrote it. Raises BadInput."""
    attempts = check_submission(data, tasks)
    ranks = [[[_key(grid) for grid in grids] for grids in attempts[task.id]] for task in tasks]
    return _score(ranks, tasks, "submission", 1, range(1, ATTEMPTS + 1))


def _attempts(grids: list[list[list[int]]]) -> dict[str, Any]:
    chosen = [*grids[:ATTEMPTS], *[grids[0] if grids else NOTHING] * ATTEMPTS]
    return {f"attempt_{number}": chosen[number - 1] for number in range(1, ATTEMPTS + 1)}


# Ballots


def _ballot(guesses: Sequence[Guess], augmentations: Sequence[Augmentation]) -> Ballot:
    if guesses and len(guesses) != len(augmentations):
        raise ValueError(f"{len(guesses)} guesses for {len(augmentations)} augmentations")
    ballot: Ballot = {}
    for (grid, confidence), augmentation in zip(guesses, augmentations, strict=False):
        if not 0 <= confidence <= 1:
            raise ValueError(f"a confidence must be from 0 to 1, not {confidence}")
        if grid is not None:
            ballot.setdefault(_key(augmentation.undo(grid)), []).append(float(confidence))
    return ballot


def _key(grid: Grid) -> bytes:
    return bytes(grid.shape) + grid.astype(np.uint8).tobytes()


def _grid(key: bytes) -> Grid:
    return np.frombuffer(key[2:], np.uint8).reshape(key[0], key[1])
