"""Boards on a terminal: an answer, the steps that led to it, and whether it is right."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from trm.tasks.base import Task, Tokens

if TYPE_CHECKING:
    from trm.inference.answers import Answer

GIVEN, KEPT, CHANGED = "bold", "cyan", "bold black on yellow"
FRAME_SECONDS = 0.15  # how long --trace shows a step on a terminal


def grid(task: Task, question: Tokens, answer: Tokens, before: Tokens | None = None) -> Text:
    """`answer` drawn. Colours tell the cells given by the question, those as in `before`, and those that differ."""
    drawn = task.draw(answer)
    text = Text(drawn)
    # The characters of the drawing that stand for cells, in order.
    places = [match.span() for match in re.finditer(task.cell_pattern, drawn)]
    assert len(places) == len(answer)
    given = task.given(question)
    known = given >= task.spec.first_symbol if task.spec.symbols or not task.blank else given != task.blank
    for cell, place in enumerate(places):
        changed = before is not None and before[cell] != answer[cell]
        text.stylize(GIVEN if known[cell] else CHANGED if changed else KEPT, *place)
    return text


def trace(console: Console, answer: Answer) -> None:
    """The grid after every step, with the cells highlighted that changed in it.

    On a terminal one grid changes in place, slowly enough to watch; elsewhere (a file, a pipe) all are printed.
    """
    before, frames = answer.task.given(answer.question), []
    for step in answer.trace:
        changed = int((before != step.tokens).sum())
        head = Text(f"step {step.number}: {changed} cell{'s' if changed != 1 else ''} changed", style="dim")
        frames.append(Group(head, grid(answer.task, answer.question, step.tokens, before)))
        before = step.tokens
    if not console.is_terminal:
        for frame in frames:
            console.print(frame)
        return
    with Live(console=console, auto_refresh=False) as live:
        for frame in frames:
            live.update(frame, refresh=True)
            time.sleep(FRAME_SECONDS)


def verdict(answer: Answer) -> Text:
    """What came of a puzzle, in a line."""
    steps = f"{answer.steps} step{'s' if answer.steps != 1 else ''}"
    if not answer.task.checkable:
        belief = f"no rules are known to check it by, and the model's confidence is {answer.confidence:.2f}"
        wrong = "" if answer.valid else f"; wrong: {answer.task.fault(answer.question, answer.tokens)}"
        return Text(f"answered in {steps}; {belief}{wrong}", style="yellow")
    if answer.solved:
        return Text(f"solved in {steps}; every rule is obeyed", style="green")
    if answer.valid:
        return Text(f"not solved after {steps}: the best attempt is a path, but not a shortest one", style="red")
    return Text(f"not solved after {steps}: this is the best attempt, and it breaks the rules", style="red")
