"""Figures of matplotlib, which is imported when needed: making, checking and saving them; the accuracy of a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trm.errors import BadInput, TrmError
from trm.files import check_writable, write_atomic
from trm.statistics import interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from trm.inference.evaluation import Evaluation

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")  # Okabe-Ito: colour-blind safe
FAINT = "#e6e6e6"


def new_figure(width: float, height: float) -> Figure:
    """An empty picture of this size in inches. Raises TrmError where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise TrmError("a picture needs matplotlib: pip install 'trm[plot]'") from None
    return Figure(figsize=(width, height), dpi=150, layout="constrained")


def check(path: Path) -> None:
    """Check before the work that a picture of it can be written.

    Raises:
        TrmError: matplotlib is not installed.
        BadInput: the file cannot be written.
    """
    check_writable(path)
    new_figure(1, 1)


def save(figure: Figure, path: str | Path) -> None:
    """Write a PNG. Raises BadInput where that is not possible."""
    try:
        write_atomic(Path(path), lambda file: figure.savefig(file, format="png"))
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}") from None


def plain(axes: Axes) -> None:
    """Put a faint grid behind the curves, and leave the frame out."""
    axes.grid(color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def accuracy(result: Evaluation, title: str, path: str | Path) -> None:
    """Write a PNG of the share of exact answers against supervision steps, with its 95 % interval.

    Raises:
        TrmError: matplotlib is not installed.
        BadInput: the file cannot be written.
    """
    figure = new_figure(7, 4)
    axes = figure.subplots()
    steps = np.arange(1, len(result.exact) + 1)
    band = np.array([interval(int(right), result.rows) for right in result.exact])
    axes.fill_between(steps, *(100 * band.T), color=COLOURS[0], alpha=0.15, linewidth=0)
    axes.plot(steps, 100 * result.exact / result.rows, color=COLOURS[0], linewidth=1.8)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.set_ylim(0, 100)
    axes.set_xlabel("supervision steps")
    axes.set_ylabel("exact, % (95 % interval)")
    axes.set_title(title, fontsize=10, loc="left")
    plain(axes)
    save(figure, path)
