"""The `trm` command itself, and the options that several of its subcommands share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from trm.errors import BadInput
from trm.version import __version__


class Command(TyperCommand):
    """A command whose help is plain text in paragraphs.

    typer alone reads help as markup, in which `[default: 0.5]` disappears, and keeps the line breaks of docstrings.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        paragraphs = inspect.cleandoc(self.help or "").split("\n\n")
        self.help = plain("\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs))
        for parameter in self.params:
            if text := getattr(parameter, "help", None):
                parameter.help = plain(text)  # type: ignore[attr-defined]


def plain(text: str) -> str:
    """`text` as markup that shows it unchanged. rich has a function for this, but importing it takes too long here."""
    return text.replace("[", "\\[")


class App(typer.Typer):
    """A `typer.Typer` whose commands are of the class `Command`."""

    def command(
        self, name: str | None = None, *, cls: type[TyperCommand] | None = None, **settings: Any
    ) -> Callable[[Any], Any]:
        return super().command(name, cls=cls or Command, **settings)


app = App(
    name="trm",
    help="Tiny Recursive Models: train, evaluate and use small networks that solve hard puzzles",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def options(version: Annotated[bool, typer.Option("--version", help="Print the version and exit")] = False) -> None:
    if version:
        print(f"trm {__version__}")
        raise typer.Exit


# Options and arguments of several commands. Where a command has a default of its own, it says so in its signature.

MODEL_HELP = "A shipped model's name, a run's folder, or OWNER/NAME of a model on the Hugging Face hub"

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP)]
DataOption = Annotated[
    str,
    typer.Option("--data", help="Puzzles with answers: a file, or one of the sets embedded, minimal and hub"),
]
StepsOption = Annotated[int, typer.Option("--steps", help="Supervision steps; may exceed those of the training", min=1)]
LimitOption = Annotated[int, typer.Option("--limit", help="Use at most this many rows; 0: all", min=0)]
SkipOption = Annotated[int, typer.Option("--skip", help="Leave out this many rows at the start", min=0)]
BatchOption = Annotated[int, typer.Option("--batch", help="Puzzles that the model works on at once", min=1)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else")]
ThreadsOption = Annotated[
    int, typer.Option("--threads", help="CPU threads per process; 0: all cores, shared by the processes", min=0)
]
WeightsOption = Annotated[
    str | None, typer.Option("--weights", help=f"{MODEL_HELP} [default: the model that ships for the task]")
]
ServedWeightsOption = Annotated[
    list[str] | None,
    typer.Option("--weights", help=f"{MODEL_HELP}; may be given once per task [default: the models that ship]"),
]
RestartsOption = Annotated[
    int | None,
    typer.Option(
        "--restarts",
        help="Further starts for each puzzle [default: 0; trm solve: 100 for a Sudoku, 3 for a maze]",
        min=0,
    ),
]
NoiseOption = Annotated[
    float | None,
    typer.Option(
        "--noise",
        help="Standard deviation of the noise of a restart [default: 1.0; trm solve: 0.5 for Sudokus and mazes]",
        min=0,
    ),
]
GuessesOption = Annotated[
    int | None,
    typer.Option("--guesses", help="Cells guessed per restart [default: 0; trm solve: 2 for a Sudoku]", min=0),
]


def set_threads(count: int) -> None:
    """Let torch use `count` threads; 0: as many as it chooses."""
    import torch

    if count:
        torch.set_num_threads(count)


def chosen_rows(skip: int, limit: int) -> slice:
    """The rows that --skip and --limit choose."""
    return slice(skip, skip + limit if limit else None)


def given(ctx: typer.Context, name: str) -> bool:
    """Whether the parameter `name` is on the command line."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def refuse(ctx: typer.Context, names: Sequence[str], why: str) -> None:
    """Raise BadInput for the first of the parameters `names` that is on the command line."""
    for name in names:
        if given(ctx, name):
            raise BadInput(f"--{name.replace('_', '-')} is {why}")
