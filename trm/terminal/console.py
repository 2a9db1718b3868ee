"""Consoles and progress bars that print names as they are: rich takes `[red]` and `:smile:` for instructions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from trm.remarks import one_line

PERIOD = 300.0  # seconds of the past from which the time left is estimated: a step may take long
WIDEST = 1000  # columns of a console that any table fits


def plain_console(**settings: Any) -> Console:
    """A console without markup, emoji codes and highlighting. `settings`: see `rich.console.Console`."""
    return Console(**{"highlight": False, "markup": False, "emoji": False, **settings})


def progress_bars(hidden: bool) -> Progress:
    """rich's usual progress bars on standard error, gone when the work is done.

    There are none where `hidden`, nor where standard error is no terminal: rich would write an empty line there.
    """
    console = plain_console(stderr=True)
    columns = (
        TextColumn("{task.description}", style="progress.description", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    hide = hidden or not console.is_terminal
    return Progress(*columns, console=console, transient=True, disable=hide, speed_estimate_period=PERIOD)


def report_written(path: Path) -> None:
    """Say on standard error that a file was written."""
    print(f"wrote {one_line(str(path))}", file=sys.stderr)


def fits(shown: RenderableType, console: Console) -> bool:
    """Whether a table can be shown without breaking its lines or leaving out letters."""
    wide = console.options.update(max_width=WIDEST)
    return Measurement.get(console, wide, shown).maximum <= console.width
