"""Pictures of ARC tasks with demonstrations, attempts and true answers, for a terminal or as a PNG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
from rich.console import Console, ConsoleOptions, RenderResult
from rich.style import Style
from rich.table import Table
from rich.text import Text

from trm.errors import TrmError
from trm.plot import save
from trm.tasks.arc.text import ArcTask, Grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# ARC's usual colours: black, blue, red, green, yellow, grey, magenta, orange, light blue, brown.
PALETTE = (
    "#000000",
    "#0074d9",
    "#ff4136",
    "#2ecc40",
    "#ffdc00",
    "#aaaaaa",
    "#f012be",
    "#ff851b",
    "#7fdbff",
    "#870c25",
)
DARK = frozenset({0, 1, 2, 6, 9})  # colours on which a white digit is easier to read than a black one
Attempts: TypeAlias = Sequence[Sequence[Grid]]  # for each test pair, best first


class Panel(NamedTuple):
    """A grid and its title."""

    title: str
    grid: Grid
    right: bool | None = None  # whether an attempt is right; None: not an attempt, or the answer is not known


def panels(task: ArcTask, attempts: Attempts = (), truth: bool = True) -> list[list[Panel]]:
    """The panels of each pair: its question and answer, or for a test its question, attempts and true answer.

    Args:
        task: the task.
        attempts: for each test pair, best first.
        truth: whether to show the true answers of tests and say which attempts are right.

    Raises:
        ValueError: there are attempts at more test pairs than the task has.
    """
    if len(attempts) > len(task.test):
        raise ValueError(f"attempts at {len(attempts)} test pairs of {len(task.test)}")
    shown = []
    for number, pair in enumerate(task.train, 1):
        line = [Panel(f"demonstration {number}", pair.question)]
        shown.append(line if pair.answer is None else [*line, Panel("answer", pair.answer)])
    for number, pair in enumerate(task.test, 1):
        line = [Panel(f"test {number}", pair.question)]
        tried = attempts[number - 1] if number <= len(attempts) else ()
        for rank, grid in enumerate(tried, 1):
            right = None if pair.answer is None or not truth else np.array_equal(grid, pair.answer)
            verdict = "" if right is None else ": right" if right else ": wrong"
            line.append(Panel(f"attempt {rank}{verdict}", grid, right))
        shown.append(line if pair.answer is None or not truth else [*line, Panel("truth", pair.answer)])
    return shown


# In a terminal


@dataclass(frozen=True)
class TaskView:
    """A task for rich to print: each pair from left to right, in several rows if needed. A cell is two columns wide."""

    task: ArcTask
    attempts: Attempts = ()
    truth: bool = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(self.task.id, style="bold")
        for line in panels(self.task, self.attempts, self.truth):
            blocks = [_block(panel, digits=console.color_system is None) for panel in line]
            for row in _rows(blocks, options.max_width):
                table = Table.grid(padding=(0, 3, 0, 0))
                for _ in row:
                    table.add_column(no_wrap=True, overflow="crop")
                table.add_row(*row)
                yield table
                yield Text()


def cells(grid: Grid, digits: bool = False) -> Text:
    """A grid in colours, each cell two columns wide; with `digits`, its number in it, for output without colours."""
    text = Text(no_wrap=True)
    styles = [Style(color="white" if colour in DARK else "black", bgcolor=PALETTE[colour]) for colour in range(10)]
    for number, row in enumerate(grid.tolist()):
        text.append("\n" if number else "")
        for colour in row:
            text.append(f"{colour} " if digits else "  ", styles[colour])
    return text


def _block(panel: Panel, digits: bool) -> Text:
    style = "dim" if panel.right is None else "green" if panel.right else "red"
    return Text.assemble((panel.title, style), "\n", cells(panel.grid, digits))


def _rows(blocks: list[Text], width: int) -> list[list[Text]]:
    """Rows of as many blocks as fit, and at least one."""
    rows: list[list[Text]] = []
    used = 0
    for block in blocks:
        wide = 3 + max(line.cell_len for line in block.split())
        if not rows or used + wide > width + 3:
            rows.append([])
            used = 0
        rows[-1].append(block)
        used += wide
    return rows


# As a PNG. Lengths are in inches. All cells of a picture have the same size.

GAP, TITLE, EDGE = 0.3, 0.24, 0.25
NARROW = 1.15  # the least width of a grid with its title
WIDE = 14.0  # the most width of a picture
INK, GOOD, BAD, RULE = "#333333", "#1a7f37", "#c62828", "#555555"


Column: TypeAlias = list[Panel]  # from top to bottom


class Place(NamedTuple):
    """Where a panel's grid is in the picture."""

    left: float
    top: float  # from the top of the picture
    panel: Panel


