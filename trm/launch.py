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
    rank, world, local = number("RANK"), number("WORLD_SIZE", least=1), number("LOCAL_RANK")
    number("MASTER_PORT", least=1, most=LAST_PORT)
    check_rank("RANK", rank, "WORLD_SIZE", world)
    check_rank("LOCAL_RANK", local, "WORLD_SIZE", world)
    if not os.environ.get("LOCAL_WORLD_SIZE"):
        return Process(rank, world, local, 1)
    local_world = number("LOCAL_WORLD_SIZE", least=1, most=world)
    check_rank("LOCAL_RANK", local, "LOCAL_WORLD_SIZE", local_world)
    return Process(rank, world, local, local_world)


def check_rank(name: str, rank: int, whole: str, size: int) -> None:
    """Raise BadInput unless `rank` is one of `size` processes. `name`, `whole`: the variables of both."""
    if rank >= size:
        raise BadInput(f"{name}={rank} in the environment must be less than {whole}={size}; ranks begin at 0")


def number(name: str, least: int = 0, most: int = 10**6) -> int:
    """A variable's value. Raises BadInput unless it is a whole number from `least` to `most`."""
    text = os.environ[name].strip()
    if not (text.isascii() and text.isdigit() and len(text) < 12 and least <= int(text) <= most):
        wanted = f"a whole number from {least} to {most}"
        raise BadInput(f"{name}={text[:40]!r} in the environment is not {wanted}; unset it")
    return int(text)


def others_print_first() -> bool:
    """Whether rank 0 is about to print the same error as this process, and its exit ends all: torchrun sees to it."""
    try:
        process = launched()
    except BadInput:
        return False
    return process is not None and process.rank > 0 and "TORCHELASTIC_RUN_ID" in os.environ
