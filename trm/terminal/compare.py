"""What `trm compare` shows: a table for a terminal, Markdown, JSON, and a picture of accuracy against compute."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from trm.analysis.collect import collect
from trm.analysis.compare import Comparison, ModelGroup, compare
from trm.errors import BadInput
from trm.files import check_writable, write_atomic, write_text
from trm.plot import COLOURS, check, new_figure, plain
from trm.statistics import DRAWS, share
from trm.terminal.console import plain_console, report_written
from trm.terminal.numbers import NONE, count, p_value, percent, rough_duration, span
from trm.terminal.progress import bars

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEADS = {"exact %": "exact\n%", "own halt": "own\nhalt", "FLOPs a puzzle": "FLOPs a\npuzzle"}  # on a terminal
NARROWEST = 16  # letters of the column of names, at least
DISPENSABLE = ("training", "valid", "weights", "steps")  # columns to leave out for lack of room, in this order


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
    """Compare models and print the comparison.

    Args:
        arguments, data, steps, rows, batch: as for `trm.analysis.collect.collect`.
        markdown: the file for a table in Markdown.
        png: the file for a picture.
        as_json: print one JSON object instead of the table.

    Raises:
        BadInput: as `collect` and `compare` raise it; or a file cannot be written.
        TrmError: matplotlib is needed and not installed.
    """
    if markdown is not None:
        check_writable(markdown)
    if png is not None:
        check(png)
    with bars(hidden=as_json) as watch:
        comparison = compare(collect(arguments, data, steps, rows, batch, watch))
    try:
        if markdown is not None:
            write_text(markdown, as_markdown(comparison))
            report_written(markdown)
        if png is not None:
            write_atomic(png, lambda file: draw(comparison, file))
            report_written(png)
    except OSError as error:
        raise BadInput(f"cannot write {error.filename}: {error.strerror}") from None
    if as_json:
        print(json.dumps(as_dict(comparison)))
    else:
        show(comparison, plain_console())


# Cells of the table


def puzzle_flops(group: ModelGroup) -> int | None:
    """FLOPs of all steps on one puzzle."""
    return None if group.step_flops is None else group.step_flops * group.steps


def cells(group: ModelGroup) -> dict[str, str]:
    """The cells of a group's row, by column."""
    exact, seeds = share(group.exact_at_end()), group.exact_at_end().mean(1)
    ours = group.parameters is not None
    return {
        "model": group.name,
        "weights": count(group.parameters),
        "exact %": percent(exact.mean),
        "95 %": span(exact.low, exact.high),
        "seeds": span(seeds.min(), seeds.max()) if len(seeds) > 1 else NONE,
        "own halt": percent(float(group.exact_at_halt().mean())) if ours else NONE,
        "valid": percent(float(group.valid[:, -1].mean())),
        "steps": f"{group.halted.mean():.1f}/{group.steps}" if ours else NONE,
        "FLOPs a puzzle": count(puzzle_flops(group)),
        "training": rough_duration(group.training_seconds),
        "training FLOPs": count(group.training_flops),
        "points": NONE if group.test is None else f"{100 * group.test.difference:+.1f}",
        "p": NONE if group.test is None else p_value(group.test.p),
    }


FLIPS = f"sign-flip permutation test over rows ({DRAWS:,} draws)"
TESTS = {
    "McNemar": "exact McNemar test, which says nothing about other seeds",
    "sign flips": f"for seeds against one run, {FLIPS}, which says nothing about other seeds",
    "seeds and rows": "for seeds against seeds, a t test with the variance of seeds and of rows",
}


def notes(comparison: Comparison) -> list[str]:
    """What the numbers mean, and what they do not say."""
    groups = comparison.groups
    largest = f" of up to {comparison.largest:,}, those that all have" if comparison.rows < comparison.largest else ""
    lines = [f"Rows: {comparison.rows:,}{largest}; {' and '.join(comparison.data)} ({comparison.task})."]
    if any(group.step_flops for group in groups):
        lines.append(
            "Exact, valid and FLOPs (of matrix products): after all steps. Steps: mean until the model's own halt/all."
        )
    one, pooled = "Wilson interval", f"bootstrap over rows ({DRAWS:,} draws), which says nothing about other seeds"
    sizes = [len(group.models) for group in groups]
    lines.append(f"95 %: {method(one, pooled, min(sizes) == 1, max(sizes) > 1)}.")
    names = {group.test.name for group in groups if group.test is not None}
    if names:
        each = f"; not corrected for {len(sizes) - 1} comparisons" if len(sizes) > 2 else ""
        tests = "; ".join(words for name, words in TESTS.items() if name in names)
        lines.append(f"Points and p: against the first on the same rows; {tests}{each}.")
    return lines


def method(one: str, pooled: str, with_one: bool, with_pooled: bool) -> str:
    """The method for single runs, for pooled seeds, or both."""
    if not with_pooled:
        return one
    return f"{one}; for pooled seeds, {pooled}" if with_one else pooled


# A table, Markdown, JSON


