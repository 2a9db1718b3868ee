"""Puzzle in, answer and trace out, with as much thinking as is asked for."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal
from zlib import crc32

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trm.models import Output, State
from trm.models.base import Model
from trm.store import Stored
from trm.tasks.base import Task, Tokens


@dataclass(frozen=True)
class Thinking:
    """How long a model may think about a puzzle, and when it is done."""

    steps: int = 64  # supervision steps from one start
    restarts: int = 0  # further starts, each from the model's initial state plus noise
    noise: float = 1.0  # standard deviation of that noise
    seed: int = 0  # of that noise
    seconds: float | None = None  # time limit for all puzzles together; looked at between steps
    # What ends the thinking about a puzzle before its time: the first answer that obeys the rules; the first that the
    # model itself holds for right; nothing.
    until: Literal["valid", "halt", "end"] = "valid"


@dataclass
class Answer:
    """What the model made of one question."""

    tokens: (
        Tokens  # [cells], the answer chosen: one that obeys the rules if `until` is "valid", else the most confident
    )
    valid: bool  # obeys the rules and keeps what was given
    steps: int  # supervision steps used, over all starts
    confidence: float  # 0..1, the model's own belief that the answer is right: sigmoid of its halting logit
    trace: list[Tokens] = field(default_factory=list)  # the answer after each step, where asked for
    starts: int = 1  # how often the model has started on it
    found: Tokens | None = None  # [cells], the first answer that obeyed the rules, whatever `until` is


@dataclass
class Thoughts:
    """What is known of one puzzle so far."""

    best: Tokens | None = None  # the most confident answer
    confidence: float = -np.inf  # its halting logit
    valid: bool = False
    found: Tokens | None = None
    steps: int = 0
    start: int = 0  # number of the present start
    trace: list[Tokens] = field(default_factory=list)

    def answer(self) -> Answer:
        assert self.best is not None
        confidence = float(torch.tensor(self.confidence).sigmoid())
        return Answer(self.best, self.valid, self.steps, confidence, self.trace, self.start + 1, self.found)


def start_state(model: Model, question: Tokens, items: list[tuple[int, int]], thinking: Thinking) -> State:
    """Where each (puzzle, start) begins: the model's own state for start 0, with noise of its own for any other.

    The noise depends on the seed, the question and the number of the start, and not on what else is in the batch.
    """
    state = model.start(len(items))
    parts = [part.clone() for part in state]
    for i, (row, start) in enumerate(items):
        if start:
            seed = np.random.SeedSequence([thinking.seed, crc32(question[row].tobytes()), start]).generate_state(1)[0]
            drawn = torch.Generator().manual_seed(int(seed))
            for part in parts:
                part[i] += thinking.noise * torch.randn(part[i].shape, generator=drawn)
    return State(*parts)


@torch.inference_mode()
def solve(
    stored: Stored,
    task: Task,
    question: Tokens,
    thinking: Thinking | None = None,
    batch: int = 16,
    trace: bool = False,
    tick: Callable[[int], object] | None = None,
) -> list[Answer]:
    """Solve question [rows, cells].

    A puzzle leaves the batch as soon as it is done (see `Thinking.until`), and its place goes to the next one. One that
    never gets there comes back with its most confident answer.

    Args:
        stored: the model.
        task: whose rules to check.
        question: [rows, cells] tokens.
        thinking: steps, restarts and when to stop [default: 64 steps, one start, until the rules are obeyed].
        batch: puzzles thought about at once.
        trace: keep the answer after every step.
        tick: called with the number of puzzles finished, whenever some are.
    """
    thinking = thinking or Thinking()
    model, thoughts = stored.model, [Thoughts() for _ in question]
    waiting = deque((row, 0) for row in range(len(question)))
    items: list[tuple[int, int]] = []  # (puzzle, start) of each row of the batch
    done: npt.NDArray[np.int64] = np.empty(0, np.int64)  # supervision steps since that start
    state = model.start(0)
    end = None if thinking.seconds is None else time.monotonic() + thinking.seconds
    while items or waiting:
        fresh = [waiting.popleft() for _ in range(min(len(waiting), batch - len(items)))]
        if fresh:
            more = start_state(model, question, fresh, thinking)
            state = State(torch.cat((state.y, more.y)), torch.cat((state.z, more.z)))
            items, done = items + fresh, np.append(done, np.zeros(len(fresh), np.int64))
        rows = [row for row, _ in items]
        output: Output = model(state, torch.from_numpy(question[rows]))
        done += 1
        late = end is not None and time.monotonic() >= end
        stop = judge(task, question[rows], model, output, [thoughts[row] for row in rows], thinking, trace)
        leave = stop | (done >= thinking.steps)
        if late:
            break  # puzzles that were never looked at get one look below
        again = [item for item, left, sure in zip(items, leave, stop, strict=True) if left and not sure]
        again = [(row, start + 1) for row, start in again if start < thinking.restarts]
        for row, start in again:
            thoughts[row].start = start
        waiting.extend(again)
        if tick is not None and (finished := int(leave.sum()) - len(again)):
            tick(finished)
        stay = torch.from_numpy(~leave)
        state = State(output.state.y[stay], output.state.z[stay])
        items, done = [item for item, left in zip(items, leave, strict=True) if not left], done[~leave]
    unseen = [row for row, thought in enumerate(thoughts) if thought.best is None]
    for at in range(0, len(unseen), batch):
        rows = unseen[at : at + batch]
        output = model(model.start(len(rows)), torch.from_numpy(question[rows]))
        judge(task, question[rows], model, output, [thoughts[row] for row in rows], thinking, trace)
    return [thought.answer() for thought in thoughts]


def judge(
    task: Task,
    question: Tokens,
    model: Model,
    output: Output,
    thoughts: list[Thoughts],
    thinking: Thinking,
    trace: bool,
) -> npt.NDArray[np.bool_]:
    """Take note of a step's answers. -> [batch], which puzzles are done."""
    tokens = (output.logits.argmax(-1) + model.first_token).to(torch.uint8).numpy()
    valid = task.valid(question, tokens)
    halt: Tensor = output.halt
    for i, thought in enumerate(thoughts):
        thought.steps += 1
        if trace:
            thought.trace.append(tokens[i])
        if valid[i] and thought.found is None:
            thought.found = tokens[i]
        wins = thinking.until == "valid" and valid[i]
        if wins or float(halt[i]) >= thought.confidence:
            thought.best, thought.confidence, thought.valid = tokens[i], float(halt[i]), bool(valid[i])
    if thinking.until == "valid":
        return valid
    return (halt > 0).numpy() if thinking.until == "halt" else np.zeros(len(thoughts), bool)
