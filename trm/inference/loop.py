"""The loop over supervision steps: many puzzles at once, restarts, and what ends the work on a puzzle. Numpy only.

A backend computes the steps: `trm/inference/torch_step.py` with torch, `trm/inference/onnx.py` with onnxruntime.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, get_args
from zlib import crc32

import numpy as np

from trm.errors import BadInput
from trm.inference.backend import Backend, Floats, Outcome, S, S_co
from trm.numbers import LARGEST, LARGEST_SEED, finite_number, whole_number
from trm.tasks.base import Bools, Ints, Task, Tokens, check, keep_complete

Until = Literal["valid", "sure", "halt", "end"]

MOST_NOISE = 1e6  # standard deviation; far beyond this the state is not finite
MEMORY = 0.8  # weight of earlier steps in a puzzle's belief


@dataclass(frozen=True)
class Thinking:
    """How long a model may work on a puzzle, and what ends the work earlier.

    `trm.Solver` and `trm solve` have other defaults: for a Sudoku 24 steps, 100 restarts, 2 guesses and noise 0.5, for
    a maze 256 steps, 3 restarts and noise 0.5.

    Raises:
        BadInput: a value out of range.
    """

    steps: int = 64  # supervision steps from one start
    restarts: int = 0  # further starts, each from the model's initial state plus noise
    noise: float = 1.0  # standard deviation of that noise
    guesses: int = 0  # unknown cells filled in before each further start, drawn from the model's belief
    seed: int = 0  # of noise and guesses
    seconds: float | None = None  # time limit for all puzzles together; the clock is read between steps
    # What ends the work on a puzzle before its last step: `valid`, the first answer that is right by the rules; `sure`,
    # the first with a confidence of `sure` or more; `halt`, the first at which the model halts; `end`, nothing.
    until: Until = "valid"
    sure: float = 0.7  # 0..1; what the confidence is: `trm/inference/torch_step.py`

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("restarts", 0), ("guesses", 0), ("seed", 0)):
            most = LARGEST_SEED if name == "seed" else LARGEST
            object.__setattr__(self, name, whole_number(name, getattr(self, name), least, most))
        object.__setattr__(self, "noise", finite_number("noise", self.noise, 0, MOST_NOISE))
        if self.seconds is not None:
            object.__setattr__(self, "seconds", finite_number("seconds", self.seconds, 0))
            if not self.seconds > 0:
                raise BadInput(f"seconds must be more than 0, not {self.seconds}")
        object.__setattr__(self, "sure", finite_number("sure", self.sure, 0, 1))
        if not self.sure > 0:
            raise BadInput(f"sure must be a probability, more than 0, not {self.sure}")
        if self.until not in get_args(Until):
            raise BadInput(f"until must be one of {', '.join(get_args(Until))}, not {self.until!r}")


# One puzzle


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The answer to one question."""

    tokens: Tokens  # [cells], chosen among all steps: right by the rules if `until` is "valid", else the most confident
    valid: bool  # obeys the rules and keeps what was given
    steps: int  # supervision steps used, over all starts
    confidence: float  # 0..1, the model's belief that the answer is right
    starts: int = 1  # how often the model has started on it
    found: Tokens | None = None  # [cells], the first answer that was right by the rules, whatever `until` is


@dataclass(eq=False)
class SearchState:
    """What is known of one puzzle so far."""

    best: Tokens | None = None  # the answer chosen so far
    confidence: float = -1.0  # in it, 0..1
    valid: bool = False
    rank: tuple[float, ...] = ()  # of the best answer: the highest is chosen
    found: Tokens | None = None  # the first answer that was right by the rules
    steps: int = 0
    start: int = 0  # number of the present start, or of the last one
    finished: int = 0  # starts that are over
    done: bool = False  # whether the condition in `Thinking.until` is met
    belief: Floats | None = None  # [cells, symbols], probabilities weighted towards the latest steps; for guesses

    def note(self, tokens: Tokens, valid: bool, right: bool, confidence: float, until: Until) -> None:
        """Record the answer [cells] of a step: whether it obeys the rules, and whether it is right."""
        self.steps += 1
        if right and self.found is None:
            self.found = tokens
        rank = (right, valid, confidence) if until == "valid" else (confidence,)
        if rank >= self.rank:
            self.best, self.confidence, self.valid, self.rank = tokens, confidence, valid, rank

    def weigh(self, probabilities: Floats) -> None:
        """Update the belief with a step's probabilities [cells, symbols], as an exponential moving average."""
        before = probabilities if self.belief is None else self.belief
        self.belief = MEMORY * before + (1 - MEMORY) * probabilities

    def result(self) -> SearchResult:
        assert self.best is not None, "no step has been computed"
        return SearchResult(self.best, self.valid, self.steps, self.confidence, self.start + 1, self.found)


