"""The `trm` command itself: what all subcommands check, and the options that several of them share."""

from __future__ import annotations

import inspect
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from trm.cli import names
from trm.errors import BadInput
from trm.files import path_fault, short
from trm.launch import launched
from trm.numbers import LARGEST, LARGEST_SEED, check_threads, finite_number, whole_number
from trm.version import __version__

PATHS = {
    "data",
    "weights",
    "pool",
    "structure",
    "compare",
    "like",
    "against",
}  # options that name files, sets or models to read
PATHS |= {"out", "to", "plot", "gif", "png", "markdown", "submission", "write"}  # and files or folders to write
NARROW = 80  # columns of a terminal in which typer's table of options leaves too little room for their texts
NUL = "holds a NUL character: take it out"


class Command(TyperCommand):
    """A command whose help is plain text in paragraphs, and which refuses wrong values and a wrong environment.

    typer alone reads help as markup, in which `[default: 0.5]` disappears, and keeps the line breaks of docstrings.
    Its table of options has a column for types; in a narrow terminal the options are listed without one.
    """

    trains = False  # whether torchrun may start it in several processes

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        paragraphs = inspect.cleandoc(self.help or "").split("\n\n")
        self.help = plain("\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs))
        self.epilog = plain(self.epilog or "")
        for parameter in self.params:
            if text := getattr(parameter, "help", None):
                parameter.help = plain(text)  # type: ignore[attr-defined]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        with fitting_markup(self):
            super().format_help(ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Without typer's tables: the examples as they are, one a line, however long."""
        formatter.write(f"\n{self.epilog}\n")

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given = list(args)
        try:
            rest = super().parse_args(ctx, args)
        except typer.BadParameter as error:
            if not error.message:  # a value is missing; what is wrong is seen best beside the usage
                raise
            where = name_of(error.param) if error.param is not None else self.name
            if "null" in error.message:  # of a path: "null byte", or "null character" from Python 3.13
                raise BadInput(f"{where} {NUL}") from None
            raise BadInput(f"{where}: {error.message[0].lower()}{error.message[1:].rstrip('.')}") from None
        texts, _, _ = self.make_parser(ctx).parse_args(args=given)
        for parameter in self.params:
            check_value(name_of(parameter), parameter.name or "", texts.get(parameter.name), ctx.params)
            if names_files(parameter):
                check_paths(name_of(parameter), texts.get(parameter.name))
        return rest

    def invoke(self, ctx: Any) -> Any:
        check_environment(self.trains, ctx.command_path)
        return super().invoke(ctx)


def plain(text: str) -> str:
    """`text` as markup that shows it unchanged. rich has a function for this, but importing it takes too long here."""
    return text.replace("[", "\\[")


def unmarked(text: str | None) -> str:
    """The text that `plain` made markup of; empty for None."""
    return (text or "").replace("\\[", "[")


@contextmanager
def fitting_markup(command: Any) -> Iterator[None]:
    """Let `command` print its help without rich's tables and markup while the block runs, if the terminal is narrow."""
    if shutil.get_terminal_size().columns >= NARROW:
        yield
        return
    owners = (command, *command.params)
    texts = [(one, name) for one in owners for name in ("help", "epilog") if getattr(one, name, None)]
    before = [(one, name, getattr(one, name)) for one, name in texts]
    before.append((command, "rich_markup_mode", command.rich_markup_mode))
    command.rich_markup_mode = None
    for one, name in texts:
        setattr(one, name, unmarked(getattr(one, name)))
    try:
        yield
    finally:
        for one, name, value in before:
            setattr(one, name, value)


def name_of(parameter: Any) -> str:
    """An option or argument as people write it: --steps, MODEL."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    return str(max(parameter.opts, key=len))


def check_value(name: str, key: str, text: Any, values: dict[str, Any]) -> None:
    """Raise BadInput for an option's value that no command can use: an empty one, or an absurd number.

    Args:
        name: the option's, as people write it.
        key: its name in `values`.
        text: what was typed: a text, or a list of them; anything else where it was not given.
        values: of all options, converted.
    """
    texts = text if isinstance(text, list | tuple) else [text]
    if "" in texts and key != "puzzle":  # a puzzle has errors of its own
        raise BadInput(f"{name} is empty: give it a value{' or leave it out' if name.startswith('-') else ''}")
    if key != "puzzle" and any(isinstance(one, str) and "\0" in one for one in texts):
        raise BadInput(f"{name} {NUL}")
    value = values.get(key)
    if isinstance(value, float):
        finite_number(name, value, -LARGEST)
    elif isinstance(value, int) and not isinstance(value, bool):
        whole_number(name, value, -LARGEST, LARGEST_SEED if key in ("seed", "budget") else LARGEST)
    if key in ("threads", "procs"):
        check_threads(value, name)


def names_files(parameter: Any) -> bool:
    """Whether a parameter's value is a path, or may be one instead of the name of a set, a model or a task."""
    argument = parameter.param_type_name == "argument" and parameter.name in (
        "model",
        "models",
        "runs",
        "task",
        "source",
    )
    return argument or parameter.name in PATHS


def check_paths(name: str, texts: Any) -> None:
    """Raise BadInput for a path, given by the option `name`, that no file can have.

    Args:
        name: the option's, as people write it.
        texts: what was typed: a text, or a list of them; anything else where it was not given.
    """
    for text in texts if isinstance(texts, list | tuple) else [texts]:
        if isinstance(text, str) and (fault := path_fault(text)):
            raise BadInput(f"{name} {short(text)}: {fault}; name another file or folder")


def check_environment(trains: bool, command: str) -> None:
    """Raise BadInput if the environment asks for what `command` cannot do: a device, or several processes."""
    try:
        process = launched()
    except BadInput:
        if trains:
            raise
        process = None  # commands that do not train have no use for these variables
    if process is not None and not trains:
        raise BadInput(f"{command} runs in one process: start it without torchrun, which is for trm train")
    if os.environ.get("TRM_DEVICE"):
        from trm.devices import check_device

        check_device()


class Group(TyperGroup):
    """A group of commands whose help fits a narrow terminal."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        with fitting_markup(self):
            super().format_help(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Without typer's tables: the first paragraph of each command's help, and not its first words alone."""
        helps = [(name, command.help or "") for name, command in self.commands.items() if not command.hidden]
        with formatter.section("Commands"):
            formatter.write_dl([(name, unmarked(text.partition("\n\n")[0])) for name, text in helps])


class App(typer.Typer):
    """A `typer.Typer` whose commands are of the class `Command`, with examples below their help."""

    def command(
        self,
        name: str | None = None,
        *,
        cls: type[TyperCommand] | None = None,
        examples: Sequence[str] = (),
        **settings: Any,
    ) -> Callable[[Any], Any]:
        if examples:
            settings["epilog"] = "\n".join(["Examples:", *(f"  {example}" for example in examples)])
        return super().command(name, cls=cls or Command, **settings)


app = App(
    name="trm",
    cls=Group,
    help="Tiny Recursive Models: train, evaluate and use small networks that solve hard puzzles",
    no_args_is_help=True,
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

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP, autocompletion=names.models)]
DataOption = Annotated[
    str,
    typer.Option(
        "--data",
        help="Puzzles with answers: a file, or one of the sets embedded, minimal and hub",
        autocompletion=names.any_of_or_file(*names.SETS),
    ),
]
StepsOption = Annotated[int, typer.Option("--steps", help="Supervision steps; may exceed those of the training", min=1)]
LimitOption = Annotated[int, typer.Option("--limit", help="Use at most this many rows; 0: all", min=0)]
SkipOption = Annotated[int, typer.Option("--skip", help="Leave out this many rows at the start", min=0)]
BatchOption = Annotated[int, typer.Option("--batch", help="Puzzles that the model works on at once", min=1)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else")]
ThreadsOption = Annotated[
    int, typer.Option("--threads", help="CPU threads per process; 0: all cores, shared by the processes", min=0)
]
PrecisionOption = Annotated[
    str,
    typer.Option(
        "--precision",
        help="Of matrix products: float32, bfloat16, or auto: bfloat16 where that is measured to be faster",
        autocompletion=names.any_of("auto", "float32", "bfloat16"),
    ),
]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        "--weights",
        help=f"{MODEL_HELP} [default: the model that ships for the task]",
        autocompletion=names.models,
    ),
]
ServedWeightsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--weights",
        help=f"{MODEL_HELP}; may be given once per task [default: the models that ship]",
        autocompletion=names.models,
    ),
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

    if check_threads(count, "--threads"):
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
