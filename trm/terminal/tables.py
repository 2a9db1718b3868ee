"""The table of `trm eval` and `trm eval-llm`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from trm.statistics import interval

if TYPE_CHECKING:
    from trm.inference.evaluation import Evaluation


def accuracy(result: Evaluation, title: str, halting: bool) -> Table:
    """A table of the accuracy at steps 1, 2, 4, ... and, with `halting`, of the model's own halting."""
    table = Table(title=title, title_justify="left")
    for column in ("step", "exact", "95 % interval", "cells", "obeys rules", *result.extra):
        table.add_column(column, justify="right")
    last = len(result.exact)
    shown = sorted({2**k for k in range(20) if 2**k <= last} | {last})
    for k in shown:
        low, high = interval(int(result.exact[k - 1]), result.rows)
        table.add_row(
            str(k),
            f"{result.exact[k - 1] / result.rows:.1%}",
            f"{low:.1%} - {high:.1%}",
            f"{result.cell[k - 1] / result.cells:.1%}",
            f"{result.valid[k - 1] / result.rows:.1%}",
            *(f"{counts[k - 1] / result.rows:.1%}" for counts in result.extra.values()),
        )
    if halting:
        low, high = interval(result.halted_exact, result.rows)
        mean = result.halted_steps / result.rows
        share = f"{result.halted_exact / result.rows:.1%}"
        table.add_row(f"own halt, {mean:.1f} on average", share, f"{low:.1%} - {high:.1%}", "", "")
    return table
