"""`trm import`, `trm export`, `trm turns` and `trm data`: what reads and writes files of models and puzzles."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from trm.cli.app import app
from trm.errors import BadInput
from trm.files import check_writable


@app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(help="A published TRM or HRM state dict (.safetensors or a torch file).")],
    out: Annotated[Path, typer.Option("--out", help="The folder to write.")],
    task: Annotated[str | None, typer.Option("--task", help="A task's name, where the tokens do not tell.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="heads, T, n, positions, puzzle_tokens or max_steps=VALUE.")
    ] = None,
) -> None:
    """Read a published checkpoint into our format. Says what the file does not show and was assumed."""
    from trm.store.published import import_file

    given: dict[str, int | str] = {}
    for setting in settings or []:
        key, sign, value = setting.partition("=")
        if not sign:
            raise BadInput(f"--set {setting}: write key=value, for example --set n=6")
        given[key] = int(value) if value.isdecimal() else value
    result = import_file(file, out, task, **given)
    print(f"imported to {out}", file=sys.stderr)
    if result.assumed:
        listed = ", ".join(f"{key}={value}" for key, value in result.assumed.items())
        print(f"not in the file, so assumed as published: {listed}; change with --set", file=sys.stderr)


@app.command("export")
def export_command(
    weights: Annotated[str, typer.Argument(help="A shipped model's name, or the folder of a run.")],
    to: Annotated[Path, typer.Option("--to", help="The file to write: .onnx, .safetensors, or else a torch file.")],
    task: Annotated[str | None, typer.Option("--task", help="Of .onnx: another size, such as sudoku-6x6.")] = None,
) -> None:
    """Write a model for other programs.

    FILE.onnx holds one supervision step of any model but networks that take turns, for onnxruntime (docs/export.md says
    how to use it). Any other name gets a TRM or HRM as a published state dict, which `trm import` and the published
    code read.
    """
    check_writable(to)
    if to.suffix == ".onnx":
        from trm.store.onnx_export import export_onnx
        from trm.tasks import get_task

        export_onnx(weights, to, None if task is None else get_task(task).spec)
        return
    if task is not None:
        raise BadInput("--task is for a file that ends in .onnx; a state dict has no size")
    from trm.store.published import export_file

    export_file(weights, to)


@app.command()
def turns(
    out: Annotated[Path, typer.Argument(help="The folder to write.")],
    models: Annotated[list[str], typer.Argument(help="Models of one shape, best of several seeds.")],
    steps: Annotated[int, typer.Option("--steps", help="Supervision steps of a turn.", min=1)] = 64,
) -> None:
    """Make one model of several that take turns at a puzzle: where one is stuck, another goes on.

    Nothing is trained for it, and a step costs what it does for one of them. The first model begins, and fewer steps
    than a turn (in trm eval, trm solve) ask it alone.
    """
    from trm.store.turns import take_turns

    take_turns(models, out, steps)
    next_one = f"trm eval {out} --steps {8 * steps * len(models)} --until sure"
    print(f"{len(models)} networks take turns of {steps} steps: {out}; next: {next_one}", file=sys.stderr)
