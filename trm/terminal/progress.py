"""Progress bars for evaluations, on standard error."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import Progress

from trm.analysis.watch import Watch
from trm.terminal.console import progress_bars


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
