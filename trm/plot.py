"""Pictures: the trace of an answer, step by step, and the accuracy of a model. matplotlib is imported when needed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from trm.errors import BadInput, TrmError
from trm.files import check_writable, write_atomic
from trm.statistics import interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    from trm.inference.evaluation import Evaluation
    from trm.inference.solver import Answer, Step

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")  # Okabe-Ito: colour-blind safe
INK, RULE, FAINT = "#222222", "#9a9a9a", "#e6e6e6"
FINAL, NOT_FINAL = "#0072B2", "#C62828"  # a cell that is as in the answer, and one that is not
UNSURE = "#F5B041"  # behind a cell of which the model is not sure
MARKS = {"#": "#4a4a4a", "S": "#009E73", "G": "#D55E00", "o": "#56B4E9"}  # cells of a maze; all others are white
WIDTH = 9.0  # of the picture, in inches
MOST = 6  # boards side by side


class BoardLayout(NamedTuple):
    """How boards are placed."""

    columns: int  # boards side by side
    height: float  # of a board, in inches


def new_figure(width: float, height: float) -> Figure:
    """An empty picture of this size in inches. Raises TrmError where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise TrmError("a picture needs matplotlib: pip install 'trm[plot]'") from None
    return Figure(figsize=(width, height), dpi=150, layout="constrained")


def trace(answer: Answer, path: str | Path) -> None:
    """Write a PNG of an answer's trace: the board at some steps, confidence and movement of the state at all steps.

    Raises:
        TrmError: matplotlib is not installed.
        BadInput: the file cannot be written.
    """
    save(draw(answer), path)


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


def plain(axes: Axes) -> None:
    """Put a faint grid behind the curves, and leave the frame out."""
    axes.grid(color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def draw(answer: Answer) -> Figure:
    """The picture of `trace`. Raises TrmError where matplotlib is not installed."""
    columns, size = board_layout(answer.task.spec.width, answer.task.spec.height)
    figure = new_figure(WIDTH, size + 4.9)
    top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=(size + 0.9, 4.0))[:, 0]
    chosen = chosen_step(answer)
    draw_boards(top, answer, shown_steps(answer.trace, chosen, columns), chosen)
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


def board_layout(width: int, height: int) -> BoardLayout:
    """The layout of boards with `width` x `height` cells."""
    wide = float(np.clip(0.16 * width, 1.4, 2.8))
    return BoardLayout(columns=min(MOST, int(WIDTH / (wide + 0.1))), height=min(wide * height / width, 4.0))


def chosen_step(answer: Answer) -> Step:
    """The step that the answer was taken from."""
    same = [step for step in answer.trace if np.array_equal(step.tokens, answer.tokens)]
    return max(same or answer.trace, key=lambda step: step.confidence)


def shown_steps(steps: Sequence[Step], chosen: Step, most: int) -> list[Step]:
    """At most `most` steps: the first, the chosen one, the last, and others at increasing distances."""
    numbers = {1, chosen.number, len(steps)}
    for number in np.geomspace(1, len(steps), most).round().astype(int).tolist():
        if len(numbers) < most:
            numbers.add(number)
    return [steps[number - 1] for number in sorted(numbers)]


def start_positions(steps: Sequence[Step]) -> list[int]:
    """The index of the first step of each start."""
    return [at for at, step in enumerate(steps) if at == 0 or step.start != steps[at - 1].start]


# Boards


def draw_boards(figure: SubFigure, answer: Answer, steps: Sequence[Step], chosen: Step) -> None:
    """Draw the board of each step, side by side, with a title and a key."""
    tried = f"{answer.steps} step{'s' * (answer.steps > 1)}"
    if answer.starts > 1:
        tried += f" from {answer.starts} starts"
    best = f"not solved after {tried}; the best attempt is step {chosen.number}"
    figure.suptitle(f"solved in {tried}" if answer.solved else best, fontsize=11, x=0.01, ha="left")
    boards = figure.subplots(1, len(steps), squeeze=False)[0]
    for axes, step in zip(boards, steps, strict=True):
        draw_board(axes, answer, step)
        verdict = ", valid" if step.valid else ", best attempt" if step is chosen else ""
        axes.set_title(f"step {step.number}{verdict}", fontsize=8, fontweight="bold" if step is chosen else "normal")
    key = "dark: wall; green: S; orange: G; blue: path; pale: the model is not sure of the cell"
    if writes_numbers(answer):
        key = "black: given; blue: as in the answer; red: different; yellow: the model is not sure of the cell"
    figure.supxlabel(key, fontsize=8)


def writes_numbers(answer: Answer) -> bool:
    """Whether cells hold numbers rather than a maze's characters."""
    return answer.grid.dtype.kind != "U"


def draw_board(axes: Axes, answer: Answer, step: Step) -> None:
    """Draw one board, its cells blended with a background colour where the model is not sure."""
    from matplotlib.colors import to_rgb

    height, width = step.cells.shape
    colours = [[to_rgb(MARKS.get(str(cell), "white")) for cell in row] for row in step.grid.tolist()]
    doubt, doubtful = 1 - step.cells[..., None], to_rgb(UNSURE if writes_numbers(answer) else "white")
    axes.imshow(np.array(colours) * (1 - doubt) + np.array(doubtful) * doubt, extent=(0, width, height, 0))
    if writes_numbers(answer):
        write_cells(axes, answer, step)
    draw_lines(axes, answer, height, width)
    axes.set_axis_off()


def write_cells(axes: Axes, answer: Answer, step: Step) -> None:
    """Write the number of each cell, in a colour that says where it comes from."""
    height, width = step.cells.shape
    given = (step.tokens == answer.question).reshape(height, width)
    final = (step.tokens == answer.tokens).reshape(height, width)
    size = min(8.0, 72.0 / max(height, width))
    for (row, column), value in np.ndenumerate(step.grid):
        colour = INK if given[row, column] else FINAL if final[row, column] else NOT_FINAL
        axes.text(column + 0.5, row + 0.54, str(value), color=colour, fontsize=size, ha="center", va="center")


def draw_lines(axes: Axes, answer: Answer, height: int, width: int) -> None:
    """Draw thin lines between cells, unless there are too many, and thick ones between boxes and around the board."""
    down, across = answer.task.box
    thin = 0.3 if max(height, width) <= 16 else 0.0
    for row in range(height + 1):
        axes.axhline(row, color=INK, linewidth=thin if row % down else 1.0, clip_on=False)
    for column in range(width + 1):
        axes.axvline(column, color=INK, linewidth=thin if column % across else 1.0, clip_on=False)


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
