"""Whether two processes of one thread or one process of two threads train faster on this machine.

:func:`placement` starts two processes, which run :func:`main` and do what they are asked on standard input: in turns,
both at once with one thread each, and one of them with two threads.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Timer
from typing import Any

import torch

from trm.analysis.cost import training_cost
from trm.models import State, build
from trm.models.precision import Precision, set_precision
from trm.training.config import RunConfig
from trm.training.datasets import task_of
from trm.training.losses import step_loss

ROUNDS, SECONDS = 2, 0.3  # of each of the two; with a pass to warm up each time, two seconds at most
LONGEST = 0.15  # seconds of a forward and backward pass, as estimated: several must fit in a round
PATIENCE = 60.0  # seconds until all is measured; starting the processes takes most of the time
OPTIONS = {
    "two processes of one thread": "--procs 2 --threads 1",
    "one process of two threads": "--procs 1 --threads 2",
}
# Without the current folder, in which a json.py would be imported instead of the real one; see trm/adapt/child.py.
CODE = (
    "import sys; sys.path[:] = [*filter(None, sys.path), sys.argv[1]]; from trm.analysis.placement import main; main()"
)
HOME = str(Path(__file__).absolute().parents[2])


def placement(run: RunConfig, precision: Precision, device: torch.device, rate: float) -> dict[str, Any]:
    """Measure forward and backward passes of a run's model at its batch and micro-batch.

    The optimiser's work and the exchange of gradients are left out.

    Args:
        run: its settings.
        precision: of matrix products.
        device: where it would be trained.
        rate: floating-point operations per second of this machine, to estimate how long a pass takes.

    Returns:
        Puzzle-steps per second of the two, which one is faster, and with which options `trm train` does that. Where
        that is not measured, `why` alone. Ready for JSON.
    """
    seconds = training_cost(run, task_of(run).spec).flops / (rate / 2)  # models reach about half of the rate, or less
    if device.type != "cpu":
        return {"why": "not measured: on a GPU, one process for each is best"}
    if (os.cpu_count() or 1) < 2:
        return {"why": "not measured: there is one core"}
    if run.batch % 2:
        return {"why": f"not measured: batch {run.batch} does not divide over two processes"}
    if seconds > LONGEST:
        return {"why": f"not measured: one puzzle-step takes about {seconds:.1f} s"}
    fit = max(1, int(LONGEST / seconds))
    half, whole = (min(fit, run.micro or slots, slots) for slots in (run.batch // 2, run.batch))
    first, second = OPTIONS
    best = dict.fromkeys(OPTIONS, 0.0)
    try:
        with ExitStack() as stack:
            pair = [stack.enter_context(Passes()) for _ in range(2)]
            for process in pair:
                process.ask({"run": run.model_dump(mode="json"), "precision": precision})
            for _ in range(ROUNDS):
                best[first] = max(best[first], measured(pair, half, 1))
                best[second] = max(best[second], measured(pair[:1], whole, 2))
    except (OSError, ValueError):
        return {"why": "not measured: the processes for it did not start in time"}
    faster = first if best[first] >= best[second] else second
    return {"puzzle_steps_per_second": best, "faster": faster, "options": OPTIONS[faster]}


class Passes:
    """A process that does forward and backward passes. It is gone after the `with` block, or after PATIENCE."""

    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "2", "PYTHONIOENCODING": "utf-8"}
        command, pipe = [sys.executable, "-c", CODE, HOME], subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, encoding="utf-8", env=environment)
        self.timer = Timer(PATIENCE, self.process.kill)
        self.timer.start()

    def ask(self, content: dict[str, Any]) -> None:
        print(json.dumps(content), file=self.process.stdin, flush=True)

    def answer(self) -> float:
        """What it measured. Raises ValueError where it has died."""
        assert self.process.stdout is not None
        return float(self.process.stdout.readline())

    def __enter__(self) -> Passes:
        return self

    def __exit__(self, *_: object) -> None:
        self.timer.cancel()
        self.process.kill()
        self.process.communicate()


def measured(processes: Sequence[Passes], slots: int, threads: int) -> float:
    """Puzzle-steps per second of these processes together, each with so many slots and threads."""
    for seconds in (0.0, SECONDS):  # once to warm up, which also makes them begin at the same time
        for process in processes:
            process.ask({"slots": slots, "threads": threads, "seconds": seconds})
        found = sum(process.answer() for process in processes)
    return found


def main() -> None:
    """Run the process."""
    about = json.loads(sys.stdin.readline())
    run = RunConfig.model_validate(about["run"])
    spec, config = task_of(run).spec, run.model
    config = config.changed(puzzle_ids=min(1, config.puzzle_ids))  # one row of a table that may be large
    model = build(config, spec).to(torch.float64 if run.precision == "float64" else torch.float32)
    set_precision(model, about["precision"])
    for line in sys.stdin:
        asked = json.loads(line)
        torch.set_num_threads(asked["threads"])
        question = torch.randint(1, spec.vocab, (asked["slots"], spec.cells))
        ids = torch.zeros(asked["slots"], dtype=torch.long)
        start = model.start(asked["slots"])
        state = State(start.y.contiguous(), start.z.contiguous())
        began, passes = time.perf_counter(), 0
        while not passes or time.perf_counter() - began < asked["seconds"]:
            losses = step_loss(model(state, question, ids), question, model.first_token, run.loss)
            torch.autograd.backward((losses.answer + losses.halt).sum())
            passes += 1
        print(passes * asked["slots"] / (time.perf_counter() - began), flush=True)
