"""`trm compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trm.cli import names
from trm.cli.app import DataOption, ThreadsOption, app, set_threads


@app.command(
    examples=[
        "trm compare sudoku-mini sudoku --data minimal --limit 100 --steps 32",
        "trm compare runs/a runs/b --data puzzles.csv --png compare.png",
    ]
)
def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help="A run's folder, a model's name, or the folder of a language model's evaluation; the first is the "
            "reference",
            autocompletion=names.models,
        ),
    ],
    data: DataOption = "embedded",
    steps: Annotated[
        int, typer.Option("--steps", help="Supervision steps; may exceed those of the training", min=1)
    ] = 16,
    limit: Annotated[int, typer.Option("--limit", help="Use at most this many rows; 0: all", min=0)] = 0,
    skip: Annotated[int, typer.Option("--skip", help="Leave out this many rows at the start", min=0)] = 0,
    batch: Annotated[int, typer.Option("--batch", help="Puzzles that a model works on at once", min=1)] = 16,
    markdown: Annotated[Path | None, typer.Option("--markdown", help="Also write the table to this file")] = None,
    png: Annotated[
        Path | None, typer.Option("--png", help="Draw accuracy against compute to this file; needs matplotlib")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else")] = False,
    threads: ThreadsOption = 0,
) -> None:
    """Compare models on the same rows: accuracy, cost, and a paired test of each model against the first.

    Runs that differ only in their seed are pooled. Evaluations of a run are kept in its folder and used again.
    """
    set_threads(threads)
    from trm.terminal.compare import compare_and_print

    rows = slice(skip, skip + limit if limit else None)
    compare_and_print(models, data, steps, rows, batch, markdown, png, as_json)
