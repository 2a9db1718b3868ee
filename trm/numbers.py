"""Checks of numbers that users give: whole or not, finite, in range. Imports no torch."""

from __future__ import annotations

import math
import numbers
import os
import sys
from typing import Any

from trm.errors import BadInput

LARGEST = 10**9  # of any number that has no limit of its own: updates, rows, seconds (32 years)
LARGEST_SEED = 2**63 - 1  # what torch's generators take
FEWEST_THREADS = 64  # so many may be asked for on any machine
THREADS_PER_CORE = 4  # more than so many only wait for each other


def shown(value: Any) -> str:
    """A value in an error: in one line, and shortened where it is long."""
    try:
        text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else repr(value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a number of thousands of digits"
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def whole_number(name: str, value: Any, least: int, most: int = LARGEST) -> int:
    """`value` as an int, where it is a whole number from `least` to `most`; numpy's numbers and 5.0 are taken.

    Raises BadInput that names it as `name`.
    """
    if isinstance(value, bool) or not is_number(value) or not float_is_whole(value):
        raise BadInput(f"{name} must be a whole number, not {shown(value)}")
    number = int(value)
    if number < least:
        raise BadInput(f"{name} must be {least} or more, not {shown(number)}")
    if number > most:
        raise BadInput(f"{name} must be at most {most}, not {shown(number)}")
    return number


def finite_number(name: str, value: Any, least: float, most: float = LARGEST) -> float:
    """`value` as a float, where it is a number from `least` to `most`. Raises BadInput that names it as `name`."""
    if isinstance(value, bool) or not is_number(value):
        raise BadInput(f"{name} must be a number, not {shown(value)}")
    if value != value or value in (math.inf, -math.inf):
        raise BadInput(f"{name} must be finite, not {shown(value)}")
    if not value >= least:
        raise BadInput(f"{name} must be {least:g} or more, not {shown(value)}")
    if value > most:
        raise BadInput(f"{name} must be at most {most:g}, not {shown(value)}")
    return float(value)


def is_number(value: Any) -> bool:
    """Whether it is a real number of Python or numpy. numpy's truth values are none."""
    return isinstance(value, numbers.Real)


def is_finite(value: Any, most: float = sys.float_info.max) -> bool:
    """Whether it is an int or a float, as JSON and torch files give them, and at most `most` in size."""
    return type(value) in (int, float) and abs(value) <= most


def float_is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) or (math.isfinite(value) and float(value).is_integer())


def most_threads() -> int:
    """The most threads or processes that may be asked for on this machine."""
    return max(FEWEST_THREADS, THREADS_PER_CORE * (os.cpu_count() or 1))


def check_threads(value: Any, name: str = "threads") -> int:
    """A number of threads or processes; 0: as many as suit. Raises BadInput, before thousands of them are started."""
    return whole_number(name, value, 0, most_threads())
