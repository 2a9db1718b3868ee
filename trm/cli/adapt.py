"""`trm adapt`: solve ARC tasks that nobody trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trm.cli import names
from trm.cli.app import PrecisionOption, app
from trm.devices import check_precision
from trm.errors import BadInput
from trm.files import check_outside
from trm.remarks import report_rename

TaskArgument = Annotated[
    str,
    typer.Argument(
        metavar="TASK",
        help="A task: its JSON file, or arc-agi-1:ID. With --all: a folder, a file of tasks, or arc-agi-1",
        autocompletion=names.any_of_or_file(*names.BENCHMARKS),
    ),
]
AllOption = Annotated[
    bool, typer.Option("--all", help="Solve every task of TASK. Needs --out; tasks that are done there are skipped")
]
SecondsOption = Annotated[
    float | None, typer.Option("--seconds", help="Processor time for one task, in seconds [default: 240]", min=1)
]
UpdatesOption = Annotated[
    int | None,
    typer.Option(
        "--updates",
        help="Optimiser updates of each model, rounded up to a multiple of 3. Without --seconds there is no time "
        "limit, and the result is reproducible",
        min=1,
    ),
]
OldStepsOption = Annotated[int | None, typer.Option("--steps", hidden=True, min=1)]  # the old name of --updates
ModelsOption = Annotated[int, typer.Option("--models", help="Models to train for a task, at most", min=1)]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of the training, and of the sample of --limit", min=0)]
LimitOption = Annotated[int, typer.Option("--limit", help="With --all: draw N tasks at random; 0: all", min=0)]
ProcsOption = Annotated[
    int, typer.Option("--procs", help="With --all: tasks to solve at a time, each on one core", min=1)
]
OutOption = Annotated[Path | None, typer.Option("--out", help="Folder for the results, one file per task")]
PlotOption = Annotated[
    Path | None, typer.Option("--plot", help="Draw the task and the attempts to this PNG; needs matplotlib")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print no grids and no progress")]
LARGEST_SEED = 2**53  # each model gets a seed of its own, and torch takes 64 bits


@app.command(
    "adapt",
    examples=[
        "trm adapt task.json --seconds 60 --plot task.png",
        "trm adapt arc-agi-1-evaluation --all --procs 2 --out runs/adapt",
    ],
)
def adapt_command(
    task: TaskArgument,
    every: AllOption = False,
    seconds: SecondsOption = None,
    updates: UpdatesOption = None,
    steps: OldStepsOption = None,
    models: ModelsOption = 6,
    seed: SeedOption = 0,
    limit: LimitOption = 0,
    procs: ProcsOption = 1,
    out: OutOption = None,
    plot: PlotOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    precision: PrecisionOption = "auto",
) -> None:
    """Solve an ARC task: train tiny models on its demonstrations alone, and let them vote on two attempts.

    Test answers, where the file has them, are only used to say whether an attempt is right. With --all, submission.json
    is written to the folder of --out.
    """
    check_precision(precision, "--precision")
    updates = renamed_steps(steps, updates)
    if every and out is None:
        raise BadInput("--all needs a folder for its results: --out DIR")
    if every and plot is not None:
        raise BadInput("--plot draws one task; leave out --all")
    if not every and (limit or procs > 1):
        raise BadInput(f"{'--limit' if limit else '--procs'} works only with --all")
    if seed > LARGEST_SEED:
        raise BadInput(f"--seed must be at most {LARGEST_SEED}, not {seed}")
    from trm.adapt.learn import AdaptSettings, settled
    from trm.adapt.run import many_tasks, one_task
    from trm.terminal.adapt import adapt_all, adapt_one

    limited = AdaptSettings.seconds if seconds is None and updates is None else seconds
    given = AdaptSettings(seconds=limited, updates=updates, models=models, seed=seed, precision=precision)
    settings = settled(given)
    if every:
        assert out is not None
        check_outside(out, task)
        adapt_all(many_tasks(task, limit, seed), settings, out, procs, as_json, quiet)
    else:
        adapt_one(one_task(task), settings, out, plot, as_json, quiet)


def renamed_steps(steps: int | None, updates: int | None) -> int | None:
    """The value of --updates, which may be given by its old name --steps. Raises BadInput where both are given."""
    if steps is None:
        return updates
    if updates is not None:
        raise BadInput("--steps is the old name of --updates; give --updates alone")
    report_rename("--steps", "--updates")
    return steps