class Layout(NamedTuple):
    """Where everything is in a picture, and the picture's size."""

    places: list[Place]
    width: float
    height: float


def picture(path: Path, task: ArcTask, attempts: Attempts = (), truth: bool = True) -> None:
    """Write a PNG of the task.

    Raises:
        TrmError: matplotlib is not installed.
        BadInput: the file cannot be written.
    """
    save(draw(task, attempts, truth), path)


def draw(task: ArcTask, attempts: Attempts = (), truth: bool = True) -> Figure:
    """Demonstrations as columns, then a line for each test. Raises TrmError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise TrmError("a picture needs matplotlib: pip install 'trm[plot]'") from None
    pairs = panels(task, attempts, truth)
    most = max(max(panel.grid.shape) for pair in pairs for panel in pair)
    cell = min(0.22, 3.0 / most)
    demonstrations, tests = pairs[: len(task.train)], pairs[len(task.train) :]
    places, width, height = arrange([demonstrations, *([[panel] for panel in test] for test in tests)], cell)
    figure = Figure(figsize=(width, height), dpi=110, facecolor="white")
    figure.text(EDGE / width, 1 - EDGE / height, task.id, va="top", size=13, weight="bold", color=INK, parse_math=False)
    for place in places:
        _draw_panel(figure, place, cell, width, height)
    return figure


def arrange(groups: list[list[Column]], cell: float) -> Layout:
    """Lay out groups of columns: each group begins a line, and its columns are broken into lines like words."""
    lines: list[list[Column]] = []
    for group in groups:
        used = WIDE  # no room, so that the group begins a line
        for column in group:
            wide = _wide(column, cell) + GAP
            if used + wide > WIDE:
                lines.append([])
                used = 0.0
            lines[-1].append(column)
            used += wide
    places, width, top = [], 0.0, EDGE + 0.35
    for line in lines:
        depth = max(len(column) for column in line)
        rows = [max(c[at].grid.shape[0] for c in line if len(c) > at) * cell + TITLE + 0.08 for at in range(depth)]
        left = EDGE
        for column in line:
            for at, panel in enumerate(column):
                places.append(Place(left, top + sum(rows[:at]) + TITLE, panel))
            left += _wide(column, cell) + GAP
        width = max(width, left - GAP + EDGE)
        top += sum(rows) + GAP
    return Layout(places, width, top - GAP + EDGE)


def _wide(column: Column, cell: float) -> float:
    return max(NARROW, *(cell * float(panel.grid.shape[1]) for panel in column))


def _draw_panel(figure: Figure, place: Place, cell: float, width: float, height: float) -> None:
    from matplotlib.colors import ListedColormap

    grid = place.panel.grid
    rows, columns = grid.shape
    bottom = height - place.top - rows * cell
    axes = figure.add_axes((place.left / width, bottom / height, columns * cell / width, rows * cell / height))
    axes.pcolormesh(grid[::-1], cmap=ListedColormap(PALETTE), vmin=0, vmax=9, edgecolors=RULE, linewidth=2.5 * cell)
    axes.set_axis_off()
    colour = INK if place.panel.right is None else GOOD if place.panel.right else BAD
    text = 1 - (place.top - 0.06) / height
    figure.text(place.left / width, text, place.panel.title, size=9, color=colour, va="bottom")
