"""Puzzle in, answer and trace out, with as much thinking as is asked for."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args
from zlib import crc32

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trm.errors import BadInput
from trm.models.base import Model, Output, State, join
from trm.store.stored import Stored
from trm.tasks.base import Bools, Task, Tokens, check, settled

Until = Literal["valid", "sure", "halt", "end"]

MEMORY = 0.8  # weight of earlier steps in what a model believes


@dataclass(frozen=True)
class Thinking:
    """How long a model may think about a puzzle, and when it is done. Raises BadInput for what makes no sense."""

    steps: int = 64  # supervision steps from one start
    restarts: int = 0  # further starts, each from the model's initial state plus noise
    noise: float = 1.0  # standard deviation of that noise
    guesses: int = 0  # unknown cells that each further start takes for granted, as the model believes them to be
    seed: int = 0  # of noise and guesses
    seconds: float | None = None  # time limit for all puzzles together; looked at between steps
    # What ends the thinking about a puzzle before its time: the first answer that is right by the rules; the first that
    # the model is as confident of as `sure` says; the first at which it would halt in training; nothing.
    until: Until = "valid"
    sure: float = 0.7  # see `confidence_in`

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("restarts", 0), ("noise", 0), ("guesses", 0), ("seed", 0)):
            if not getattr(self, name) >= least:
                raise BadInput(f"{name} must be {least} or more, not {getattr(self, name)}")
        if self.seconds is not None and not self.seconds > 0:
            raise BadInput(f"seconds must be more than 0, not {self.seconds}")
        if not 0 < self.sure <= 1:
            raise BadInput(f"sure must be a probability, more than 0, not {self.sure}")
        if self.until not in get_args(Until):
            raise BadInput(f"until must be one of {', '.join(get_args(Until))}, not {self.until!r}")


@dataclass
class Answer:
    """What the model made of one question."""

    tokens: Tokens  # [cells], chosen among all: right by the rules if `until` is "valid", else the most confident
    valid: bool  # obeys the rules and keeps what was given
    steps: int  # supervision steps used, over all starts
    confidence: float  # 0..1, the model's own belief that the answer is right: see `confidence_in`
    trace: list[Tokens] = field(default_factory=list)  # the answer after each step, where asked for
    starts: int = 1  # how often the model has started on it
    found: Tokens | None = None  # [cells], the first answer that was right by the rules, whatever `until` is


@dataclass
class Thoughts:
    """What is known of one puzzle so far."""

    best: Tokens | None = None  # the most confident answer
    confidence: float = -1.0  # in it, 0..1
    valid: bool = False
    rank: tuple[float, ...] = ()  # of the best answer: the highest is chosen
    found: Tokens | None = None
    steps: int = 0
    start: int = 0  # number of the present start
    trace: list[Tokens] = field(default_factory=list)
    belief: npt.NDArray[np.float32] | None = None  # [cells, symbols], probabilities over the latest steps; for guesses

    def note(self, tokens: Tokens, valid: bool, right: bool, confidence: float, until: Until) -> None:
        """Take note of a step's answer [cells]: whether it obeys the rules, and whether it is right."""
        self.steps += 1
        if right and self.found is None:
            self.found = tokens
        rank = (right, valid, confidence) if until == "valid" else (confidence,)
        if rank >= self.rank:
            self.best, self.confidence, self.valid, self.rank = tokens, confidence, valid, rank

    def weigh(self, probabilities: npt.NDArray[np.float32]) -> None:
        """Let a step's probabilities [cells, symbols] count, and earlier ones less and less."""
        before = probabilities if self.belief is None else self.belief
        self.belief = MEMORY * before + (1 - MEMORY) * probabilities

    def answer(self) -> Answer:
        assert self.best is not None
        return Answer(self.best, self.valid, self.steps, self.confidence, self.trace, self.start + 1, self.found)


def draws(thinking: Thinking, question: Tokens, start: int) -> np.random.SeedSequence:
    """Random numbers for a start on question [cells]: they do not depend on what else is in the batch."""
    return np.random.SeedSequence([thinking.seed, crc32(question.tobytes()), start])


