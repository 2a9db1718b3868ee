"""`trm history`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trm.cli import names
from trm.cli.app import ThreadsOption, app, refuse, set_threads


@app.command(
    examples=[
        "trm history runs/mine --png history.png",
        "trm history runs/a runs/b --data puzzles.csv --limit 200 --steps 32",
    ]
)
def history(
    ctx: typer.Context,
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN", help="A run's folder; the run may still be going on", autocompletion=names.models
        ),
    ],
    png: Annotated[
        Path | None, typer.Option("--png", help="Draw the runs against time to this file; needs matplotlib")
    ] = None,
    data: Annotated[
        str,
        typer.Option(
            "--data",
            help="Puzzles with answers on which to test the weights that a run kept: a file, or one of embedded, "
            "minimal and hub [default: show the checks made during training]",
            show_default=False,
            autocompletion=names.any_of_or_file(*names.SETS),
        ),
    ] = "",
    steps: Annotated[int, typer.Option("--steps", help="With --data: supervision steps, at most", min=1)] = 64,
    limit: Annotated[int, typer.Option("--limit", help="With --data: use at most this many rows; 0: all", min=0)] = 0,
    skip: Annotated[int, typer.Option("--skip", help="With --data: leave out this many rows at the start", min=0)] = 0,
    until: Annotated[
        str,
        typer.Option(
            "--until",
            help="With --data: when a puzzle is done: valid, sure, halt or end, as for trm eval",
            autocompletion=names.any_of("end", "valid", "sure", "halt"),
        ),
    ] = "end",
    threads: ThreadsOption = 0,
) -> None:
    """Show how runs learned: loss, and accuracy on held-out puzzles, against time.

    The time of earlier trainings that a run began from is included. Accuracy is that of the checks during training
    (--set check_every=N). With --data, the weights that were kept on the way (--set keep_every=N) are evaluated now.
    """
    if not data:
        refuse(ctx, ("steps", "limit", "skip", "until"), "about the rows of --data: give --data too")
    set_threads(threads)
    from trm.analysis.history import CheckSettings
    from trm.inference.loop import Thinking
    from trm.terminal.history import show

    rows = slice(skip, skip + limit if limit else None)
    settings = CheckSettings(data, rows, Thinking(steps, until=until)) if data else None  # type: ignore[arg-type]
    show(runs, png, settings)
