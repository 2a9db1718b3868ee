"""The outcome of an evaluation row by row, in a file, so that models can be compared on the same rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from trm.errors import BadInput
from trm.files import write_text
from trm.tasks.base import Bools, Tokens


class Record(BaseModel):
    """One model on some rows. The flags of all rows are a string of 0 and 1; there is one string per step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = 1
    name: str  # of the model
    task: str
    data: str  # where the rows come from
    rows: tuple[str, ...]  # a digest of each question, which matches the rows of two records
    exact: tuple[str, ...]  # per step: whether the row's answer is right in every cell
    valid: tuple[str, ...]  # per step: whether the row's answer obeys the rules
    halted: tuple[int, ...]  # per row: the step at which the model first said that it was done, else the last step
    seconds: float
    about: dict[str, Any] = {}  # what else is known of the model: weights, settings, cost

    def exact_flags(self) -> Bools:
        """[steps, rows]"""
        return np.array([unpack(flags) for flags in self.exact])

    def valid_flags(self) -> Bools:
        """[steps, rows]"""
        return np.array([unpack(flags) for flags in self.valid])


def pack(flags: npt.NDArray[np.bool_] | Iterable[bool]) -> str:
    """Flags [rows] as a string of 0 and 1."""
    return "".join("1" if flag else "0" for flag in flags)


def unpack(flags: str) -> Bools:
    """The opposite of `pack`."""
    return np.array([flag == "1" for flag in flags])


def digests(question: Tokens) -> tuple[str, ...]:
    """A short digest of each question [rows, cells]."""
    return tuple(hashlib.sha256(row.tobytes()).hexdigest()[:16] for row in question)


def write_record(path: Path, record: Record) -> None:
    """Write a record. Raises OSError where that is not possible."""
    write_text(path, record.model_dump_json(indent=1) + "\n")


def read_record(path: Path) -> Record:
    """Read a record. Raises BadInput for a file that is missing, damaged or inconsistent."""
    try:
        record = Record.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        why = str(error).splitlines()[0]
        raise BadInput(f"{path} is not a record of an evaluation ({why}); evaluate again") from None
    if why := _fault(record):
        raise BadInput(f"{path} is not a consistent record of an evaluation ({why}); evaluate again")
    return record


def _fault(record: Record) -> str:
    """What is inconsistent in a record; empty where nothing is."""
    if not record.rows:
        return "it has no rows"
    if not record.exact or len(record.exact) != len(record.valid):
        return "it has no steps, or differently many in exact and valid"
    if {len(flags) for flags in (*record.exact, *record.valid, record.halted)} != {len(record.rows)}:
        return "the number of rows differs between its parts"
    if set("".join(record.exact + record.valid)) - {"0", "1"}:
        return "a flag is neither 0 nor 1"
    if not all(1 <= step <= len(record.exact) for step in record.halted):
        return "a row halted at a step that does not exist"
    return ""
