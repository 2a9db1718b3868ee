"""What `trm eval` prints."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trm import plot
from trm.devices import pick_device
from trm.inference.evaluation import Evaluation, StartsResult, evaluate_model, evaluate_starts
from trm.inference.loop import Thinking
from trm.inference.rows import rows_for
from trm.models.precision import placed
from trm.models.turns import unasked
from trm.statistics import interval
from trm.store.stored import Stored
from trm.tasks import data_name
from trm.tasks.base import Puzzles, Task
from trm.terminal import tables
from trm.terminal.console import plain_console, progress_bars, report_written
from trm.terminal.progress import step_bar


@dataclass(frozen=True)
class PuzzleEvalRequest:
    """What `trm eval` is to measure and to show."""

    data: str  # a set or a file
    rows: slice
    thinking: Thinking
    batch: int = 16
    png: Path | None = None  # where to draw accuracy against steps
    as_json: bool = False
    precision: str = "auto"  # see `trm.models.precision.pick_precision`


@dataclass(frozen=True)
class PuzzleEvalResult:
    """What `trm eval` has measured."""

    task: str
    model: str
    data: str  # without the folder
    thinking: Thinking
    single: Evaluation  # from one start
    several: StartsResult | None  # from several starts, if there are restarts
    precision: str  # of matrix products

    @property
    def title(self) -> str:
        return f"{self.model} on {self.single.rows} puzzles ({self.data})"

    @property
    def single_until(self) -> str:
        """What ended the work on a puzzle in the evaluation from one start: with restarts only the last step."""
        return "end" if self.several is not None else self.thinking.until

    def choices(self) -> dict[str, int]:
        """Of several starts: how the answer was chosen -> rows right.

        If the rules end the work on a puzzle, they also choose the answer.
        """
        if self.several is None:
            return {}
        rules = {"rules": self.several.by_rules}
        return rules if self.thinking.until == "valid" else {"confidence": self.several.by_confidence, **rules}

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        head = {"task": self.task, "weights": self.model, "data": self.data, "precision": self.precision}
        found: dict[str, Any] = {**head, **self.single.as_dict()}
        if self.single_until != "end":
            mean = round(self.single.taken / self.single.rows, 2)
            found["until"] = {"done": self.single_until, "mean_steps": mean}
        if self.several is not None:
            found["restarts"] = {
                "starts": self.thinking.restarts + 1,
                "noise": self.thinking.noise,
                "guesses": self.thinking.guesses,
                "until": self.thinking.until,
                **{name: right / self.several.rows for name, right in self.choices().items()},
                "mean_steps": round(self.several.steps / self.several.rows, 2),
                "seconds": round(self.several.seconds, 3),
            }
        return found


def evaluate_and_print(stored: Stored, request: PuzzleEvalRequest) -> None:
    """Accuracy at every step, and with restarts the accuracy of the answers chosen among several starts.

    Raises BadInput for rows that the model cannot solve, and TrmError for a picture without matplotlib.
    """
    if request.png is not None:
        plot.check(request.png)
    stored, task, puzzles = rows_for(stored, request.data, request.rows)
    for remark in (*puzzles.remarks, unasked(stored.model.config, request.thinking.steps)):
        if remark:
            print(remark, file=sys.stderr)
    result = measure(stored, task, puzzles, request)
    if request.png is not None:
        plot.accuracy(result.single, result.title, request.png)
        report_written(request.png)
    if request.as_json:
        print(json.dumps(result.as_dict()))
    else:
        print_result(result)


def measure(stored: Stored, task: Task, puzzles: Puzzles, request: PuzzleEvalRequest) -> PuzzleEvalResult:
    """Evaluate from one start, and from several if there are restarts, with progress on standard error."""
    thinking, several = request.thinking, None
    with progress_bars(request.as_json) as progress:
        device = pick_device()
        model = placed(stored.model, device, request.precision)
        with step_bar(progress, "evaluating", model, len(puzzles), thinking.steps) as finish:
            single = evaluate_model(
                model,
                task,
                puzzles,
                thinking.steps,
                request.batch,
                device,
                progress=finish,
                until="end" if thinking.restarts else thinking.until,
            )
        if thinking.restarts:
            model.to("cpu")  # the solver works there
            steps = thinking.steps * (thinking.restarts + 1)
            with step_bar(progress, "restarting", stored.model, len(puzzles), steps) as finish:
                several = evaluate_starts(stored, task, puzzles, thinking, request.batch, progress=finish)
    source = data_name(request.data)
    return PuzzleEvalResult(task.spec.name, stored.name, source, thinking, single, several, model.precision)


def print_result(result: PuzzleEvalResult) -> None:
    """A table of accuracy against steps and the speed; the choice among several starts where there is one."""
    single, several, thinking = result.single, result.several, result.thinking
    console = plain_console()
    tables.print_accuracy(console, single, result.title, halting=True)
    each = f"{thinking.steps} steps each"
    if result.single_until != "end":
        mean = single.taken / single.rows
        each = f"{mean:.0f} steps each, {thinking.steps} at most, until {result.single_until}"
    console.print(f"{single.rows / single.seconds:.1f} puzzles/s at {each}")
    if several is not None:
        for name, right in result.choices().items():
            low, high = interval(right, several.rows)
            share = f"{right / several.rows:.1%} exact (95 % {low:.1%} - {high:.1%})"
            console.print(f"best of up to {thinking.restarts + 1} starts, chosen by {name}: {share}")
        console.print(
            f"{several.steps / several.rows:.0f} steps a puzzle, {several.rows / several.seconds:.1f} puzzles/s"
        )
