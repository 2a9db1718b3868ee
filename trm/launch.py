"""Which of several processes this is, as torchrun tells it in the environment. Imports no torch."""

from __future__ import annotations

import os
from typing import NamedTuple

from trm.errors import BadInput

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
ADDRESS = ("MASTER_ADDR", "MASTER_PORT")  # where the processes meet
LAST_PORT = 65535


class Process(NamedTuple):
    """One of the processes that torchrun has started."""

    rank: int  # its number, from 0, over all machines
    world: int  # how many there are
    local_rank: int  # its number on this machine
    local_world: int  # how many there are on this machine


def launched() -> Process | None:
    """This process among those that torchrun has started; None where it is alone.

    Raises:
        BadInput: the environment says something that torchrun never says.
    """
    given = [name for name in NAMES if os.environ.get(name)]
    if not given:
        return None
    for name in (*NAMES, *ADDRESS):
        if not os.environ.get(name):
            raise BadInput(
                f"{given[0]} is set in the environment and {name} is not; torchrun sets {', '.join(NAMES + ADDRESS)}: "
                f"unset {' and '.join(given)} to train in this process alone"
            )
    rank, world, local = (number(name) for name in NAMES)
    number("MASTER_PORT", most=LAST_PORT)
    local_world = number("LOCAL_WORLD_SIZE") if os.environ.get("LOCAL_WORLD_SIZE") else 1
    for name, value, size in (("RANK", rank, world), ("LOCAL_RANK", local, world)):
        if value >= size:
            raise BadInput(f"{name}={value} in the environment must be less than WORLD_SIZE={size}; ranks begin at 0")
    return Process(rank, world, local, max(1, local_world))


def number(name: str, most: int = 10**6) -> int:
    """A variable's value. Raises BadInput unless it is a whole number from 0 to `most`."""
    text = os.environ[name].strip()
    if not (text.isascii() and text.isdigit() and len(text) < 12 and int(text) <= most):
        raise BadInput(f"{name}={text[:40]!r} in the environment is not a whole number from 0 to {most}; unset it")
    return int(text)


def others_print_first() -> bool:
    """Whether rank 0 is about to print the same error as this process, and its exit ends all: torchrun sees to it."""
    try:
        process = launched()
    except BadInput:
        return False
    return process is not None and process.rank > 0 and "TORCHELASTIC_RUN_ID" in os.environ