def start_state(model: Model, question: Tokens, items: list[tuple[int, int]], thinking: Thinking) -> State:
    """Where each (puzzle, start) begins: the model's own state for start 0, with noise of its own for any other."""
    state = model.start(len(items))
    state = state._replace(y=state.y.clone(), z=state.z.clone())
    for i, (row, start) in enumerate(items):
        if start and thinking.noise:
            seed = draws(thinking, question[row], start).generate_state(1)[0]
            drawn = torch.Generator().manual_seed(int(seed))
            for part in (state.y, state.z):
                part[i] += thinking.noise * torch.randn(part[i].shape, generator=drawn)
    return state


def guess(
    task: Task,
    question: Tokens,
    belief: npt.NDArray[np.float32],
    first_token: int,
    count: int,
    rng: np.random.Generator,
) -> Tokens:
    """question [cells] with `count` of its unknown cells filled in, with tokens drawn from belief [cells, symbols].

    A wrong guess costs a start. A right one makes the puzzle easier, often much so.
    """
    below = belief.cumsum(1)
    drawn = (below < rng.random((len(below), 1)) * below[:, -1:]).sum(1)
    filled = task.reveal(question, (drawn + first_token).astype(np.uint8), 1.0, rng)
    unknown = np.flatnonzero(filled != question)
    chosen = rng.permutation(unknown)[:count]
    asked: Tokens = question.copy()
    asked[chosen] = filled[chosen]
    return asked


class Look(NamedTuple):
    """One supervision step of a batch of puzzles."""

    rows: list[int]  # [batch], the number of each puzzle
    starts: list[int]  # [batch], and of its start
    before: State  # y and z before the step
    output: Output  # what came of it
    tokens: Tokens  # [batch, cells], the answers read from it
    valid: Bools  # [batch], which of them obey the rules
    right: Bools  # [batch], and which are right, as far as rules can tell
    confidence: npt.NDArray[np.float32]  # [batch], the model's in them: see `confidence_in`
    ended: Bools  # [batch], which puzzles were thought about for the last time


@torch.inference_mode()
def think(
    stored: Stored, task: Task, question: Tokens, thoughts: list[Thoughts], thinking: Thinking, batch: int = 16
) -> Iterator[Look]:
    """Think about question [rows, cells], keeping `thoughts` [rows], and yield after every step of a batch.

    A puzzle leaves the batch as soon as it is done (see `Thinking.until`), and its place goes to the next one. Nothing
    goes on between the steps: who stops asking for them stops the thinking.
    """
    model = stored.model
    waiting = deque((row, 0) for row in range(len(question)))
    asked = question.copy()  # with what the present start takes for granted
    items: list[tuple[int, int]] = []  # (puzzle, start) of each row of the batch
    done: npt.NDArray[np.int64] = np.empty(0, np.int64)  # supervision steps since that start
    state = model.start(0)
    end = None if thinking.seconds is None else time.monotonic() + thinking.seconds
    late = False
    while (items or waiting) and not late:
        fresh = [waiting.popleft() for _ in range(min(len(waiting), batch - len(items)))]
        if fresh:
            more = start_state(model, question, fresh, thinking)
            state = join((state, more))
            items, done = items + fresh, np.append(done, np.zeros(len(fresh), np.int64))
        output: Output = model(state, torch.from_numpy(asked[[row for row, _ in items]]))
        done += 1
        late = end is not None and time.monotonic() >= end
        judged = judge(task, question, model, output, items, thoughts, thinking)
        *_, right, confidence = judged
        stop = enough(output, right, confidence, thinking)
        leave = stop | (done >= thinking.steps)
        spent = [item for item, left, sure in zip(items, leave, stop, strict=True) if left and not sure]
        again = [(row, start + 1) for row, start in spent if start < thinking.restarts]
        more_to_come = {row for row, _ in again}
        ended = leave & np.array([row not in more_to_come for row, _ in items], bool)
        rows, starts = [row for row, _ in items], [start for _, start in items]
        yield Look(rows, starts, state, output, *judged, ended | late)
        for row, start in again if thinking.guesses else ():
            belief, rng = thoughts[row].belief, np.random.default_rng(draws(thinking, question[row], start))
            assert belief is not None
            asked[row] = guess(task, question[row], belief, model.first_token, thinking.guesses, rng)
        waiting.extend(again)
        stay = torch.from_numpy(~leave)
        state = output.state.take(stay)
        items, done = [item for item, left in zip(items, leave, strict=True) if not left], done[~leave]
    # Where time ran out, puzzles that were never looked at get one look.
    unseen = [(row, 0) for row, thought in enumerate(thoughts) if thought.best is None]
    for at in range(0, len(unseen), batch):
        items = unseen[at : at + batch]
        rows = [row for row, _ in items]
        state = model.start(len(rows))
        output = model(state, torch.from_numpy(question[rows]))
        judged = judge(task, question, model, output, items, thoughts, thinking)
        yield Look(rows, [0] * len(rows), state, output, *judged, np.ones(len(rows), bool))


