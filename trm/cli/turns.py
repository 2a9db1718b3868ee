"""`trm turns`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from trm.cli import names
from trm.cli.app import app


@app.command(examples=["trm turns runs/both runs/first runs/second --steps 64"])
def turns(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write the new model to")],
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help="Two or more models of the same shape, preferably from different seeds",
            autocompletion=names.models,
        ),
    ],
    steps: Annotated[int, typer.Option("--steps", help="Supervision steps of a turn", min=1)] = 64,
) -> None:
    """Join models into one whose networks take turns at a puzzle: where one is stuck, another may succeed.

    Nothing is trained, and a step costs as much as a step of one of the models. The first model begins. With no more
    steps than one turn has, trm eval and trm solve use the first model alone.
    """
    from trm.store.turns import take_turns

    take_turns(models, out, steps)
    command = shlex.join(("trm", "eval", str(out), "--steps", str(8 * steps * len(models)), "--until", "sure"))
    print(f"{len(models)} networks take turns of {steps} steps: {out}; next: {command}", file=sys.stderr)
