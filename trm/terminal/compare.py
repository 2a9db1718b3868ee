"""What `trm compare` shows: a table for a terminal, Markdown, JSON, and a picture of accuracy against compute."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from trm.analysis.collect import collect
from trm.analysis.compare import Comparison, Line, compare
from trm.analysis.describe import quantity
from trm.errors import BadInput
from trm.files import check_writable, write_atomic, write_text
from trm.plot import COLOURS, check, new_figure
from trm.statistics import DRAWS, share

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NONE = "-"
HEADS = {"exact %": "exact\n%", "own halt": "own\nhalt", "FLOPs a puzzle": "FLOPs a\npuzzle"}  # on a terminal
NAME_ROOM = 16  # letters at least


def compare_and_print(
    arguments: Sequence[str],
    data: str,
    steps: int,
    rows: slice,
    batch: int,
    markdown: Path | None,
    png: Path | None,
    as_json: bool,
) -> None:
    """All of `trm compare`. Raises BadInput, and TrmError where matplotlib is wanted and missing."""
    if markdown is not None:
        check_writable(markdown)
    if png is not None:
        check(png)
    quiet = as_json or not sys.stderr.isatty()
    with Progress(console=Console(stderr=True), transient=True, disable=quiet) as progress:

        def watch(name: str, total: int) -> Any:
            bar = progress.add_task(f"evaluating {name}", total=total)
            return lambda done: progress.advance(bar, done)

        found = compare(collect(arguments, data, steps, rows, batch, watch))
    try:
        if markdown is not None:
            write_text(markdown, as_markdown(found))
        if png is not None:
            write_atomic(png, lambda file: draw(found, file))
    except OSError as error:
        raise BadInput(f"cannot write {error.filename}: {error.strerror}") from None
    if as_json:
        print(json.dumps(as_dict(found)))
    else:
        show(found, Console(highlight=False))


# Numbers as text


def percent(value: float) -> str:
    return f"{100 * value:.1f}"


def span(low: float, high: float) -> str:
    return f"{percent(low)}-{percent(high)}"


def count(value: float | None) -> str:
    """25.7k, 6.83M"""
    return NONE if value is None else quantity(value, "").replace(" ", "").strip()


def time_taken(seconds: float | None) -> str:
    if seconds is None:
        return NONE
    for size, name in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.0f} s"


def chance(p: float) -> str:
    return "<0.0001" if p < 1e-4 else f"{p:.4f}" if p < 0.01 else f"{p:.2f}"


def flops(line: Line) -> int | None:
    """Of all steps of one puzzle."""
    return None if line.flops is None else line.flops * line.exact.shape[1]


def cells(found: Comparison, number: int) -> dict[str, str]:
    """A line's columns, by heading."""
    line, test = found.lines[number], found.tests[number]
    exact, seeds = share(line.last()), line.last().mean(1)
    ours = line.entries[0].weights is not None
    return {
        "model": line.name,
        "weights": count(line.entries[0].weights),
        "exact %": percent(exact.mean),
        "95 %": span(exact.low, exact.high),
        "seeds": span(seeds.min(), seeds.max()) if len(seeds) > 1 else NONE,
        "own halt": percent(float(line.at_halt().mean())) if ours else NONE,
        "valid": percent(float(line.valid[:, -1].mean())),
        "steps": f"{line.halted.mean():.1f}/{line.exact.shape[1]}" if ours else NONE,
        "FLOPs a puzzle": count(flops(line)),
        "training": time_taken(line.seconds()),
        "training FLOPs": count(line.training_flops()),
        "points": NONE if test is None else f"{100 * test.difference:+.1f}",
        "p": NONE if test is None else chance(test.p),
    }


def notes(found: Comparison) -> list[str]:
    """What the numbers are of, and what they do not say."""
    most = f" of up to {found.most:,}, those that all have" if found.rows < found.most else ""
    told = [f"Rows: {found.rows:,}{most}; {' and '.join(found.data)} ({found.task})."]
    if any(line.flops for line in found.lines):
        told.append("Exact, valid and FLOPs (of matrix products) after all steps; steps: mean until the own halt/all.")
    one, pooled = "Wilson interval", f"bootstrap over rows ({DRAWS:,} draws), which says nothing of other seeds"
    counts = [len(line.entries) for line in found.lines]
    told.append(f"95 %: {of_seeds(one, pooled, min(counts) == 1, max(counts) > 1)}.")
    names = {test.name for test in found.tests if test is not None}
    if names:
        one, pooled = "exact McNemar test", f"sign-flip permutation test over rows ({DRAWS:,} draws)"
        each = f"; not corrected for {len(counts) - 1} comparisons" if len(counts) > 2 else ""
        test = of_seeds(one, pooled, "McNemar" in names, "sign flips" in names)
        told.append(f"Points and p: against the first on the same rows; {test}{each}.")
    return told


def of_seeds(one: str, pooled: str, with_one: bool, with_pooled: bool) -> str:
    """What was done with single runs, with pooled seeds, or both."""
    if not with_pooled:
        return one
    return f"{one}; of pooled seeds, {pooled}" if with_one else pooled


# A table, Markdown, JSON


