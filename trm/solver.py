"""Puzzle in, answer and trace out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from trm.models import Output, State
from trm.store import Stored
from trm.tasks.base import Task, Tokens


@dataclass
class Answer:
    """What the model made of one question."""

    tokens: Tokens  # [cells], the last answer
    valid: bool  # obeys the rules and keeps what was given
    steps: int  # supervision steps used
    confidence: float  # 0..1, the model's own belief that the answer is right: sigmoid of its halting logit
    trace: list[Tokens] = field(default_factory=list)  # the answer after each step, where asked for


@torch.inference_mode()
def solve(
    stored: Stored,
    task: Task,
    question: Tokens,
    steps: int = 64,
    batch: int = 16,
    trace: bool = False,
    tick: Callable[[int], object] | None = None,
) -> list[Answer]:
    """Solve question [rows, cells], at most `steps` supervision steps each.

    A puzzle is finished, and leaves the batch, at the first answer that obeys the rules; its place goes to the next
    one. One that never gets there comes back with its last answer and `valid` false.

    Args:
        stored: the model.
        task: whose rules to check.
        question: [rows, cells] tokens.
        steps: where to give up.
        batch: puzzles thought about at once.
        trace: keep the answer after every step.
        tick: called with the number of puzzles finished, whenever some are.
    """
    model = stored.model
    answers: list[Answer | None] = [None] * len(question)
    traces: list[list[Tokens]] = [[] for _ in question]
    waiting = iter(range(len(question)))
    rows: npt.NDArray[np.int64] = np.empty(0, np.int64)  # which puzzles are in the batch
    done = np.empty(0, np.int64)  # supervision steps each of them has had
    state = model.start(0)
    while True:
        fresh = [row for row, _ in zip(waiting, range(batch - len(rows)), strict=False)]
        if fresh:
            start = model.start(len(fresh))
            state = State(torch.cat((state.y, start.y)), torch.cat((state.z, start.z)))
            rows, done = np.append(rows, fresh).astype(np.int64), np.append(done, [0] * len(fresh)).astype(np.int64)
        if not len(rows):
            return [answer for answer in answers if answer is not None]
        output: Output = model(state, torch.from_numpy(question[rows]))
        done += 1
        tokens = (output.logits.argmax(-1) + model.first_token).to(torch.uint8).numpy()
        valid = task.valid(question[rows], tokens)
        confidence = output.halt.sigmoid().tolist()
        finished = valid | (done >= steps)
        for i, row in enumerate(rows.tolist()):
            if trace:
                traces[row].append(tokens[i])
            if finished[i]:
                answers[row] = Answer(tokens[i], bool(valid[i]), int(done[i]), confidence[i], traces[row])
        stay = torch.from_numpy(~finished)
        state = State(output.state.y[stay], output.state.z[stay])
        rows, done = rows[~finished], done[~finished]
        if tick is not None and finished.any():
            tick(int(finished.sum()))
