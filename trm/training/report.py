"""The progress of a training run: a live line on a terminal, plain lines elsewhere, every number in a JSONL log."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from trm.inference.evaluation import Evaluation
from trm.statistics import interval
from trm.training.boards import open_board
from trm.training.config import RunConfig
from trm.training.totals import Totals

SHOWN = ("loss", "halt_loss", "hint_loss", "exact", "mean_steps", "puzzle_steps_per_second")  # on a board
PLAIN_EVERY = 10.0  # seconds between lines where there is no terminal


class Reporter:
    """Writes the log and the progress of a run, but only if `active` (rank 0). Leaving its context ends both."""

    def __init__(self, log: Path, config: RunConfig, update: int, active: bool) -> None:
        self.config, self.active = config, active
        self.start, self.began, self.spoke = update, time.monotonic(), 0.0
        self.console = Console(stderr=True)
        self.progress: Progress | None = None
        if not active:
            return
        self.log = log.open("a", encoding="utf-8")
        self.board = open_board(config.report, log.parent, config.model_dump())
        if self.console.is_terminal:
            columns = ("training", BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[text]}"))
            self.progress = Progress(*columns, TimeRemainingColumn(), console=self.console)
            self.bar = self.progress.add_task("", total=config.updates, completed=update, text="")
            self.progress.start()

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.progress:
            self.progress.stop()
        if self.active:
            self.log.close()
            if self.board:
                self.board.close()

    def totals(self, update: int, seconds: float, totals: Totals) -> None:
        """Report the losses, and the accuracy of the sequences that ended, since the last call."""
        if not self.active:
            return
        sequences, finished = max(1.0, totals.sequences), max(1.0, totals.finished)
        first, done, every = (sum(self.config.puzzle_steps(end)) for end in (self.start, update, self.config.updates))
        spent, here = time.monotonic() - self.began, max(1, done - first)
        rate = here / spent
        record = {
            "update": update,
            "seconds": round(seconds, 2),
            "puzzle_steps_per_second": round(rate, 1),
            "loss": totals.loss / sequences,
            "halt_loss": totals.halt_loss / sequences,
            "exact": totals.exact / finished,
            "mean_steps": totals.steps / finished,
            "finished": int(totals.finished),
        }
        if self.config.model.hints:
            record["hint_loss"] = totals.hint_loss / sequences
        self.write(record)
        text = (
            f"{rate:4.0f} puzzle-steps/s  loss {record['loss']:.3f}  "
            f"exact {record['exact']:.1%} in {record['mean_steps']:.1f} steps"
        )
        if self.progress:
            self.progress.update(self.bar, completed=update, text=text)
        elif time.monotonic() - self.spoke > PLAIN_EVERY or update == self.config.updates:
            self.spoke = time.monotonic()
            left = spent / here * (every - done)
            print(f"update {update}/{self.config.updates}  {text}  {clock(left)} left", file=sys.stderr, flush=True)

    def check(self, update: int, seconds: float, result: Evaluation | None) -> None:
        """Report the accuracy of the averaged weights on held-out puzzles."""
        if not self.active or result is None:
            return
        best = int(result.exact[-1])
        low, high = interval(best, result.rows)
        record = {"update": update, "seconds": round(seconds, 2), "check": result.as_dict()}
        self.write(record)
        self.console.print(
            f"update {update}: {best / result.rows:.1%} of {result.rows} held-out puzzles exact "
            f"(95 % {low:.1%}-{high:.1%}) after {len(result.exact)} steps",
            highlight=False,
        )

    def write(self, record: dict[str, Any]) -> None:
        """Add a line to the log, and its numbers to the board."""
        self.log.write(json.dumps(record) + "\n")
        self.log.flush()
        if self.board:
            numbers = {f"train/{key}": record[key] for key in SHOWN if key in record}
            if "check" in record:
                numbers["check/exact"] = record["check"]["exact"][-1]
            self.board.add(numbers, record["update"])


def clock(seconds: float) -> str:
    """Seconds as m:ss."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
