"""What `trm solve` and `trm eval` print: grids, traces and tables for a terminal."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from trm.tasks.base import Task, Tokens, checkable

if TYPE_CHECKING:
    from trm.inference.evaluate import Evaluation

GIVEN, KEPT, CHANGED = "bold", "cyan", "bold black on yellow"
FRAME_SECONDS = 0.15  # how long --trace shows a step on a terminal


class Shown(Protocol):
    """What is shown of an answer, whichever backend it comes from."""

    @property
    def tokens(self) -> Tokens: ...

    @property
    def valid(self) -> bool: ...

    @property
    def steps(self) -> int: ...

    @property
    def confidence(self) -> float: ...

    @property
    def trace(self) -> Sequence[Tokens]: ...


def grid(task: Task, question: Tokens, answer: Tokens, before: Tokens | None = None) -> Text:
    """`answer` drawn, its cells coloured: given by the question, as `before`, or changed since `before`."""
    drawn = task.draw(answer)
    text = Text(drawn)
    # What stands for cells in the drawing, in order.
    places = [match.span() for match in re.finditer(task.cell_pattern, drawn)]
    assert len(places) == len(answer)
    for cell, place in enumerate(places):
        if question[cell] >= task.spec.first_symbol:
            style = GIVEN
        else:
            style = CHANGED if before is not None and before[cell] != answer[cell] else KEPT
        text.stylize(style, *place)
    return text


def trace(console: Console, task: Task, question: Tokens, answer: Shown) -> None:
    """The grid after every step; cells that changed since the step before are lit.

    On a terminal one grid changes in place, slowly enough to be watched; elsewhere (a file, a pipe) all are printed.
    """
    before, frames = question, []
    for step, tokens in enumerate(answer.trace, 1):
        changed = int((before != tokens).sum())
        head = Text(f"step {step}: {changed} cell{'s' if changed != 1 else ''} changed", style="dim")
        frames.append(Group(head, grid(task, question, tokens, before)))
        before = tokens
    if not console.is_terminal:
        for frame in frames:
            console.print(frame)
        return
    with Live(console=console, auto_refresh=False) as live:
        for frame in frames:
            live.update(frame, refresh=True)
            time.sleep(FRAME_SECONDS)


def verdict(task: Task, answer: Shown, right: bool) -> Text:
    """In a line what came of it; `right`: as far as rules can tell."""
    steps = f"{answer.steps} step{'s' if answer.steps != 1 else ''}"
    if not checkable(task):
        belief = f"no rules are known to check it by, and the model's confidence is {answer.confidence:.2f}"
        return Text(f"answered in {steps}; {belief}", style="yellow")
    if right:
        return Text(f"solved in {steps}; every rule is obeyed", style="green")
    if answer.valid:
        return Text(f"not solved after {steps}: the best attempt is a path, but not a shortest one", style="red")
    return Text(f"not solved after {steps}: this is the best attempt, and it breaks the rules", style="red")


def accuracy(result: Evaluation, title: str, halting: bool) -> Table:
    """A table of the accuracy at steps 1, 2, 4, ... and with the model's own halting."""
    from trm.statistics import interval  # imports torch

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
