"""`trm adapt`: ARC tasks that nobody trained on."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from trm.cli.app import app
from trm.errors import BadInput
from trm.files import check_outside


@app.command("adapt")
def adapt_command(
    task: Annotated[
        str, typer.Argument(help="A task's JSON file, or arc-agi-1:ID; with --all a folder, file or set (arc-agi-1).")
    ],
    every: Annotated[bool, typer.Option("--all", help="Every task of TASK; needs --out, and goes on there.")] = False,
    seconds: Annotated[
        float | None, typer.Option("--seconds", help="Of one core, for one task; else 240.", min=1)
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps", help="Weight updates of a model (whole batches of 3), instead of seconds: repeatable.", min=1
        ),
    ] = None,
    models: Annotated[int, typer.Option("--models", help="At most, trained one after the other.", min=1)] = 6,
    seed: Annotated[int, typer.Option("--seed", help="Of training, and of the sample --limit draws.", min=0)] = 0,
    limit: Annotated[int, typer.Option("--limit", help="With --all: a sample of N tasks; 0: all.", min=0)] = 0,
    procs: Annotated[int, typer.Option("--procs", help="With --all: tasks at once, a core each.", min=1)] = 1,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the results, a file a task.")] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw the task and the attempts, a PNG.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object and nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No grids and no progress.")] = False,
) -> None:
    """Solve an ARC task by training tiny models on its demonstrations alone, and a vote: two attempts.

    Known test answers are only used to say whether an attempt is right. Exit code 0: there is an attempt at every test;
    1: there is none; 2: bad input. With --all tasks that are done are skipped, and submission.json is written.
    """
    if every and out is None:
        raise BadInput("--all needs a folder for its results: --out DIR")
    if every and plot is not None:
        raise BadInput("--plot draws one task; leave out --all")
    if not every and (limit or procs > 1):
        raise BadInput(f"{'--limit' if limit else '--procs'} is only for --all")
    if seconds is not None and not math.isfinite(seconds):
        raise BadInput("--seconds must be finite; --steps N is a limit that does not depend on the machine")
    from trm.adapt.learn import Settings
    from trm.adapt.run import adapt_all, adapt_one, many_tasks, one_task

    limited = seconds if seconds is not None or steps is not None else Settings.seconds
    settings = Settings(seconds=limited, steps=steps, models=models, seed=seed)
    if every:
        assert out is not None
        check_outside(out, task)
        adapt_all(many_tasks(task, limit, seed), settings, out, procs, as_json, quiet)
    elif not adapt_one(one_task(task), settings, out, plot, as_json, quiet):
        raise typer.Exit(1)
