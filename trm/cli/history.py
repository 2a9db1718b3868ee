"""`trm history`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trm.cli.app import ThreadsOption, app, refuse, set_threads


@app.command()
def history(
    ctx: typer.Context,
    runs: Annotated[list[str], typer.Argument(metavar="RUN", help="Folders of runs, going on or done.")],
    png: Annotated[Path | None, typer.Option("--png", help="Draw them against time; needs matplotlib.")] = None,
    data: Annotated[
        str, typer.Option("--data", help="Have the weights that a run kept solve a CSV's rows, or embedded, minimal.")
    ] = "",
    steps: Annotated[int, typer.Option("--steps", help="With --data: supervision steps, at most.", min=1)] = 64,
    limit: Annotated[int, typer.Option("--limit", help="With --data: only the first N rows; 0: all.", min=0)] = 0,
    skip: Annotated[int, typer.Option("--skip", help="With --data: leave out the first N rows.", min=0)] = 0,
    until: Annotated[str, typer.Option("--until", help="With --data, as in trm eval: valid, sure or halt.")] = "end",
    threads: ThreadsOption = 0,
) -> None:
    """How runs learned: loss, and accuracy on held-out puzzles, against time, earlier runs they began from included.

    Accuracy is that of looks during training (--set check_every=...), or of the weights kept on the way (--set
    keep_every=...), which solve the rows of --data now.
    """
    if not data:
        refuse(ctx, ("steps", "limit", "skip", "until"), "of the rows to solve: give --data too")
    set_threads(threads)
    from trm.analysis.history import Rows, show
    from trm.inference.loop import Thinking

    which = slice(skip, skip + limit if limit else None)
    show(runs, png, Rows(data, which, Thinking(steps, until=until)) if data else None)  # type: ignore[arg-type]
