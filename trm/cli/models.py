"""`trm models`: the models that ship."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from trm.cli.app import app


@app.command(examples=["trm models", "trm models --json"])
def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list and nothing else")] = False,
) -> None:
    """List the models that ship: what they are for, how well they do, and how they were trained.

    Steps and milliseconds are those for a puzzle, on average.
    """
    from trm.store.cards import shipped_models

    found = shipped_models()
    if as_json:
        print(json.dumps([model.as_dict() for model in found]))
        return
    from trm.terminal.console import plain_console
    from trm.terminal.models import print_models

    print_models(found, plain_console())
