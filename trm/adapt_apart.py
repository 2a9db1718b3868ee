"""Adapting to a task in a process of its own: for servers, which do other things meanwhile and may want it to stop."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import torch

from trm.adapt import Settings, Tick, adapt
from trm.adapt_run import Result
from trm.errors import TrmError
from trm.tasks.arc_read import ArcTask

LOOK = 0.2  # seconds between looks at whether to stop
OFTEN = 0.1  # seconds between reports of progress
START, PATIENCE = 60.0, 4.0  # seconds to start in, and seconds by the clock for one of processor time, at most


class Stopped(Exception):
    """Nobody wants the result any more."""


def adapt_apart(
    task: ArcTask,
    settings: Settings,
    tick: Tick = lambda share, what: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Result:
    """`trm.adapt.adapt` in a child process, which is gone when this returns or raises, and soon after the parent dies.

    Raises:
        Stopped: `stopped` said so.
        TrmError: the child was killed, or took far longer by the clock than it may take of a processor.
    """
    context = multiprocessing.get_context("spawn")  # a fork of a process that has used torch may hang
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_work, args=(task, settings, theirs), daemon=True)
    limit = time.monotonic() + START + PATIENCE * (math.inf if settings.seconds is None else settings.seconds)
    child.start()
    theirs.close()  # the child's end, of which it has a copy: so that its death is seen here
    try:
        while not stopped():
            if time.monotonic() > limit:
                raise TrmError("no time left: the machine is too busy to adapt to a task; try again later")
            if not ours.poll(LOOK):
                continue
            message = ours.recv()
            if isinstance(message, Result):
                return message
            tick(*message)
        raise Stopped
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
            out.send((share, what))

    with contextlib.suppress(BrokenPipeError):
        out.send(Result.of(task, adapt(task, settings, tick), settings))
