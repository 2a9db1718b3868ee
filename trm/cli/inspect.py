"""`trm inspect`: what pairs of one's own show, before a model is trained on them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trm.cli import names
from trm.cli.app import JsonOption, app


@app.command(
    examples=[
        "trm inspect train.npz",
        "trm inspect train.npz --against test.npz --write structure.json",
        "trm inspect pairs.csv --structure structure.toml --json",
    ]
)
def inspect(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Pairs: an .npz file or a CSV", autocompletion=names.paths)
    ],
    against: Annotated[
        str | None, typer.Option("--against", help="Another file of pairs, to test with: find leaks into it")
    ] = None,
    structure: Annotated[
        Path | None, typer.Option("--structure", help="What is declared of the pairs: find what contradicts it")
    ] = None,
    write: Annotated[
        Path | None, typer.Option("--write", help="Write the structure that is suggested: NAME.json")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look at pairs of grids of your own: numbers, blanks, duplicates, contradictions, groups, symmetries and leaks.

    Exit code 1: there are contradictions or leaks. A symmetry is tested by randomisation, and holds unless p is below
    0.01; with few pairs that says little. The structure that is suggested is for you to read: a rule that was never
    broken in the pairs need not be one.
    """
    from trm.terminal.inspect import run

    if run(data, against, structure, write, as_json):
        raise typer.Exit(1)
