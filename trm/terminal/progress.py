"""Progress bars for evaluations, on standard error."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.progress import Progress

from trm.analysis.watch import Watch
from trm.terminal.console import progress_bars

if TYPE_CHECKING:
    from torch.nn import Module

BEGUN = 1e-9  # of a bar: with it, the first step already says how long the rest will take


class Bars(Watch):
    """Shows a bar for each evaluation."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.said = set[str]()

    def begin(self, name: str, rows: int) -> Callable[[int], object]:
        bar = self.progress.add_task(f"evaluating {name}", total=rows)
        return functools.partial(self.progress.advance, bar)

    def remark(self, text: str) -> None:
        if text not in self.said:  # of the same rows for each model
            self.said.add(text)
            self.progress.console.print(text, soft_wrap=True)


@contextmanager
def bars(hidden: bool = False) -> Iterator[Watch]:
    """Bars while the block runs; remarks alone where `hidden`, or where standard error is not a terminal."""
    with progress_bars(hidden) as progress:
        yield Bars(progress)


@contextmanager
def step_bar(progress: Progress, name: str, model: Module, rows: int, steps: int) -> Iterator[Callable[[int], object]]:
    """A bar that moves with every supervision step of `model` while the block runs.

    A puzzle that is done early counts as if it had made all of its steps.

    Args:
        progress: where to show it.
        name: of what is done.
        model: computes the steps, each for a batch.
        rows: puzzles in all.
        steps: of each puzzle, at most, over all starts.

    Yields:
        What to call with the number of puzzles that are done, whenever some are.
    """
    bar, made, done = progress.add_task(name, total=rows * steps), 0, 0
    progress.update(bar, completed=BEGUN)

    def show() -> None:
        progress.update(bar, completed=max(BEGUN, made, done * steps))

    def step(module: Module, given: tuple[Any, ...], output: object) -> None:
        nonlocal made
        made += len(given[1])
        show()

    def finish(count: int) -> None:
        nonlocal done
        done += count
        show()

    hook = model.register_forward_hook(step)
    try:
        yield finish
    finally:
        hook.remove()
