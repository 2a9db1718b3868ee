"""Old names that are still understood: whoever uses one is told the new name."""

from __future__ import annotations

import os
import sys

LAUNCHED = "TRM_LAUNCHED"  # set for the processes that `trm train --procs` starts


def report_rename(old: str, new: str) -> None:
    """Print one line on standard error: `old` is now `new`.

    Of several processes with the same command line only one prints it: the one that started the others, or rank 0.
    """
    if LAUNCHED not in os.environ and os.environ.get("RANK", "0") == "0":
        print(f"trm: {old} is now {new}", file=sys.stderr)
