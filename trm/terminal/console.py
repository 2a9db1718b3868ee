"""Consoles and progress bars that print names as they are: rich takes `[red]` and `:smile:` for instructions."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from trm.remarks import one_line

EVERY = 15.0  # seconds between lines of progress in a log
PERIOD = 300.0  # seconds of the past from which the time left is estimated: a step may take long
WIDEST = 1000  # columns of a console that any table fits


def plain_console(**settings: Any) -> Console:
    """A console without markup, emoji codes and highlighting. `settings`: see `rich.console.Console`."""
    return Console(**{"highlight": False, "markup": False, "emoji": False, **settings})


class ProgressLines(Progress):
    """Progress for a log: now and then a line on standard error, and nothing for work that is soon done."""

    def __init__(self, *columns: str | ProgressColumn, **settings: Any) -> None:
        super().__init__(*columns, **settings, disable=True)
        self.said = self.get_time()

    def update(self, task_id: TaskID, **changes: Any) -> None:
        super().update(task_id, **changes)
        self.say(task_id)

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        super().advance(task_id, advance)
        self.say(task_id)

    def say(self, task_id: TaskID) -> None:
        """Print a line if the last one is older than EVERY."""
        if self.get_time() < self.said + EVERY:
            return
        self.said = self.get_time()
        task = next(task for task in self.tasks if task.id == task_id)
        left = "" if task.time_remaining is None else f", {timedelta(seconds=round(task.time_remaining))} left"
        print(f"{task.description}: {task.percentage:.0f}%{left}", file=sys.stderr, flush=True)


def progress_bars(hidden: bool) -> Progress:
    """rich's usual progress bars on standard error, gone when the work is done; where that is no terminal, lines.

    There is nothing where `hidden`.
    """
    console = plain_console(stderr=True)
    columns = (
        TextColumn("{task.description}", style="progress.description", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    settings: dict[str, Any] = {"console": console, "transient": True, "speed_estimate_period": PERIOD}
    if hidden or console.is_terminal:
        return Progress(*columns, disable=hidden, **settings)
    return ProgressLines(*columns, **settings)


def report_written(path: Path) -> None:
    """Say on standard error that a file was written."""
    print(f"wrote {one_line(str(path))}", file=sys.stderr)


def fits(shown: RenderableType, console: Console) -> bool:
    """Whether a table can be shown without breaking its lines or leaving out letters."""
    wide = console.options.update(max_width=WIDEST)
    return Measurement.get(console, wide, shown).maximum <= console.width
