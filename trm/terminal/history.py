"""What `trm history` shows: a table of each run, and a picture of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.box import HEAVY_HEAD, SIMPLE_HEAD
from rich.table import Table

from trm.analysis.history import Checks, CheckSettings, History, Reports, check_kept, read_history
from trm.plot import COLOURS, check, new_figure, plain, save
from trm.remarks import first_few, report
from trm.statistics import interval
from trm.terminal.console import fits, plain_console, report_written
from trm.terminal.progress import bars
from trm.training.log import LOG

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS = 12  # of the table, at most
POINTS = 60  # of a curve of losses, each the mean of a stretch of the log
HEADS = ("update", "minutes", "loss", "exact in\ntraining")
CHECK_HEADS = ("held-out\nexact", "95 %")


def show(runs: Sequence[str], png: Path | None, settings: CheckSettings | None) -> None:
    """Print a table of each run, and draw them all.

    Args:
        runs: their folders.
        png: the file for the picture.
        settings: the held-out puzzles on which to test the weights that the runs kept; None: show the checks that were
            made during training.

    Raises:
        BadInput: a folder is not a run's, or the picture cannot be written; as `check_kept` raises it.
        TrmError: matplotlib is needed and not installed.
    """
    if png is not None:
        check(png)
    histories = [read_history(run) for run in runs]
    if settings is not None:
        with bars() as watch:
            checks = [check_kept(run, settings, watch) for run in runs]
        histories = [replace(history, checks=made) for history, made in zip(histories, checks, strict=True)]
    console = plain_console()
    for run, history in zip(runs, histories, strict=True):
        if history.damaged:
            report(f"{Path(run) / LOG}: damaged lines are left out: {first_few(history.damaged)}")
        shown = table(history)
        console.print(shown if fits(shown, console) else table(history, narrow=True))
        if not len(history.checks):
            console.print("no checks on held-out puzzles: train with --set check_every=500, or give --data")
    if png is not None:
        draw(histories, png)
        report_written(png)


def table(history: History, narrow: bool = False) -> Table:
    """Equal stretches of a run, each with its mean loss and the last check in it. `narrow`: without lines between."""
    frame = SIMPLE_HEAD if narrow else HEAVY_HEAD
    heads = [*HEADS, *(CHECK_HEADS if len(history.checks) else ())]
    padding = (0, 1, 0, 0) if narrow else (0, 1)
    shown = Table(*heads, title=history.name, title_justify="left", box=frame, padding=padding, pad_edge=not narrow)
    parts, before = history.reports.stretches(ROWS), -1.0
    for part in parts:
        update, seconds = part.update[-1], part.seconds[-1]
        until = np.inf if part is parts[-1] else update  # a check may be newer than the last report
        shown.add_row(
            f"{update:.0f}",
            f"{seconds / 60:.1f}",
            f"{part.loss.mean():.3f}",
            training_share(part),
            *check_cells(history, before, until, "-" if narrow else " - "),
        )
        before = update
    return shown


def training_share(part: Reports) -> str:
    """The share of sequences that ended exact; empty where none ended."""
    ended = part.ended.sum()
    return f"{part.exact.sum() / ended:.1%}" if ended else ""


def check_cells(history: History, after: float, until: float, to: str = " - ") -> list[str]:
    """The last check after one update and until another: its share and interval; empty where there is none.

    `to` stands between the ends of the interval.
    """
    checks = history.checks
    inside = checks.take((checks.update > after) & (checks.update <= until))
    if not len(inside):
        return []
    exact, puzzles = inside.exact[-1], inside.puzzles[-1]
    low, high = interval(exact, int(puzzles))
    return [f"{exact / puzzles:.1%}", f"{low:.1%}{to}{high:.1%}"]


def draw(histories: Sequence[History], path: Path) -> None:
    """Draw held-out accuracy, where there is any, and training loss against minutes of training, as a PNG.

    Raises:
        TrmError: matplotlib is not installed.
        BadInput: the file cannot be written.
    """
    checked = any(len(history.checks) for history in histories)
    figure = new_figure(8, 6.5 if checked else 4)
    axes = figure.subplots(1 + checked, 1, sharex=True, squeeze=False)[:, 0]
    top, bottom = axes[0], axes[-1]
    for number, history in enumerate(histories):
        colour = COLOURS[number % len(COLOURS)]
        parts = history.reports.stretches(POINTS)
        minutes, losses = [part.seconds[-1] / 60 for part in parts], [part.loss.mean() for part in parts]
        bottom.plot(minutes, losses, color=colour, linewidth=1.8, label=history.name)
        if len(history.checks):
            draw_checks(top, history.checks, colour)
    if checked:
        top.set_ylabel("held-out puzzles exact, %")
        top.set_ylim(0, 100)
    bottom.set_ylabel("training loss")
    bottom.set_xlabel("minutes of training")
    for one in axes:
        plain(one)
    figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    save(figure, path)


def draw_checks(axes: Axes, checks: Checks, colour: str) -> None:
    """Draw the share of held-out puzzles that were exact in each check, with its 95 % interval."""
    minutes = checks.seconds / 60
    counts = zip(checks.exact.tolist(), checks.puzzles.tolist(), strict=True)
    lows, highs = zip(*(interval(exact, int(puzzles)) for exact, puzzles in counts), strict=True)
    axes.fill_between(minutes, 100 * np.array(lows), 100 * np.array(highs), color=colour, alpha=0.12, linewidth=0)
    shares = 100 * checks.exact / checks.puzzles
    axes.plot(minutes, shares, ".-", color=colour, linewidth=1.8, markersize=5)
