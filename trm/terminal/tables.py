"""The table of `trm eval` and `trm eval-llm`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import HEAVY_HEAD, SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from trm.statistics import interval
from trm.terminal.console import fits

if TYPE_CHECKING:
    from trm.inference.evaluation import Evaluation


def print_accuracy(console: Console, result: Evaluation, title: str, halting: bool) -> None:
    """Print the accuracy at steps 1, 2, 4, ... and, with `halting`, that of the model's own halting."""
    table = accuracy(result, title, halting)
    if fits(table, console):
        console.print(table)
        return
    console.print(accuracy(result, title, halting, narrow=True))
    if halting:
        console.print(f"own halt: after {mean_halt(result):.1f} steps on average")


def mean_halt(result: Evaluation) -> float:
    """Steps after which the model halts, on average."""
    return result.halted_steps / result.rows


def accuracy(result: Evaluation, title: str, halting: bool, narrow: bool = False) -> Table:
    """The table. `narrow`: with short texts, and without lines between the columns."""
    frame, padding = (SIMPLE_HEAD, (0, 1, 0, 0)) if narrow else (HEAVY_HEAD, (0, 1))
    table = Table(title=title, title_justify="left", box=frame, padding=padding, pad_edge=not narrow)
    heads = ("95 %", "cells", "obeys\nrules") if narrow else ("95 % interval", "cells", "obeys rules")
    for column in ("step", "exact", *heads, *result.extra):
        table.add_column(column, justify="right")
    last = len(result.exact)
    shown = sorted({2**k for k in range(20) if 2**k <= last} | {last})
    for k in shown:
        table.add_row(
            str(k),
            f"{result.exact[k - 1] / result.rows:.1%}",
            span(int(result.exact[k - 1]), result.rows, narrow),
            f"{result.cell[k - 1] / result.cells:.1%}",
            f"{result.valid[k - 1] / result.rows:.1%}",
            *(f"{counts[k - 1] / result.rows:.1%}" for counts in result.extra.values()),
        )
    if halting:
        label = "own halt" if narrow else f"own halt, {mean_halt(result):.1f} on average"
        share = f"{result.halted_exact / result.rows:.1%}"
        table.add_row(label, share, span(result.halted_exact, result.rows, narrow), "", "")
    return table


def span(right: int, rows: int, narrow: bool) -> str:
    """The 95 % interval of a share."""
    low, high = interval(right, rows)
    return f"{100 * low:.1f}-{100 * high:.1f}" if narrow else f"{low:.1%} - {high:.1%}"
