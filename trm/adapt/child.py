"""Adapting to a task in a child process, for servers, which stay responsive meanwhile and may stop the work.

The child runs `main`: it reads the task from standard input and writes lines of JSON to standard output. This is not
done with multiprocessing, whose children import the script that started them.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from threading import Timer
from typing import Any, NamedTuple

import torch

from trm.adapt.learn import AdaptSettings, adapt, settled
from trm.adapt.result import Result
from trm.arc.votes import ATTEMPTS, Votes, grid_key, rank
from trm.errors import TrmError
from trm.tasks.arc.text import ArcTask, parse_task

LEAST = 0.1  # seconds of processor time that are left for the work, however long the child took to start
INTERVAL = 0.1  # seconds between two reports of progress, at least
STARTUP = 60.0  # seconds of wall-clock time for starting the child
SLOWDOWN = 4.0  # seconds of wall-clock time for each second of processor time, at most

# Python puts the current folder first on the path, for -c and for -m, and a json.py there would be imported instead of
# the real one. So it is removed. The folder of this package comes last, where it hides no other module; the child needs
# it where the parent found the package on a path that only the parent has.
CODE = "import sys; sys.path[:] = [*filter(None, sys.path), sys.argv[1]]; from trm.adapt.child import main; main()"
HOME = str(Path(__file__).absolute().parents[2])


class Progress(NamedTuple):
    """How far the child has come."""

    share: float  # of the work, 0 to 1
    doing: str
    attempts: list[list[Any]] | None = None  # for each test, those of the models so far: [grid, votes], best first


def wall_clock_limit(seconds: float) -> float:
    """Seconds of wall-clock time after which a child with so many seconds of processor time is killed."""
    return STARTUP + SLOWDOWN * seconds


def adapt_in_child(task: ArcTask, seconds: float, in_all: bool = False) -> Generator[Progress | Result, None, None]:
    """Run `adapt` in a child process, for so many seconds of processor time.

    The child is gone when the generator ends, is closed or raises, and soon after the parent dies.

    Args:
        task: what to adapt to.
        seconds: of processor time.
        in_all: whether the time that the child takes to start is counted in the limit and in the result.

    Yields:
        Progress a few times a second, and at the end the result.

    Raises:
        TrmError: the child died, or was killed because it took longer than `wall_clock_limit`.
    """
    blind = [{"input": pair.question.tolist()} for pair in task.test]
    asked = {"id": task.id, "task": {**task.as_dict(), "test": blind}}
    request = json.dumps({**asked, "seconds": seconds, "in_all": in_all})
    command = [sys.executable, "-c", CODE, HOME]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}  # whatever this process writes in
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", env=environment
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        timer = Timer(wall_clock_limit(seconds), child.kill)
        timer.start()
        try:
            yield Progress(0.0, "starting")
            with contextlib.suppress(BrokenPipeError):  # a child that has died is noticed below, as it writes no result
                child.stdin.write(request)
                child.stdin.close()
            for line in child.stdout:
                if not line.startswith("["):
                    yield Result.model_validate_json(line)
                    return
                yield Progress(*json.loads(line))
            raise TrmError("the process that adapts to the task has died, for lack of memory or time; try again later")
        finally:
            timer.cancel()
            child.kill()


def main() -> None:
    """Run the child. If the parent is gone, the next report fails, and that ends the child."""
    with contextlib.suppress(BrokenPipeError):
        _work()


def _work() -> None:
    torch.set_num_threads(1)
    request = json.load(sys.stdin)
    task = parse_task(request["task"], request["id"], "input")
    settings = settled(AdaptSettings(seconds=request["seconds"]))
    used = time.process_time() if request["in_all"] else 0.0
    if used:
        settings = replace(settings, seconds=max(LEAST, request["seconds"] - used))
    reported, known = -math.inf, Progress(0.0, "starting")

    def tick(share: float, doing: str) -> None:
        nonlocal reported, known
        known = Progress(min(1.0, share), doing)
        if time.monotonic() - reported > INTERVAL:
            reported = time.monotonic()
            print(json.dumps(known), flush=True)

    def tell(votes: Votes) -> None:
        attempts = [
            [[grid.tolist(), len(ballot[grid_key(grid)])] for grid in rank(ballot)[:ATTEMPTS]]
            for ballot in votes.ballots[task.id]
        ]
        print(json.dumps(known._replace(attempts=attempts)), flush=True)

    result = Result.of(task, adapt(task, settings, tick, tell), settings)
    print(result.model_copy(update={"seconds": round(result.seconds + used, 2)}).model_dump_json(), flush=True)