class Item(NamedTuple):
    """One start on one puzzle."""

    row: int  # number of the puzzle
    start: int  # 0 is the model's own initial state; further starts have noise


def draws(thinking: Thinking, question: Tokens, start: int) -> np.random.SeedSequence:
    """Random numbers for a start on question [cells]. They do not depend on the other puzzles of the batch."""
    return np.random.SeedSequence([thinking.seed, crc32(question.tobytes()), start])


def noise_seed(thinking: Thinking, question: Tokens, start: int) -> int | None:
    """The seed of the noise of a start on question [cells]; None where it has no noise."""
    return int(draws(thinking, question, start).generate_state(1)[0]) if start and thinking.noise else None


def guess(
    task: Task, question: Tokens, belief: Floats, first_token: int, count: int, rng: np.random.Generator
) -> Tokens:
    """question [cells] with `count` of its unknown cells filled in, with tokens drawn from belief [cells, symbols].

    A wrong guess wastes a start. A right one makes the puzzle easier, often much easier.
    """
    below = belief.cumsum(1)
    drawn = (below < rng.random((len(below), 1)) * below[:, -1:]).sum(1)
    filled = task.reveal(question, (drawn + first_token).astype(np.uint8), 1.0, rng)
    unknown = np.flatnonzero(filled != question)
    chosen = rng.permutation(unknown)[:count]
    asked: Tokens = question.copy()
    asked[chosen] = filled[chosen]
    return asked


# Many puzzles


class Places(NamedTuple):
    """What the batch holds: a puzzle, its present start, and the supervision steps since that start. Each [batch]."""

    rows: Ints
    starts: Ints
    steps: Ints

    def take(self, rows: Bools) -> Places:
        return Places(self.rows[rows], self.starts[rows], self.steps[rows])

    def add(self, items: Sequence[Item]) -> Places:
        rows, starts = (np.array(numbers, np.int64) for numbers in zip(*items, strict=True))
        return Places(
            np.append(self.rows, rows), np.append(self.starts, starts), np.append(self.steps, np.zeros_like(rows))
        )


NOWHERE = Places(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64))


@dataclass(frozen=True, eq=False)
class StepBatch(Generic[S_co]):
    """One supervision step of a batch of puzzles."""

    rows: Ints  # [batch], the number of each puzzle
    starts: Ints  # [batch], the number of its present start
    steps: Ints  # [batch], supervision steps since that start, this one included
    outcome: Outcome[S_co]
    tokens: Tokens  # [batch, cells], the answers
    valid: Bools  # [batch], which of them obey the rules
    right: Bools  # [batch], which of them are right, as far as rules can tell
    confidence: Floats  # [batch], 0..1
    done: Bools  # [batch], for which puzzles the condition in `Thinking.until` is met
    over: Bools  # [batch], for which puzzles this was the last step of the present start
    ended: Bools  # [batch], for which puzzles this was the last step of all


def think(
    backend: Backend[S],
    task: Task,
    question: Tokens,
    searches: Sequence[SearchState],
    thinking: Thinking,
    batch: int = 16,
    *,
    ids: Ints | None = None,
    starts: int | None = None,
    keep_given: bool = True,
) -> Iterator[StepBatch[S]]:
    """Work on question [rows, cells] and yield after every supervision step of a batch.

    A puzzle leaves the batch at the last step of a start, and the next one takes its place; restarts wait behind the
    puzzles that have not begun. A generator: it computes only while you iterate.

    Args:
        searches: [rows], kept up to date. A puzzle with finished starts goes on with its next one; one that is done is
            left out.
        batch: puzzles in the batch, at most.
        ids: [rows], puzzle embeddings, for models with several.
        starts: of each puzzle, at most; a later call can go on from there [default: as `thinking` says].
        keep_given: whether a question that is itself a complete and valid answer is taken as the answer.
    """
    most = thinking.restarts + 1 if starts is None else min(starts, thinking.restarts + 1)
    unfinished = ((row, one) for row, one in enumerate(searches) if not one.done)
    waiting = deque(Item(row, one.finished) for row, one in unfinished if one.finished < most)
    asked = question.copy()  # with the guesses of the present start
    places, state = NOWHERE, backend.start([], 0.0)
    end = None if thinking.seconds is None else time.monotonic() + thinking.seconds
    late = False
    while len(places.rows) or waiting:
        if fresh := [waiting.popleft() for _ in range(min(len(waiting), batch - len(places.rows)))]:
            for row, start in fresh:
                asked[row] = first_question(backend, task, question[row], start, searches[row], thinking)
            seeds = [noise_seed(thinking, question[row], start) for row, start in fresh]
            state = backend.join(state, backend.start(seeds, thinking.noise))
            places = places.add(fresh)
        rows = places.rows
        outcome = backend.step(state, asked[rows], None if ids is None else ids[rows])
        places = places._replace(steps=places.steps + 1)
        late = late or (end is not None and time.monotonic() >= end)
        step = score_step(task, question[rows], places, outcome, thinking, late, keep_given)
        record(step, searches, thinking)
        yield step
        again = step.over & ~step.ended & (step.starts + 1 < most)
        waiting.extend(Item(row, searches[row].finished) for row in rows[again].tolist())
        if late:  # puzzles that have not begun get one step each
            waiting = deque(item for item in waiting if searches[item.row].best is None)
        stay = ~step.over
        places, state = places.take(stay), outcome.state if stay.all() else backend.keep(outcome.state, stay)


