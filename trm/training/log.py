"""The log of a run, a file of JSON lines in its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trm.files import write_atomic
from trm.numbers import is_finite
from trm.remarks import first_few, report

LOG = "log.jsonl"


def trim_log(path: Path, update: int) -> None:
    """Drop what was logged after `update`: those updates are about to be done again.

    Damaged lines are left out, which is said on standard error; the log as it was is kept in a file beside it.
    """
    if not path.exists():
        return
    kept, bad = [], []
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line.decode())
            if logged(record["update"] if "update" in record else record["step"]) <= update:  # "step": its former name
                kept.append(line + b"\n")
        except (ValueError, KeyError, TypeError, RecursionError):
            if number < len(lines):  # the last line may have been cut short by a crash, or is empty
                bad.append(number)
    if bad:
        saved = path.with_name(f"{path.name}.damaged")
        write_atomic(saved, lambda file: file.write(path.read_bytes()))
        report(f"{path}: damaged lines were left out ({first_few(bad)}); the log as it was is in {saved.name}")
    write_atomic(path, lambda file: file.write(b"".join(kept)))


def logged(value: Any) -> float:
    """A number in a log. Raises ValueError for anything else, and for what is not finite."""
    if not is_finite(value):
        raise ValueError("no finite number")
    return float(value)
