"""Adapting to a task in a process of its own: for servers, which do other things meanwhile and may want it to stop."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import time
from collections.abc import Generator
from multiprocessing.connection import Connection

import torch

from trm.adapt import Settings, adapt
from trm.adapt_run import Result
from trm.errors import TrmError
from trm.tasks.arc_read import ArcTask

LOOK = 0.2  # seconds between two yields, at most
OFTEN = 0.1  # seconds between two reports of the child, at least
START, PATIENCE = 60.0, 4.0  # seconds to start in, and seconds by the clock for one of processor time, at most

Progress = tuple[float, str]  # the share of the work that is done, and what is being done


def longest(seconds: float) -> float:
    """Seconds by the clock that `adapting` may take for so much processor time."""
    return START + PATIENCE * seconds


def adapting(task: ArcTask, settings: Settings) -> Generator[Progress | Result, None, None]:
    """`trm.adapt.adapt` in a child process. Yields progress a few times a second, and in the end the result.

    The child is gone when this ends, is closed or raises, and soon after the parent dies.

    Raises:
        TrmError: the child was killed, or took far longer by the clock than it may take of a processor.
    """
    context = multiprocessing.get_context("spawn")  # a fork of a process that has used torch may hang
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_work, args=(task, settings, theirs), daemon=True)
    limit = time.monotonic() + (math.inf if settings.seconds is None else longest(settings.seconds))
    child.start()
    theirs.close()  # of which the child has a copy: so that its death is seen here
    latest: Progress = (0.0, "starting")
    try:
        while True:
            yield latest
            if time.monotonic() > limit:
                raise TrmError("no time left: the machine is too busy to adapt to a task; try again later")
            if ours.poll(LOOK):
                message = ours.recv()
                if isinstance(message, Result):
                    yield message
                    return
                latest = message
    except (EOFError, ConnectionError):
        raise TrmError("the process that adapts to the task has died, perhaps for want of memory") from None
    finally:
        child.kill()
        child.join()
        ours.close()


def _work(task: ArcTask, settings: Settings, out: Connection) -> None:
    """In the child. A parent that is gone is noticed at the next report, which ends the child."""
    torch.set_num_threads(1)
    told = -math.inf

    def tick(share: float, what: str) -> None:
        nonlocal told
        if time.monotonic() - told > OFTEN:
            told = time.monotonic()
            out.send((min(1.0, share), what))

    with contextlib.suppress(BrokenPipeError):
        out.send(Result.of(task, adapt(task, settings, tick), settings))