def show(found: Comparison, console: Console) -> None:
    """Print a table that fits 100 columns where names are no longer than 24 letters; a narrower one tells less."""
    rows = [cells(found, number) for number in range(len(found.lines))]
    for row in rows:
        if row["seeds"] != NONE:  # below the name, where there is room
            row["model"] += f"\n  {row['seeds']} by seed"
    columns = [name for name in told_of(rows) if name not in ("model", "seeds", "training FLOPs")]
    left_out = []
    for name in ("training", "valid", "weights", "steps"):
        if name in columns and NAME_ROOM + sum(breadth(rows, name) for name in columns) > console.width:
            columns.remove(name)
            left_out.append(name)
    table = Table(box=SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("model", min_width=NAME_ROOM, overflow="fold")
    for name in columns:
        table.add_column(HEADS.get(name, name), justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(row[name]) for name in ("model", *columns)))
    console.print(table)
    console.print()
    for line in notes(found):
        console.print(line, style="dim")
    if left_out:
        console.print(f"Left out for lack of room: {', '.join(left_out)}.", style="dim")


def breadth(rows: list[dict[str, str]], name: str) -> int:
    """Letters that a column takes, with the gap before it."""
    texts = [HEADS.get(name, name), *(row[name] for row in rows)]
    return 1 + max(len(line) for text in texts for line in text.splitlines())


def told_of(rows: list[dict[str, str]]) -> list[str]:
    """The columns that have something in any row."""
    return [name for name in rows[0] if any(row[name] != NONE for row in rows)]


def as_markdown(found: Comparison) -> str:
    """One table and what it is of."""
    rows = [cells(found, number) for number in range(len(found.lines))]
    shown = told_of(rows)
    lines = ["| " + " | ".join(shown) + " |", "|---" + "|---:" * (len(shown) - 1) + "|"]
    lines += ["| " + " | ".join(row[name].replace("|", "\\|") for name in shown) + " |" for row in rows]
    return "\n".join([*lines, "", " ".join(notes(found))]) + "\n"


def as_dict(found: Comparison) -> dict[str, Any]:
    """Everything that is shown, as plain numbers, ready for JSON."""
    return {
        "task": found.task,
        "data": list(found.data),
        "rows": found.rows,
        "most_rows": found.most,
        "steps": found.steps,
        "lines": [line_dict(found, number) for number in range(len(found.lines))],
    }


def line_dict(found: Comparison, number: int) -> dict[str, Any]:
    line, test = found.lines[number], found.tests[number]
    exact = share(line.last())
    seeds = line.last().mean(1)
    return {
        "name": line.name,
        "sources": [entry.source for entry in line.entries],
        "seeds": [entry.seed for entry in line.entries],
        "weights": line.entries[0].weights,
        "exact": rounded(exact.mean),
        "interval": [rounded(exact.low), rounded(exact.high)],
        "exact_by_seed": [rounded(value) for value in seeds],
        "deviation": rounded(float(seeds.std(ddof=1))) if len(seeds) > 1 else None,
        "exact_by_step": [rounded(value) for value in line.exact.mean((0, 2))],
        "valid": rounded(line.valid[:, -1].mean()),
        "halted": {"exact": rounded(line.at_halt().mean()), "mean_steps": round(float(line.halted.mean()), 4)},
        "flops": flops(line),
        "training_seconds": line.seconds(),
        "training_flops": line.training_flops(),
        "test": None if test is None else {**test._asdict(), "difference": rounded(test.difference)},
    }


def rounded(value: float) -> float:
    return round(float(value), 6)


# A picture


def draw(found: Comparison, file: BinaryIO) -> None:
    """Accuracy against compute as a PNG: a curve for each of our models, a dashed line for each language model.

    Raises:
        TrmError: matplotlib is not installed.
        BadInput: the compute of none of the models is known.
    """
    if all(line.flops is None for line in found.lines):
        raise BadInput(
            "the picture is of accuracy against compute, which no language model tells: name one of ours too"
        )
    figure = new_figure(8, 5)
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes = figure.add_subplot()
    for number, line in enumerate(found.lines):
        draw_line(axes, line, COLOURS[number % len(COLOURS)])
    axes.plot([], [], "o", color="white", markeredgecolor="#444444", markeredgewidth=1.5, label="own halt")
    axes.set_xscale("log")
    # Even a narrow range has labels then, and no two of them meet.
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(-3, 103)
    axes.set_xlabel("FLOPs a puzzle")
    axes.set_ylabel("exact answers, %")
    axes.set_title(f"{found.rows:,} rows of {' and '.join(found.data)}", loc="left", fontsize=11)
    axes.grid(color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    figure.savefig(file, format="png")


def draw_line(axes: Axes, line: Line, colour: str) -> None:
    if line.flops is None:
        axes.axhline(100 * float(line.last().mean()), color=colour, linestyle="--", linewidth=1.5, label=line.name)
        return
    # The band of each step, [steps, 3].
    shares = 100 * np.array([share(line.exact[:, k]) for k in range(line.exact.shape[1])])
    compute = line.flops * np.arange(1, len(shares) + 1)
    axes.fill_between(compute, shares[:, 1], shares[:, 2], color=colour, alpha=0.12, linewidth=0)
    axes.plot(compute, shares[:, 0], color=colour, linewidth=1.8, marker=".", markersize=5, label=line.name)
    halt = (line.flops * float(line.halted.mean()), 100 * float(line.at_halt().mean()))
    axes.plot(*halt, "o", color="white", markeredgecolor=colour, markeredgewidth=1.8, markersize=8, zorder=5)
