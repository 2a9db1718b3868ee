"""`trm describe`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from trm.cli.app import ThreadsOption, app, set_threads
from trm.cli.train import PresetArgument, SettingsOption, StructureOption, configure


@app.command(examples=["trm describe sudoku-mini", "trm describe sudoku --set model.width=96 --json"])
def describe(
    preset: PresetArgument,
    settings: SettingsOption = None,
    data: Annotated[str | None, typer.Option("--data", help="For the preset custom: its pairs, .npz or CSV")] = None,
    structure: StructureOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else")] = False,
    threads: ThreadsOption = 0,
) -> None:
    """Describe a preset: its model, what it costs, and how long it would take on this machine."""
    from trm.training.presets import get_preset

    chosen = get_preset(preset)
    run = configure(chosen.config, settings or [], data, structure)
    set_threads(threads)
    from trm.analysis.describe import facts
    from trm.devices import pick_device
    from trm.terminal.console import plain_console
    from trm.terminal.describe import show

    found = facts(chosen, run, pick_device())
    if as_json:
        print(json.dumps(found))
    else:
        show(found, plain_console())
