"""Accuracy at every supervision step, with and without the model's own halting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from trm.devices import pick_device
from trm.errors import BadInput
from trm.inference.backend import Floats
from trm.inference.loop import SearchState, StepBatch, Thinking, Until, search, think
from trm.inference.rows import rows_for
from trm.inference.torch_step import TorchBackend
from trm.models.base import Model, State
from trm.models.precision import placed
from trm.remarks import report
from trm.store.stored import Stored, load
from trm.tasks import find_family
from trm.tasks.base import Bools, Ints, Puzzles, Scored, Task, Tokens


class Rowwise(NamedTuple):
    """The values of single rows that an `Evaluation` sums up."""

    exact: Bools  # [steps, rows]
    valid: Bools  # [steps, rows]
    halted: Ints  # [rows], the first step at which the model said it was done, else the last


@dataclass(frozen=True)
class Evaluation:
    """Sums over rows. `exact[k - 1]` counts the rows whose answer is entirely right after k supervision steps."""

    rows: int
    cells: int  # scored cells over all rows
    exact: npt.NDArray[np.int64]  # [steps]
    cell: npt.NDArray[np.int64]  # [steps], cells right
    valid: npt.NDArray[np.int64]  # [steps], rows that obey the rules
    halted_exact: int  # rows right at the first step at which the model said it was done, or at the last step
    halted_steps: int  # supervision steps up to there, over all rows
    seconds: float
    taken: int = 0  # supervision steps computed, over all rows: a puzzle that is done takes no more
    rowwise: Rowwise | None = None  # None where the sums are over several processes
    extra: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)  # [steps] each, rows right by `Scored.scores`

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


class Tally:
    """Counts for an `Evaluation`, step by step.

    Args:
        task, puzzles: what is scored.
        steps: supervision steps of a puzzle, at most.
    """

    def __init__(self, task: Task, puzzles: Puzzles, steps: int) -> None:
        self.task, self.puzzles = task, puzzles
        rows = len(puzzles)
        self.taken = 0
        self.exact, self.valid = np.zeros((steps, rows), bool), np.zeros((steps, rows), bool)
        self.cell, self.halted = np.zeros(steps, np.int64), np.full(rows, steps)
        self.extra = {name: np.zeros(steps, np.int64) for name in self.scores(puzzles.question[:0], puzzles.answer[:0])}

    def scores(self, question: Tokens, tokens: Tokens) -> dict[str, Bools]:
        return self.task.scores(question, tokens) if isinstance(self.task, Scored) else {}

    def add(self, step: StepBatch[State]) -> None:
        """Count the answers of a step. The last answer of a puzzle that ends counts at all later steps too."""
        self.taken += len(step.rows)
        answer = self.puzzles.answer[step.rows]
        scored = answer != 0
        hits = ((step.tokens == answer) & scored).sum(1)
        exact, scores = hits == scored.sum(1), self.scores(self.puzzles.question[step.rows], step.tokens)
        for i, (row, number) in enumerate(zip(step.rows, step.steps, strict=True)):
            here = slice(number - 1, None if step.ended[i] else number)
            self.exact[here, row], self.valid[here, row] = exact[i], step.valid[i]
            self.cell[here] += hits[i]
            for name, right in scores.items():
                self.extra[name][here] += right[i]
        halted = step.outcome.halts | step.done
        rows = step.rows[halted]
        self.halted[rows] = np.minimum(self.halted[rows], step.steps[halted])

    def result(self, seconds: float) -> Evaluation:
        rows = len(self.puzzles)
        return Evaluation(
            rows=rows,
            cells=int((self.puzzles.answer != 0).sum()),
            exact=self.exact.sum(1),
            cell=self.cell,
            valid=self.valid.sum(1),
            halted_exact=int(self.exact[self.halted - 1, np.arange(rows)].sum()),
            halted_steps=int(self.halted.sum()),
            seconds=seconds,
            taken=self.taken,
            rowwise=Rowwise(self.exact, self.valid, self.halted),
            extra=self.extra,
        )


def evaluate(
    model: str | Stored,
    data: str = "embedded",
    steps: int = 16,
    *,
    skip: int = 0,
    limit: int | None = None,
    batch: int = 16,
    until: Until = "end",
    precision: str = "auto",
) -> Evaluation:
    """Score a stored model on rows of a set or a file, as `trm eval` does.

    Args:
        model: a shipped model's name, the folder of a run, OWNER/NAME of a model on the hub, or a loaded model.
        data: `embedded`, `minimal` or `hub`, or the path of a file with answers; its puzzles may have another size.
        steps: supervision steps, at most.
        skip: leave out the first rows.
        limit: then take so many rows [default: all].
        batch: puzzles in the batch, at most.
        until: what ends the work on a puzzle before its last step: see `trm.inference.loop.Thinking`.
        precision: of matrix products: `float32`, `bfloat16`, or `auto` for whichever is faster here.

    Raises:
        BadInput: no such model, file or precision, no rows, or a model that is scored by votes (ARC).
        TrmError: something cannot be downloaded.
    """
    stored = load(model) if isinstance(model, str) else model
    if find_family(stored.spec.name).votes:
        raise BadInput(f"model {stored.name!r} solves {stored.spec.name}, which is scored by votes: trm eval-arc")
    rows = rows_for(stored, data, slice(skip, None if limit is None else skip + limit))
    for remark in rows.puzzles.remarks:
        report(remark)
    device = pick_device()
    placed_model = placed(rows.stored.model, device, precision)
    return evaluate_model(placed_model, rows.task, rows.puzzles, steps, batch, device, until=until)


def evaluate_model(
    model: Model,
    task: Task,
    puzzles: Puzzles,
    steps: int,
    batch: int = 16,
    device: torch.device | None = None,
    progress: Callable[[int], object] | None = None,
    until: Until = "end",
) -> Evaluation:
    """Score a model on every row of `puzzles`, with at most `steps` supervision steps each.

    A puzzle that is done (`until`, see `trm.inference.loop.Thinking`) leaves the batch, and its answer counts at all
    later steps.

    Args:
        model: in evaluation mode.
        task: whose rules to check.
        puzzles: questions with their answers.
        steps: supervision steps, at most.
        batch: puzzles in the batch, at most.
        device: where the model is [default: the CPU].
        progress: called with the number of puzzles finished, whenever some are.
        until: what ends the work on a puzzle before its last step.
    """
    began = time.perf_counter()
    tally = Tally(task, puzzles, steps)
    for step in plain_steps(model, task, puzzles.question, puzzles.ids, Thinking(steps, until=until), batch, device):
        tally.add(step)
        if progress is not None and step.ended.any():
            progress(int(step.ended.sum()))
    return tally.result(time.perf_counter() - began)


def plain_steps(
    model: Model,
    task: Task,
    question: Tokens,
    ids: Ints | None,
    thinking: Thinking,
    batch: int,
    device: torch.device | None,
) -> Iterator[StepBatch[State]]:
    """The steps of a model on question [rows, cells] with the model's own answers only: see `keep_given` of `think`."""
    searches = [SearchState() for _ in question]
    return think(TorchBackend(model, device), task, question, searches, thinking, batch, ids=ids, keep_given=False)


