"""The `trm` command itself, and what several of its subcommands share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from trm.errors import BadInput
from trm.version import __version__

app = typer.Typer(
    name="trm",
    help="Tiny Recursive Models: train, evaluate and use small networks that solve hard puzzles.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def options(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    if version:
        print(f"trm {__version__}")
        raise typer.Exit


RestartsOption = Annotated[
    int | None, typer.Option("--restarts", help="Further starts, each from another state.", min=0)
]
NoiseOption = Annotated[
    float | None, typer.Option("--noise", help="How different they are; else 0.5 (eval: 1).", min=0)
]
GuessesOption = Annotated[
    int | None,
    typer.Option(
        "--guesses",
        help="Unknown cells that each takes for granted; else 2 to solve a Sudoku.",
        min=0,
    ),
]
ThreadsOption = Annotated[int, typer.Option("--threads", help="Threads a process; 0: the cores shared out.", min=0)]


def set_threads(count: int) -> None:
    import torch

    if count:
        torch.set_num_threads(count)


def given(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def refuse(ctx: typer.Context, names: Sequence[str], why: str) -> None:
    """Raise BadInput for the first of these options that the command line has."""
    for name in names:
        if given(ctx, name):
            raise BadInput(f"--{name.replace('_', '-')} is {why}")
