"""ARC scored as in the competition: many answers to a question are pooled as votes and ranked; the first few count.

A predictor answers each question under several augmentations. The augmentations of the answers are undone, and equal
answers are counted together. Nothing here depends on models: any callable that follows `Predict` can be scored.
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


class Guess(NamedTuple):
    """One answer to a question."""

    grid: Grid | None  # None: there is no answer
    confidence: float  # 0 to 1


# (task, question without augmentation, augmentations) -> a guess for each augmentation, whose grid is still augmented;
# or no guess at all for a question that the predictor cannot answer. The task comes without its test answers.
Predict = Callable[[ArcTask, Grid, Sequence[Augmentation]], Sequence[Guess]]
Ballot: TypeAlias = dict[bytes, list[float]]  # a grid (see `grid_key`) -> the confidence of each vote for it

PASSES = (1, 2, 5, 10, 100)
ATTEMPTS = 2  # what the competition allows
NO_ANSWER = [[0]]  # the attempt where there is no answer: the file must hold a grid


@dataclass
class Votes:
    """The votes of one checkpoint, or the pooled votes of several."""

    ballots: dict[str, list[Ballot]] = field(default_factory=dict)  # task id -> a ballot for each test pair
    checkpoints: int = 1


def collect(
    predict: Predict, tasks: Iterable[ArcTask], augmentations: Callable[[ArcTask], Sequence[Augmentation]]
) -> Votes:
    """Ask `predict` every test question under all augmentations of its task (see `augmented`) and count the answers.

    Raises ValueError if the number of guesses is wrong or a confidence is not from 0 to 1.
    """
    votes = Votes()
    for task in tasks:
        chosen = augmentations(task)
        blind = ArcTask(task.id, task.train, tuple(Pair(pair.question, None) for pair in task.test))
        votes.ballots[task.id] = [_ballot(predict(blind, pair.question, chosen), chosen) for pair in task.test]
    return votes


def augmented(count: int, seed: int = 0, black: bool = True) -> Callable[[ArcTask], list[Augmentation]]:
    """The first `count` numbered augmentations of each task: the identity and count - 1 others."""
    return lambda task: [numbered(seed, task.id, number, black) for number in range(count)]


def pool(parts: Iterable[Votes]) -> Votes:
    """All votes of several checkpoints together. This is an ensemble, so its scores have names of their own."""
    pooled = Votes(checkpoints=0)
    for votes in parts:
        pooled.checkpoints += votes.checkpoints
        for id, ballots in votes.ballots.items():
            totals = pooled.ballots.setdefault(id, [{} for _ in ballots])
            for total, ballot in zip(totals, ballots, strict=True):
                for key, confidences in ballot.items():
                    total.setdefault(key, []).extend(confidences)
    return pooled


# Ranking


def _published(confidences: list[float]) -> tuple[float, ...]:
    return len(confidences), math.fsum(confidences) / len(confidences)


def _confidence_sum(confidences: list[float]) -> tuple[float, ...]:
    return (math.fsum(confidences),)


def _noisy_or(confidences: list[float]) -> tuple[float, ...]:
    # If votes were independent, the product of (1 - confidence) would be the probability that all of them are wrong.
    # The bound keeps a single vote with confidence 1 from outweighing any number of others.
    return (math.fsum(-math.log1p(-min(confidence, 0.99)) for confidence in confidences),)


RULES: dict[str, Callable[[list[float]], tuple[float, ...]]] = {
    "published": _published,  # the number of votes, then their mean confidence
    "confidence-sum": _confidence_sum,
    "noisy-or": _noisy_or,
}


def rank(ballot: Ballot, rule: str = "published") -> list[Grid]:
    """The grids of a ballot, best first. The order of equal ones does not depend on the order of the votes."""
    return [_grid(key) for key in _ranked(ballot, rule)]


def _ranked(ballot: Ballot, rule: str) -> list[bytes]:
    if rule not in RULES:
        raise BadInput(f"no ranking rule {quoted(rule)}; choose one of {', '.join(RULES)}")
    return sorted(sorted(ballot), key=lambda key: RULES[rule](ballot[key]), reverse=True)


# Scores


class Pass(NamedTuple):
    """How often the right answer is among the first k."""

    share: float  # mean over tasks of the share of their test pairs that are solved, as published
    low: float  # its 95 % Wilson interval, where each task is one trial
    high: float
    outputs: int  # solved test pairs, which is what the competition counts


@dataclass(frozen=True)
class Score:
    """What votes are worth under one ranking rule."""

    rule: str
    tasks: int
    outputs: int  # test pairs of all tasks
    checkpoints: int  # whose votes were pooled
    passes: dict[int, Pass]  # by k

    def name(self, k: int) -> str:
        """`pass@2`, or `pass@2 pooled over 4 checkpoints`, so that the two are not confused."""
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
    """Score votes on `tasks`; a task or question without a vote counts as not solved.

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
    """Score `ranks`: for each task, for each of its test pairs, the answers, best first."""
    if not tasks:
        raise BadInput("no task to score")
    places = [np.array(_places(ranked, task)) for ranked, task in zip(ranks, tasks, strict=True)]
    found = {}
    for k in passes:
        solved = [place < k for place in places]
        shares = np.array([task.mean() for task in solved])
        low, high = interval(shares.sum(), len(tasks))
        outputs = int(sum(task.sum() for task in solved))
        found[k] = Pass(share=float(shares.mean()), low=float(low), high=float(high), outputs=outputs)
    return Score(rule, len(tasks), sum(len(task.test) for task in tasks), checkpoints, found)


