"""Remarks on standard error, such as those on old names that are still understood."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

LAUNCHED = "TRM_LAUNCHED"  # set for the processes that `trm train --procs` starts


def report(line: str) -> None:
    """Print one line on standard error.

    Of several processes with the same command line only one prints it: rank 0.
    """
    if not os.environ.get("RANK", "").strip("0 "):  # it is unset, empty or 0
        print("trm:", one_line(line), file=sys.stderr)


def one_line(text: str) -> str:
    """Text in one line, with what is not safe to print as escape sequences."""
    line = " ".join(text.splitlines())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def first_few(numbers: Sequence[int]) -> str:
    """At most five numbers, in words, for a remark."""
    return ", ".join(map(str, numbers[:5])) + (", ..." if len(numbers) > 5 else "")


def report_once(message: str) -> None:
    """`report`, but of several processes with the same command line only in one: the one that started the others, or
    rank 0.
    """
    if LAUNCHED not in os.environ:
        report(message)


def report_rename(old: str, new: str) -> None:
    """Print one line on standard error: `old` is now `new`. Once, see `report_once`."""
    report_once(f"{old} is now {new}")
