"""Adapting to a task in a process of its own: for servers, which do other things meanwhile and may want it to stop.

The child runs `main`: the task on standard input, lines of JSON on standard output. Not multiprocessing, whose children
run the script that called it once more unless it guards against that.
"""

from __future__ import annotations

import contextlib
import json
import math
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from threading import Timer

import torch

from trm.adapt.learn import Settings, adapt
from trm.adapt.run import Result
from trm.errors import TrmError
from trm.tasks.arc.text import ArcTask, parse_task

OFTEN = 0.1  # seconds between two reports, at least
START, PATIENCE = 60.0, 4.0  # seconds to start in, and seconds by the clock for one of processor time, at most

# Without the current folder, which both -c and -m put first on the path: anybody's json.py may lie there. The folder
# of this package comes last, where it hides nothing, for one that was found on a path that only the parent has.
CODE = "import sys; sys.path[:] = [*filter(None, sys.path), sys.argv[1]]; from trm.adapt.child import main; main()"
HOME = str(Path(__file__).absolute().parents[2])

Progress = tuple[float, str]  # the share of the work that is done, and what is being done


def longest(seconds: float) -> float:
    """Seconds by the clock that `adapting` may take for so much processor time."""
    return START + PATIENCE * seconds


def adapting(task: ArcTask, seconds: float) -> Generator[Progress | Result, None, None]:
    """`adapt` in a child process, for so many seconds of a processor core. Yields progress a few times a
    second, and in the end the result.

    The child is gone when this ends, is closed or raises, and soon after the parent dies.

    Raises:
        TrmError: the child died, or was killed since it took far longer by the clock than it may take of a processor.
    """
    blind = [{"input": pair.question.tolist()} for pair in task.test]
    asked = json.dumps({"id": task.id, "task": {**task.as_dict(), "test": blind}, "seconds": seconds})
    command = [sys.executable, "-c", CODE, HOME]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as child:
        assert child.stdin is not None
        assert child.stdout is not None
        timer = Timer(longest(seconds), child.kill)
        timer.start()
        try:
            yield 0.0, "starting"
            with contextlib.suppress(BrokenPipeError):  # a child that died says so by its silence
                child.stdin.write(asked)
                child.stdin.close()
            for line in child.stdout:
                if line.startswith("["):
                    share, what = json.loads(line)
                    yield share, what
                else:
                    yield Result.model_validate_json(line)
                    return
            raise TrmError("the process that adapts to the task has died, for want of memory or time; try again later")
        finally:
            timer.cancel()
            child.kill()


def main() -> None:
    """In the child. A parent that is gone is noticed at the next report, which ends the child."""
    with contextlib.suppress(BrokenPipeError):
        work()


def work() -> None:
    torch.set_num_threads(1)
    asked = json.load(sys.stdin)
    task, settings = parse_task(asked["task"], asked["id"], "input"), Settings(seconds=asked["seconds"])
    told = -math.inf

    def tick(share: float, what: str) -> None:
        nonlocal told
        if time.monotonic() - told > OFTEN:
            told = time.monotonic()
            print(json.dumps([min(1.0, share), what]), flush=True)

    print(Result.of(task, adapt(task, settings, tick), settings).model_dump_json(), flush=True)