def _places(ranked: list[list[bytes]], task: ArcTask) -> list[float]:
    """For each test pair, the place of the right answer in its ranking, from 0; infinity where it is missing."""
    places = []
    for answers, pair in zip(ranked, task.test, strict=True):
        if pair.answer is None:
            raise BadInput(f"task {quoted(task.id)} cannot be scored: a test answer is not known")
        truth = grid_key(pair.answer)
        places.append(answers.index(truth) if truth in answers else math.inf)
    return places


# The competition's file


def submission(votes: Votes, tasks: Iterable[ArcTask], rule: str = "published") -> dict[str, list[dict[str, Any]]]:
    """Two attempts for every test question. Where there is no second answer, the first is repeated."""
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
    """The attempts of a submission, by task and test question.

    Raises BadInput for what the competition would refuse: a missing task, question or attempt, one too many, or a
    malformed grid.
    """
    if not isinstance(data, Mapping):
        raise BadInput("submission: must be an object with an entry for each task")
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
                raise BadInput(f"{place}, answer {number}: must hold {' and '.join(names)} and nothing else")
            attempts[task.id].append([parse_grid(entry[name], f"{place}, answer {number}, {name}") for name in names])
    if unknown := set(data) - set(attempts):
        raise BadInput(f"submission: there is no task {quoted(min(unknown, key=str))}")
    return attempts


def score_submission(data: Any, tasks: Sequence[ArcTask]) -> Score:
    """pass@1 and pass@2 of any submission. Raises BadInput."""
    attempts = check_submission(data, tasks)
    ranks = [[[grid_key(grid) for grid in grids] for grids in attempts[task.id]] for task in tasks]
    return _score(ranks, tasks, "submission", 1, range(1, ATTEMPTS + 1))


def _attempts(grids: list[list[list[int]]]) -> dict[str, Any]:
    chosen = [*grids[:ATTEMPTS], *[grids[0] if grids else NO_ANSWER] * ATTEMPTS]
    return {f"attempt_{number}": grid for number, grid in enumerate(chosen[:ATTEMPTS], 1)}


# Ballots


def _ballot(guesses: Sequence[Guess], augmentations: Sequence[Augmentation]) -> Ballot:
    """Count guesses; there may be none."""
    if guesses and len(guesses) != len(augmentations):
        raise ValueError(f"{len(guesses)} guesses for {len(augmentations)} augmentations")
    ballot: Ballot = {}
    for (grid, confidence), augmentation in zip(guesses, augmentations, strict=False):
        if not 0 <= confidence <= 1:
            raise ValueError(f"a confidence must be from 0 to 1, not {confidence}")
        if grid is not None:
            ballot.setdefault(grid_key(augmentation.undo(grid)), []).append(float(confidence))
    return ballot


def grid_key(grid: Grid) -> bytes:
    """Height, width, then the cells, a byte each."""
    return bytes(grid.shape) + grid.astype(np.uint8).tobytes()


def _grid(key: bytes) -> Grid:
    return np.frombuffer(key[2:], np.uint8).reshape(key[0], key[1])
