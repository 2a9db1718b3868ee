"""Accuracy at every supervision step, with and without the model's own halting, with confidence intervals."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trm.inference.loop import Thinking, Until, confidence_in, enough, solve
from trm.models.base import Model, join
from trm.store.stored import Stored
from trm.tasks.base import Bools, Ints, Puzzles, Scored, Task, Tokens, check


class Rowwise(NamedTuple):
    exact: Bools  # [steps, rows]
    valid: Bools  # [steps, rows]
    halted: Ints  # [rows], the step at which the model first said it was done, else the last


@dataclass(frozen=True)
class Evaluation:
    """Sums over rows; `exact[k - 1]` counts rows whose answer is entirely right after k supervision steps."""

    rows: int
    cells: int  # scored cells over all rows
    exact: npt.NDArray[np.int64]  # [steps]
    cell: npt.NDArray[np.int64]  # [steps], cells right
    valid: npt.NDArray[np.int64]  # [steps], rows that obey the rules
    halted_exact: int  # rows right at the step where the model first said so (or at the last)
    halted_steps: int  # supervision steps used in doing so
    seconds: float
    taken: int = 0  # supervision steps over all rows: fewer than all where puzzles leave
    rowwise: Rowwise | None = None  # None where the sums are over several processes
    extra: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)  # [steps] rows, by the task's own scores

    def as_dict(self) -> dict[str, Any]:
        """Shares instead of counts, ready for JSON."""
        return {
            "rows": self.rows,
            "steps": list(range(1, len(self.exact) + 1)),
            "exact": [round(int(count) / self.rows, 6) for count in self.exact],
            "cell": [round(int(count) / self.cells, 6) for count in self.cell],
            "valid": [round(int(count) / self.rows, 6) for count in self.valid],
            **{name: [round(int(count) / self.rows, 6) for count in counts] for name, counts in self.extra.items()},
            "halted": {
                "exact": round(self.halted_exact / self.rows, 6),
                "mean_steps": round(self.halted_steps / self.rows, 4),
            },
            "seconds": round(self.seconds, 3),
        }


def think(
    model: Model, question: Tensor, steps: int, ids: Tensor | None = None
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Run `steps` supervision steps on question [batch, cells].

    Yields after each step the answer's tokens [batch, cells], the halting logit [batch] and the probability of each
    cell's chosen token [batch, cells].
    """
    state = model.start(len(question))
    for _ in range(steps):
        with torch.inference_mode():
            output = model(state, question, ids)
            state = output.state
            confidence, choice = output.logits.softmax(-1).max(-1)
        yield choice + model.first_token, output.halt, confidence


class Step(NamedTuple):
    """One supervision step of a batch of puzzles, each of which has come as far as it has."""

    rows: Ints  # [batch], the number of each puzzle
    number: Ints  # [batch], which of its steps this was, from 1
    tokens: Tokens  # [batch, cells], the answers
    valid: Bools  # [batch], which of them obey the rules
    halted: Bools  # [batch], which puzzles the model says are done
    leaving: Bools  # [batch], which puzzles this was the last step of


def steps_of(
    model: Model, task: Task, puzzles: Puzzles, thinking: Thinking, batch: int, device: torch.device | None
) -> Iterator[Step]:
    """A `Step` after every supervision step. A puzzle that is done leaves, and the next one takes its place."""
    count, first = len(puzzles), 0
    rows, number, state = np.zeros(0, np.int64), np.zeros(0, np.int64), model.start(0)
    while len(rows) or first < count:
        fresh = np.arange(first, min(first + batch - len(rows), count))
        if len(fresh):
            first, more = first + len(fresh), model.start(len(fresh))
            state = join((state, more))
            rows, number = np.concatenate((rows, fresh)), np.append(number, np.zeros(len(fresh), np.int64))
        question = puzzles.question[rows]
        ids = None if puzzles.ids is None else torch.from_numpy(puzzles.ids[rows]).to(device)
        with torch.inference_mode():
            output = model(state, torch.from_numpy(question).to(device), ids)
            state, confidence = output.state, confidence_in(question, output).cpu().numpy()
        tokens = (output.logits.argmax(-1) + model.first_token).to(torch.uint8).cpu().numpy()
        number = number + 1
        valid, right = check(task, question, tokens)
        done = enough(output, right, confidence, thinking)
        leaving = done | (number >= thinking.steps)
        yield Step(rows, number, tokens, valid, (output.halt > 0).cpu().numpy() | done, leaving)
        if leaving.any():
            stay = torch.from_numpy(~leaving).to(device)
            rows, number, state = rows[~leaving], number[~leaving], state.take(stay)


