"""ARC tasks to look at: demonstrations, attempts and the truth, in a terminal or as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

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

# The usual colours of the ten: black, blue, red, green, yellow, grey, magenta, orange, light blue, brown.
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
DARK = frozenset({0, 1, 2, 6, 9})  # of which a white digit is read more easily than a black one
Attempts = Sequence[Sequence[Grid]]  # for each test pair, best first


class Panel(NamedTuple):
    """A grid and what is written above it."""

    title: str
    grid: Grid
    right: bool | None = None  # whether an attempt is the truth; None: not an attempt, or the truth is not known


def panels(task: ArcTask, attempts: Attempts = (), truth: bool = True) -> list[list[Panel]]:
    """What is shown, a list for each pair: question, then the answer; of a test the attempts and, if wanted, the truth.

    Raises ValueError for attempts at more test pairs than there are.
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
class Shown:
    """A task for rich to print: each pair from left to right, broken where the terminal ends; a cell is two columns."""

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
    """A grid in colours, each cell two columns wide; `digits`: with its number in it, for where colours do not show."""
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
    """As many blocks a row as there is room for, one at the least."""
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


# As a picture. All lengths in inches: every cell of a picture has the same size, whatever the grid.

GAP, TITLE, EDGE = 0.3, 0.24, 0.25
NARROW = 1.15  # room for a title over a narrow grid
WIDE = 14.0  # pictures wider than this are broken into more rows
INK, GOOD, BAD, RULE = "#333333", "#1a7f37", "#c62828", "#555555"


class Place(NamedTuple):
    left: float
    top: float  # of the grid, from the top of the picture
    panel: Panel


def picture(path: Path, task: ArcTask, attempts: Attempts = (), truth: bool = True) -> None:
    """Write a PNG of the task.

    Raises:
        TrmError: matplotlib is not installed.
        BadInput: the file cannot be written.
    """
    save(draw(task, attempts, truth), path)


def draw(task: ArcTask, attempts: Attempts = (), truth: bool = True) -> Figure:
    """A column for each demonstration, below them a line for each test. Raises TrmError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise TrmError("a picture needs matplotlib: pip install 'trm[plot]'") from None
    pairs = panels(task, attempts, truth)
    most = max(max(panel.grid.shape) for pair in pairs for panel in pair)
    cell = min(0.22, 3.0 / most)
    demonstrations, tests = pairs[: len(task.train)], pairs[len(task.train) :]
    places, width, height = layout([demonstrations, *([[panel] for panel in test] for test in tests)], cell)
    figure = Figure(figsize=(width, height), dpi=110, facecolor="white")
    figure.text(EDGE / width, 1 - EDGE / height, task.id, va="top", size=13, weight="bold", color=INK, parse_math=False)
    for place in places:
        _draw_panel(figure, place, cell, width, height)
    return figure


def layout(groups: list[list[list[Panel]]], cell: float) -> tuple[list[Place], float, float]:
    """Where each grid goes, and the picture's width and height. A group holds columns, which break like words."""
    lines: list[list[list[Panel]]] = []
    for group in groups:
        used = WIDE  # so that a group begins a line
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
    return places, width, top - GAP + EDGE


def _wide(column: list[Panel], cell: float) -> float:
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