def first_question(
    backend: Backend[S], task: Task, question: Tokens, start: int, search: SearchState, thinking: Thinking
) -> Tokens:
    """What the model is asked from this start on: question [cells], in further starts with guesses. -> [cells]"""
    if not start or not thinking.guesses:
        return question
    assert search.belief is not None, "guesses need the steps of the first start"
    rng = np.random.default_rng(draws(thinking, question, start))
    return guess(task, question, search.belief, backend.first_token, thinking.guesses, rng)


def score_step(
    task: Task,
    question: Tokens,
    places: Places,
    outcome: Outcome[S],
    thinking: Thinking,
    late: bool,
    keep_given: bool,
) -> StepBatch[S]:
    """Read and check the answers of a step to question [batch, cells], and say for which puzzles it was the last.

    `late`: whether time has run out; `keep_given`: see `think`.
    """
    tokens = keep_complete(task, question, outcome.tokens) if keep_given else outcome.tokens
    (valid, right), confidence = check(task, question, tokens), outcome.confidence(question)
    done = is_done(outcome, right, confidence, thinking)
    over = done | (places.steps >= thinking.steps) | late
    return StepBatch(
        rows=places.rows,
        starts=places.starts,
        steps=places.steps,
        outcome=outcome,
        tokens=tokens,
        valid=valid,
        right=right,
        confidence=confidence,
        done=done,
        over=over,
        ended=over & (done | (places.starts >= thinking.restarts) | late),
    )


def is_done(outcome: Outcome[S], right: Bools, confidence: Floats, thinking: Thinking) -> Bools:
    """For which puzzles of a batch the condition in `Thinking.until` is met. -> [batch]"""
    if thinking.until == "valid":
        return right
    if thinking.until == "sure":
        return confidence >= thinking.sure
    return outcome.halts if thinking.until == "halt" else np.zeros_like(right)


def record(step: StepBatch[S], searches: Sequence[SearchState], thinking: Thinking) -> None:
    """Bring the searches of the puzzles in a batch up to date."""
    for i, (row, start) in enumerate(zip(step.rows.tolist(), step.starts.tolist(), strict=True)):
        search = searches[row]
        search.start, search.done = start, bool(step.done[i])
        search.finished += bool(step.over[i])
        if thinking.guesses and not start:  # in later starts the belief rests on guesses
            search.weigh(step.outcome.probabilities(i))
        valid, right, confidence = bool(step.valid[i]), bool(step.right[i]), float(step.confidence[i])
        search.note(step.tokens[i], valid, right, confidence, thinking.until)


def search(
    backend: Backend[S],
    task: Task,
    question: Tokens,
    thinking: Thinking = Thinking(),
    batch: int = 16,
    tick: Callable[[int], object] = lambda finished: None,
) -> list[SearchResult]:
    """Solve question [rows, cells]. A puzzle that is never done comes back with its best answer so far.

    Args:
        backend: the model.
        task: whose rules to check.
        question: [rows, cells] tokens.
        thinking: steps, restarts and when to stop [default: 64 steps, one start, until the rules are obeyed].
        batch: puzzles in the batch, at most.
        tick: called with the number of puzzles finished, whenever some are.
    """
    searches = [SearchState() for _ in question]
    for step in think(backend, task, question, searches, thinking, batch):
        if finished := int(step.ended.sum()):
            tick(finished)
    return [one.result() for one in searches]