def evaluate(
    model: Model,
    task: Task,
    puzzles: Puzzles,
    steps: int,
    batch: int = 16,
    device: torch.device | None = None,
    progress: Callable[[int], object] | None = None,
    until: Until = "end",
) -> Evaluation:
    """Score `model` (already in evaluation mode) on every row of `puzzles`, at most `steps` supervision steps each.

    A puzzle that is done (`until`, see `trm.inference.Thinking`) leaves the batch, and its answer is that of all later
    steps.
    """
    rows, taken = len(puzzles), 0
    began = time.perf_counter()
    exact, valid = np.zeros((steps, rows), bool), np.zeros((steps, rows), bool)
    cell, stop = np.zeros(steps, np.int64), np.full(rows, steps)
    none = puzzles.question[:0]
    scores = task.scores(none, none) if isinstance(task, Scored) else {}
    extra = {name: np.zeros(steps, np.int64) for name in scores}
    for step in steps_of(model, task, puzzles, Thinking(steps, until=until), batch, device):
        taken += len(step.rows)
        answer, question = puzzles.answer[step.rows], puzzles.question[step.rows]
        scored = answer != 0
        hits = ((step.tokens == answer) & scored).sum(1)
        if isinstance(task, Scored):
            scores = task.scores(question, step.tokens)
        for i, (row, number) in enumerate(zip(step.rows, step.number, strict=True)):
            # What a puzzle leaves with is its answer at all later steps.
            now = slice(number - 1, None if step.leaving[i] else number)
            exact[now, row], valid[now, row] = hits[i] == scored[i].sum(), step.valid[i]
            cell[now] += hits[i]
            for name, right in scores.items():
                extra[name][now] += right[i]
        halted = step.rows[step.halted]
        stop[halted] = np.minimum(stop[halted], step.number[step.halted])
        if progress is not None and step.leaving.any():
            progress(int(step.leaving.sum()))
    return Evaluation(
        rows=rows,
        cells=int((puzzles.answer != 0).sum()),
        exact=exact.sum(1),
        cell=cell,
        valid=valid.sum(1),
        halted_exact=int(exact[stop - 1, np.arange(rows)].sum()),
        halted_steps=int(stop.sum()),
        seconds=time.perf_counter() - began,
        taken=taken,
        rowwise=Rowwise(exact, valid, stop),
        extra=extra,
    )


@dataclass(frozen=True)
class Chosen:
    """What several starts a puzzle come to."""

    rows: int
    by_confidence: int  # rows right where the model's own confidence chooses among all answers
    by_rules: int  # rows right where the first that the rules find right counts, and without one the most confident
    steps: int  # supervision steps over all rows
    seconds: float


def evaluate_thinking(
    stored: Stored,
    task: Task,
    puzzles: Puzzles,
    thinking: Thinking,
    batch: int = 16,
    progress: Callable[[int], object] | None = None,
) -> Chosen:
    """Score the answers that thinking on demand chooses, on every row of `puzzles`."""
    began = time.perf_counter()
    answers = solve(stored, task, puzzles.question, thinking, batch, tick=progress)
    seconds = time.perf_counter() - began
    right = [0, 0]
    for answer, truth in zip(answers, puzzles.answer, strict=True):
        scored = truth != 0
        for number, chosen in enumerate((answer.tokens, answer.tokens if answer.found is None else answer.found)):
            right[number] += bool((chosen == truth)[scored].all())
    return Chosen(len(puzzles), right[0], right[1], sum(answer.steps for answer in answers), seconds)
