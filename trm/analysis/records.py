"""What an evaluation found, row by row, kept so that models can be compared on the same rows."""

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
    """One model on some rows. Flags of rows are written as a string of 0 and 1, one string for each step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = 1
    name: str  # of the model
    task: str
    data: str  # where the rows are from
    rows: tuple[str, ...]  # a digest of each question, by which rows of two records are matched
    exact: tuple[str, ...]  # after each step: whether the row's answer is entirely right
    valid: tuple[str, ...]  # after each step: whether it obeys the rules
    halted: tuple[int, ...]  # the step at which the model first said it was done, else the last
    seconds: float
    about: dict[str, Any] = {}  # whatever else is known of the model: weights, settings, cost

    def right(self) -> Bools:
        """[steps, rows]"""
        return np.array([unpack(flags) for flags in self.exact])

    def obeying(self) -> Bools:
        """[steps, rows]"""
        return np.array([unpack(flags) for flags in self.valid])


def pack(flags: npt.NDArray[np.bool_] | Iterable[bool]) -> str:
    return "".join("1" if flag else "0" for flag in flags)


def unpack(flags: str) -> Bools:
    return np.array([flag == "1" for flag in flags])


def digests(question: Tokens) -> tuple[str, ...]:
    """A short digest of each question [rows, cells]."""
    return tuple(hashlib.sha256(row.tobytes()).hexdigest()[:16] for row in question)


def save(path: Path, record: Record) -> None:
    write_text(path, record.model_dump_json(indent=1) + "\n")


def load(path: Path) -> Record:
    """Raises BadInput for a file that is missing, damaged or contradicts itself."""
    try:
        record = Record.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise BadInput(f"{path} is no record of an evaluation: {str(error).splitlines()[0]}; evaluate again") from None
    lengths = {len(flags) for flags in record.exact + record.valid} | {len(record.halted), len(record.rows)}
    if len(lengths) != 1 or len(record.exact) != len(record.valid) or not record.exact:
        raise BadInput(f"{path} contradicts itself: rows of different number; evaluate again")
    return record
