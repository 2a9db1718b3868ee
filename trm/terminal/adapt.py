"""What `trm adapt` shows: progress, a task with its attempts, the outcome of one task or of many."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from trm.adapt.learn import AdaptSettings
from trm.adapt.result import Result, is_solved
from trm.adapt.run import Summary, read_done, run_many, run_one, summarise
from trm.arc.show import TaskView, picture
from trm.plot import check
from trm.tasks.arc.text import ArcTask
from trm.terminal.console import plain_console, progress_bars, report_written

VERDICTS = {True: "solved", False: "not solved", None: "answered"}

# One task


def adapt_one(
    task: ArcTask, settings: AdaptSettings, out: Path | None, plot: Path | None, as_json: bool, quiet: bool
) -> None:
    """Adapt to a task and print the result.

    Args:
        task: its answers, if known, only say whether an attempt is right.
        settings: how to adapt.
        out: the folder for the result; it is read from there where the task is done already.
        plot: the PNG to draw.
        as_json: print one JSON object and nothing else.
        quiet: print no grids and no progress.

    Raises:
        BadInput: `out` or `plot` cannot be written, or the result in `out` is damaged or has other settings.
        TrmError: matplotlib is needed and not installed, or the result cannot be written.
    """
    if plot is not None:
        check(plot)
    with progress_bars(as_json or quiet) as progress:
        bar = progress.add_task(task.id, total=1.0)

        def tick(share: float, what: str) -> None:
            progress.update(bar, completed=min(1.0, share), description=what)

        result = run_one(task, settings, out, tick)
    if as_json:
        print(json.dumps({**result.model_dump(), "confidence": result.confidence(), "solved": is_solved(task, result)}))
    else:
        print_one(task, result, quiet)
    if plot is not None:
        picture(plot, task, result.attempts())
        report_written(plot)


def print_one(task: ArcTask, result: Result, quiet: bool) -> None:
    """Print the task with its attempts, unless `quiet`, then the confidence of each attempt and how training went."""
    console = plain_console()
    if not quiet:
        console.print(TaskView(task, result.attempts()))
    for number, confidence in enumerate(result.confidence(), 1):
        attempts = [f"attempt {rank} with confidence {one:.0%}" for rank, one in enumerate(confidence, 1)]
        console.print(f"test {number}: {', '.join(attempts)}")
    console.print(described(result), soft_wrap=True)


def described(result: Result) -> str:
    """How training went, in one line."""
    known = sum(model.known for model in result.models)
    names = "; ".join(dict.fromkeys(model.canvas for model in result.models))
    return (
        f"{known} of {len(result.models)} models learned the demonstrations by heart ({names}); {result.seconds:.0f} s"
    )


# Many tasks


def adapt_all(
    tasks: Sequence[ArcTask], settings: AdaptSettings, out: Path, procs: int, as_json: bool, quiet: bool
) -> None:
    """Adapt to the tasks that are not done yet, write `submission.json` in `out`, and print the scores.

    Args:
        tasks: of a set.
        settings: how to adapt, the same for all tasks.
        out: the folder for the results. A task is done when its result is there.
        procs: processes, each for one task at a time.
        as_json: print one JSON object on standard output.
        quiet: print no progress.

    Raises:
        BadInput: `out` cannot be written, or a result in it is damaged or has other settings.
        TrmError: a process was killed, or a result cannot be written.
    """
    results = read_done(tasks, settings, out)
    console = plain_console(stderr=True, quiet=quiet)
    if results:
        console.print(f"{len(results)} of {len(tasks)} tasks are done already")
    waiting = {task.id: task for task in tasks if task.id not in results}
    for result in run_many(list(waiting.values()), settings, out, procs):
        results[result.task] = result
        verdict = VERDICTS[is_solved(waiting[result.task], result)]
        line = f"{len(results)}/{len(tasks)} {result.task}: {verdict}; {described(result)}"
        console.print(line, soft_wrap=True)
    summary = summarise(tasks, results, out)
    if as_json:
        score = None if summary.score is None else summary.score.as_dict()
        head = {"tasks": summary.tasks, "settings": asdict(settings)}
        print(json.dumps({**head, "score": score}))
    else:
        print_summary(summary)


def print_summary(summary: Summary) -> None:
    """Print how many tasks there are, and the scores where answers are known."""
    console = plain_console()
    console.print(f"{summary.tasks} tasks; {summary.submission}")
    score = summary.score
    for k, one in score.passes.items() if score is not None else ():
        assert score is not None
        low, high = 100 * one.low, 100 * one.high
        console.print(f"{score.name(k)}: {100 * one.share:.1f} % ({low:.1f} - {high:.1f}) of {score.tasks} tasks")
