"""A plot of an answer's trace: boards at some steps, curves over all of them. matplotlib is imported when needed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trm.plot.figures import COLOURS, new_figure, plain, save
from trm.plot.looks import LIGHT
from trm.plot.steps import chosen_step, glows, shown_steps, start_positions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    from trm.inference.answers import Answer, Step

INK, RULE = "#222222", "#9a9a9a"
WIDTH = 9.0  # of the picture, in inches
SIDE = 2.1  # of a board
COLUMNS, MOST = 4, 8  # boards side by side, and in all
KEYS = {
    "maze": "orange: where the memory z has moved of late; blue line: the path as it stands; green: right; red: wrong",
    "marks": "black: given; blue: the model's, larger the more probable it is; green: right; red: breaks the rules",
    "numbers": "black: as in the question; blue: the model's, paler the less probable it is; green: solved",
}


def trace(answer: Answer, path: str | Path) -> None:
    """Write a PNG of an answer's trace: boards at the steps at which something happened, drawn as `animation` draws
    them; confidence and movement of the state at all steps.

    Raises:
        TrmError: matplotlib is not installed.
        BadInput: the file cannot be written.
    """
    save(draw(answer), path)


def draw(answer: Answer) -> Figure:
    """The picture of `trace`. Raises TrmError where matplotlib is not installed."""
    chosen = chosen_step(answer)
    shown = shown_steps(answer.trace, chosen, MOST)
    spec = answer.task.spec
    rows = -(-len(shown) // COLUMNS)
    size = rows * (SIDE * min(spec.height / spec.width, 2.0) + 0.3) + 0.6
    figure = new_figure(WIDTH, size + 4.0)
    top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=(size, 4.0))[:, 0]
    draw_boards(top, answer, shown, chosen)
    confidence, movement = bottom.subplots(2, 1, sharex=True)
    draw_confidence(confidence, answer.trace, chosen)
    draw_movement(movement, answer.trace)
    for axes in (confidence, movement):
        for at in start_positions(answer.trace)[1:]:
            axes.axvline(at + 0.5, color=RULE, linestyle=":", linewidth=1)
        axes.set_xlim(0.5, len(answer.trace) + 0.5)
        plain(axes)
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8)
    return figure


# Boards


def draw_boards(figure: SubFigure, answer: Answer, steps: Sequence[Step], chosen: Step) -> None:
    """Draw the board of each step, in rows, with a title and a key."""
    from trm.plot.boards import Board, Moment, last_moment

    tried = f"{answer.steps} step{'s' * (answer.steps > 1)}"
    if answer.starts > 1:
        tried += f" from {answer.starts} starts"
    best = f"not solved after {tried}; the best attempt is step {chosen.number}"
    figure.suptitle(f"solved in {tried}" if answer.solved else best, fontsize=11, x=0.01, ha="left")
    board, glow = Board(answer, LIGHT), glows(answer.trace)
    places = figure.subplots(-(-len(steps) // COLUMNS), COLUMNS, squeeze=False).flatten()
    for axes in places:
        axes.set_axis_off()
    for axes, step in zip(places, steps, strict=False):
        moment = last_moment(answer, step) if step is chosen else Moment(step, glow[step.number - 1])
        axes.imshow(np.asarray(board.image(moment)), extent=(0, board.columns, board.rows, 0))
        verdict = ", valid" if step.valid else ", best attempt" if step is chosen else ""
        start = f"start {step.start + 1}, " if answer.starts > 1 else ""
        weight = "bold" if step is chosen else "normal"
        axes.set_title(f"{start}step {step.number}{verdict}", fontsize=8, fontweight=weight)
    figure.supxlabel(KEYS[board.kind], fontsize=8)


# Curves


def draw_confidence(axes: Axes, steps: Sequence[Step], chosen: Step) -> None:
    """Draw how sure the model is of the answer and of its cells, and mark the chosen step."""
    draw_curve(axes, steps, [step.confidence for step in steps], COLOURS[0], "that the answer is right")
    draw_curve(axes, steps, [float(step.cells.mean()) for step in steps], COLOURS[2], "in a cell, mean")
    draw_curve(axes, steps, [float(step.cells.min()) for step in steps], COLOURS[4], "in the least sure cell")
    style: dict[str, Any] = {"color": "white", "markeredgecolor": INK, "markersize": 8, "clip_on": False, "zorder": 3}
    axes.plot([chosen.number], [chosen.confidence], "o", label="taken as the answer", **style)
    axes.set_ylim(-0.03, 1.03)
    axes.set_ylabel("confidence")


def draw_movement(axes: Axes, steps: Sequence[Step]) -> None:
    """Draw how far each part of the state moved in every step."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    draw_curve(axes, steps, [step.moved_y for step in steps], COLOURS[1], "y, the answer")
    draw_curve(axes, steps, [step.moved_z for step in steps], COLOURS[3], "z, the reasoning")
    moved = [value for step in steps for value in (step.moved_y, step.moved_z) if value > 0]
    if moved:
        axes.set_yscale("log", nonpositive="mask")
        axes.set_ylim(min(moved) / 1.4, max(moved) * 1.4)  # at least one labelled tick fits
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel("moved in a step (rms)")
    axes.set_xlabel("supervision step")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def draw_curve(axes: Axes, steps: Sequence[Step], values: Sequence[float], colour: str, label: str) -> None:
    """Draw a line for each start; the first one has the label."""
    edges = [*start_positions(steps), len(steps)]
    for first, end in pairwise(edges):
        numbers = [step.number for step in steps[first:end]]
        name = "" if first else label
        axes.plot(numbers, values[first:end], ".-", color=colour, linewidth=1.5, markersize=4, label=name)