def judge(
    task: Task,
    question: Tokens,
    model: Model,
    output: Output,
    items: list[tuple[int, int]],
    thoughts: list[Thoughts],
    thinking: Thinking,
) -> tuple[Tokens, Bools, Bools, npt.NDArray[np.float32]]:
    """Read and check the answers of a step of the (puzzle, start) of `items`, and take note of them.

    -> tokens [batch, cells], [batch] which obey the rules, [batch] which are right, [batch] the confidence in each
    """
    tokens: Tokens = (output.logits.argmax(-1) + model.first_token).to(torch.uint8).numpy()
    asked = question[[row for row, _ in items]]
    tokens = settled(task, asked, tokens)
    (valid, right), confidence = check(task, asked, tokens), confidence_in(asked, output).numpy()
    for i, (row, start) in enumerate(items):
        thoughts[row].start = start
        if thinking.guesses and not start:  # what later starts believe rests on guesses
            thoughts[row].weigh(output.logits[i].softmax(-1).numpy())
        thoughts[row].note(tokens[i], bool(valid[i]), bool(right[i]), float(confidence[i]), thinking.until)
    return tokens, valid, right, confidence


def confidence_in(question: Tokens, output: Output) -> Tensor:
    """How sure the model is of a step's answers to question [batch, cells]. -> [batch], 0..1

    The probability by which it would halt here, times that of the least certain cell's token. The halting logit alone
    is not to be trusted where a guess was wrong: no question in training was without a solution.
    """
    unscored = torch.from_numpy(question == 0).to(output.logits.device)
    certain = output.logits.softmax(-1).amax(-1).masked_fill(unscored, 1.0)
    return output.halt.sigmoid() * certain.amin(-1)


def enough(output: Output, right: Bools, confidence: npt.NDArray[np.float32], thinking: Thinking) -> Bools:
    """Which puzzles of a batch are done, however many steps are left. -> [batch]"""
    halts: Bools = (output.halt > 0).cpu().numpy()
    done = {"valid": right, "sure": confidence >= thinking.sure, "halt": halts, "end": np.zeros_like(halts)}
    return done[thinking.until]


def solve(
    stored: Stored,
    task: Task,
    question: Tokens,
    thinking: Thinking | None = None,
    batch: int = 16,
    trace: bool = False,
    tick: Callable[[int], object] | None = None,
) -> list[Answer]:
    """Solve question [rows, cells]. A puzzle that is never done comes back with its most confident answer.

    Args:
        stored: the model.
        task: whose rules to check.
        question: [rows, cells] tokens.
        thinking: steps, restarts and when to stop [default: 64 steps, one start, until the rules are obeyed].
        batch: puzzles thought about at once.
        trace: keep the answer after every step.
        tick: called with the number of puzzles finished, whenever some are.
    """
    thoughts = [Thoughts() for _ in question]
    for look in think(stored, task, question, thoughts, thinking or Thinking(), batch):
        for row, tokens in zip(look.rows, look.tokens, strict=True):
            if trace:
                thoughts[row].trace.append(tokens)
        if tick is not None and (finished := int(look.ended.sum())):
            tick(finished)
    return [thought.answer() for thought in thoughts]