def show(comparison: Comparison, console: Console) -> None:
    """Print a table. It fits 100 columns if names have at most 24 letters; in fewer, columns are left out."""
    rows = [cells(group) for group in comparison.groups]
    for row in rows:
        if row["seeds"] != NONE:  # below the name, where there is room
            row["model"] += f"\n  {row['seeds']} by seed"
    columns = [name for name in known_columns(rows) if name not in ("model", "seeds", "training FLOPs")]
    left_out = []
    for name in DISPENSABLE:
        if name in columns and NARROWEST + sum(breadth(rows, name) for name in columns) > console.width:
            columns.remove(name)
            left_out.append(name)
    table = Table(box=SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("model", min_width=NARROWEST, overflow="fold")
    for name in columns:
        table.add_column(HEADS.get(name, name), justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(row[name]) for name in ("model", *columns)))
    console.print(table)
    console.print()
    for line in notes(comparison):
        console.print(line, style="dim")
    if left_out:
        console.print(f"Left out for lack of room: {', '.join(left_out)}.", style="dim")


def breadth(rows: list[dict[str, str]], name: str) -> int:
    """Letters that a column takes, with the gap before it."""
    texts = [HEADS.get(name, name), *(row[name] for row in rows)]
    return 1 + max(len(line) for text in texts for line in text.splitlines())


def known_columns(rows: list[dict[str, str]]) -> list[str]:
    """The columns in which at least one row has a value."""
    return [name for name in rows[0] if any(row[name] != NONE for row in rows)]


def as_markdown(comparison: Comparison) -> str:
    """The table, and the notes below it."""
    rows = [cells(group) for group in comparison.groups]
    shown = known_columns(rows)
    lines = ["| " + " | ".join(shown) + " |", "|---" + "|---:" * (len(shown) - 1) + "|"]
    lines += ["| " + " | ".join(row[name].replace("|", "\\|") for name in shown) + " |" for row in rows]
    return "\n".join([*lines, "", " ".join(notes(comparison))]) + "\n"


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """Everything that is shown, as plain numbers, ready for JSON."""
    return {
        "task": comparison.task,
        "data": list(comparison.data),
        "rows": comparison.rows,
        "most_rows": comparison.largest,
        "steps": comparison.steps,
        "lines": [group_dict(group) for group in comparison.groups],
    }


def group_dict(group: ModelGroup) -> dict[str, Any]:
    """One group's part of `as_dict`."""
    exact = share(group.exact_at_end())
    seeds = group.exact_at_end().mean(1)
    test = group.test
    return {
        "name": group.name,
        "sources": [model.source for model in group.models],
        "seeds": [model.seed for model in group.models],
        "weights": group.parameters,
        "exact": rounded(exact.mean),
        "interval": [rounded(exact.low), rounded(exact.high)],
        "exact_by_seed": [rounded(value) for value in seeds],
        "deviation": rounded(float(seeds.std(ddof=1))) if len(seeds) > 1 else None,
        "exact_by_step": [rounded(value) for value in group.exact.mean((0, 2))],
        "valid": rounded(group.valid[:, -1].mean()),
        "halted": {
            "exact": rounded(group.exact_at_halt().mean()),
            "mean_steps": round(float(group.halted.mean()), 4),
        },
        "flops": puzzle_flops(group),
        "training_seconds": group.training_seconds,
        "training_flops": group.training_flops,
        "test": None if test is None else {**test._asdict(), "difference": rounded(test.difference)},
    }


def rounded(value: float) -> float:
    return round(float(value), 6)


# A picture


def draw(comparison: Comparison, file: BinaryIO) -> None:
    """Draw accuracy against compute as a PNG: a curve for each of our models, a dashed line for each language model.

    Raises:
        TrmError: matplotlib is not installed.
        BadInput: all models are language models, whose compute is not known.
    """
    if all(group.step_flops is None for group in comparison.groups):
        raise BadInput("--png shows compute, which is not known for language models: name a model of trm too")
    figure = new_figure(8, 5)
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes = figure.add_subplot()
    for number, group in enumerate(comparison.groups):
        draw_group(axes, group, COLOURS[number % len(COLOURS)])
    axes.plot([], [], "o", color="white", markeredgecolor="#444444", markeredgewidth=1.5, label="own halt")
    axes.set_xscale("log")
    # With these ticks even a narrow range has labels, and no two labels overlap.
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(-3, 103)
    axes.set_xlabel("FLOPs a puzzle")
    axes.set_ylabel("exact answers, %")
    axes.set_title(f"{comparison.rows:,} rows of {' and '.join(comparison.data)}", loc="left", fontsize=11)
    plain(axes)
    figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    figure.savefig(file, format="png")


def draw_group(axes: Axes, group: ModelGroup, colour: str) -> None:
    """A group's curve with its 95 % band, and a circle where its models halt on average."""
    exact = 100 * float(group.exact_at_end().mean())
    if group.step_flops is None:
        axes.axhline(exact, color=colour, linestyle="--", linewidth=1.5, label=group.name)
        return
    shares = [share(group.exact[:, step]) for step in range(group.steps)]
    means = 100 * np.array([one.mean for one in shares])
    lows, highs = 100 * np.array([one.low for one in shares]), 100 * np.array([one.high for one in shares])
    compute = group.step_flops * np.arange(1, group.steps + 1)
    axes.fill_between(compute, lows, highs, color=colour, alpha=0.12, linewidth=0)
    axes.plot(compute, means, color=colour, linewidth=1.8, marker=".", markersize=5, label=group.name)
    halt = (group.step_flops * float(group.halted.mean()), 100 * float(group.exact_at_halt().mean()))
    axes.plot(*halt, "o", color="white", markeredgecolor=colour, markeredgewidth=1.8, markersize=8, zorder=5)
