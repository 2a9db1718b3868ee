"""How evaluations report their progress to whoever shows it."""

from __future__ import annotations

from collections.abc import Callable


class Watch:
    """Called as evaluations proceed. This one ignores everything; `trm.terminal.progress` shows it."""

    def begin(self, name: str, rows: int) -> Callable[[int], object]:
        """An evaluation of this many rows begins. -> a function to call with the number of further rows done"""
        return lambda done: None

    def remark(self, text: str) -> None:
        """Something that the user should know about an evaluation, in one line."""
