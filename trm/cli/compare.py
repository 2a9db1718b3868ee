"""`trm compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trm.cli.app import ThreadsOption, app, set_threads


@app.command()
def compare(
    models: Annotated[list[str], typer.Argument(metavar="MODEL", help="Runs' folders, names; first: the reference.")],
    data: Annotated[str, typer.Option("--data", help="A CSV, or embedded, minimal.")] = "embedded",
    steps: Annotated[int, typer.Option("--steps", help="Supervision steps; may exceed those trained.", min=1)] = 16,
    limit: Annotated[int, typer.Option("--limit", help="Only the first N rows; 0: all.", min=0)] = 0,
    skip: Annotated[int, typer.Option("--skip", help="Leave out the first N rows.", min=0)] = 0,
    batch: Annotated[int, typer.Option("--batch", help="Puzzles at once.", min=1)] = 16,
    markdown: Annotated[Path | None, typer.Option("--markdown", help="Write the table to this file too.")] = None,
    png: Annotated[Path | None, typer.Option("--png", help="Draw accuracy against compute; needs matplotlib.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object and nothing else.")] = False,
    threads: ThreadsOption = 0,
) -> None:
    """Models side by side on the same rows: accuracy, cost, and a paired test against the first. Seeds are pooled."""
    set_threads(threads)
    from trm.terminal.compare import compare_and_print

    compare_and_print(models, data, steps, slice(skip, skip + limit if limit else None), batch, markdown, png, as_json)