class FinalAnswers(NamedTuple):
    """The answers to a batch of questions after their last step."""

    tokens: Tokens  # [batch, cells]
    halting: Floats  # [batch], sigmoid of the halting logit


def final_answers(
    model: Model,
    task: Task,
    question: Tokens,
    ids: Ints | None,
    steps: int,
    batch: int = 16,
    device: torch.device | None = None,
) -> Iterator[FinalAnswers]:
    """Answer question [rows, cells] with `steps` supervision steps each, batch by batch, in order.

    Args:
        model: in evaluation mode.
        task: of the questions.
        question: [rows, cells] tokens.
        ids: [rows], puzzle embeddings, for models with several.
        steps: supervision steps of every answer.
        batch: questions in a batch.
        device: where the model is [default: the CPU].
    """
    for step in plain_steps(model, task, question, ids, Thinking(steps, until="end"), batch, device):
        if step.ended.all():  # all puzzles of a batch begin and end at the same step
            yield FinalAnswers(step.tokens, step.outcome.halting)


@dataclass(frozen=True)
class StartsResult:
    """Accuracy of the answers chosen among several starts."""

    rows: int
    by_confidence: int  # rows right where the most confident answer is chosen
    by_rules: int  # rows right where the first answer that obeys the rules is chosen, or else the most confident one
    steps: int  # supervision steps over all rows
    seconds: float


def evaluate_starts(
    stored: Stored,
    task: Task,
    puzzles: Puzzles,
    thinking: Thinking,
    batch: int = 16,
    progress: Callable[[int], object] | None = None,
) -> StartsResult:
    """Score the answers that `trm.inference.loop.search` chooses among several starts, on every row of `puzzles`.

    Args:
        stored: the model, on the CPU.
        task: whose rules to check.
        puzzles: questions with their answers.
        thinking: steps, restarts and when to stop.
        batch: puzzles in the batch, at most.
        progress: called with the number of puzzles finished, whenever some are.
    """
    began = time.perf_counter()
    tick = progress or (lambda finished: None)
    results = search(TorchBackend(stored.model), task, puzzles.question, thinking, batch, tick)
    seconds = time.perf_counter() - began
    by_confidence = by_rules = 0
    for result, truth in zip(results, puzzles.answer, strict=True):
        scored = truth != 0
        by_confidence += bool((result.tokens == truth)[scored].all())
        by_rules += bool(((result.tokens if result.found is None else result.found) == truth)[scored].all())
    return StartsResult(len(puzzles), by_confidence, by_rules, sum(result.steps for result in results), seconds)
