"""Consoles and progress bars that print names as they are: rich takes `[red]` and `:smile:` for instructions."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


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
    return Progress(*columns, console=console, transient=True, disable=hidden or not console.is_terminal)
