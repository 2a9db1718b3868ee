"""Write docs/commands.md and docs/settings.md from the command line and the settings: `python scripts/commands.py`."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import typer

from trm.cli.app import name_of, unmarked
from trm.cli.main import app
from trm.settings import Settings
from trm.training.config import RunConfig, Stage

DOCS = Path(__file__).parent.parent / "docs"
COMMANDS = DOCS / "commands.md"
SETTINGS = DOCS / "settings.md"
MADE = "Made by `python scripts/commands.py`; a test keeps it up to date."
COMMANDS_HEAD = f"""# Commands

Every command with all of its options, as `--help` shows them. {MADE}

Exit code 0: done, and everything asked for was solved; 1: not solved, or a failure; 2: bad input, which one line on
standard error explains. `trm --version` prints the version. `trm --install-completion` lets your shell complete
names and options.

| variable of the environment | meaning |
|---|---|
| `TRM_DEVICE` | `cpu`, `cuda`, `cuda:1` or `mps` instead of the device that is chosen |
| `TRM_BFLOAT16=0` | compute in float32 where `auto` would choose bfloat16 |
| `TRM_TILES=0` | do without the tiles of AMX in the package's own kernels |
| `TRM_FUSED=0` | do without the package's own kernels |
| `CC` | the C compiler for the kernels |
| `XDG_CACHE_HOME` | the folder in which the compiled kernels are kept, in `trm` [default: `~/.cache`] |
| `HF_HOME`, `HF_HUB_OFFLINE` and others | those of huggingface_hub, for models and data on the hub |"""
SETTINGS_HEAD = f"""# Settings of a training run

What `trm train NAME --set KEY=VALUE` and [`trm.RunConfig`](reference.md#trmrunconfig) take. {MADE}
A nested setting has a dot, as in `model.width`. `trm describe NAME` prints what a preset has. The defaults below are
the published TRM's for Sudoku where the paper gives one. [training.md](training.md) explains the most useful ones."""


def cell(text: str) -> str:
    """A text for a cell of a table."""
    return " ".join(text.replace("|", "\\|").split())


# Commands


def commands(group: Any, path: str = "trm") -> Iterator[tuple[str, Any]]:
    """Every command below a group, with the words that call it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        elif not command.hidden:
            yield f"{path} {name}", command


def default_of(parameter: Any) -> str:
    """What a parameter is if it is not given."""
    value = parameter.default
    if parameter.required:
        return "required"
    if value is None or value == () or callable(value):
        return ""
    return ("on" if value else "off") if isinstance(value, bool) else f"`{value}`"


def option(parameter: Any) -> str:
    """A row of a command's table."""
    shown = name_of(parameter)
    if parameter.param_type_name != "argument":
        shown = ", ".join([*parameter.opts, *parameter.secondary_opts])
    return f"| `{shown}` | {default_of(parameter)} | {cell(unmarked(parameter.help))} |"


def command_page() -> str:
    parts = [COMMANDS_HEAD]
    for path, command in commands(typer.main.get_command(app)):
        parts += [f"## {path}", unmarked(command.help)]
        if examples := unmarked(command.epilog).splitlines()[1:]:
            parts.append("\n".join(["```sh", *(line.strip() for line in examples), "```"]))
        shown = [one for one in command.params if one.name != "help" and not getattr(one, "hidden", False)]
        if shown:
            head = ["| argument or option | default | meaning |", "|---|---|---|"]
            parts.append("\n".join([*head, *map(option, shown)]))
    return "\n\n".join(parts) + "\n"


# Settings


class Setting(NamedTuple):
    """A field of a class of settings."""

    heading: str  # above it and those that follow, if a new one begins here
    name: str
    meaning: str  # the comments above and beside it


def settings_of(kind: type[Settings]) -> Iterator[Setting]:
    """The fields of a class, with their comments. A comment of a few words above one is a heading."""
    lines = textwrap.dedent(inspect.getsource(kind)).splitlines()
    body = ast.parse("\n".join(lines)).body[0]
    assert isinstance(body, ast.ClassDef)
    for node in body.body:
        if not isinstance(node, ast.AnnAssign):
            continue
        above: list[str] = []
        number = node.lineno - 2
        while lines[number].strip().startswith("#"):
            above.insert(0, lines[number].strip("# "))
            number -= 1
        heading = above.pop(0) if above and len(above[0].split()) < 5 and not set(above[0]) & set(".:;") else ""
        beside = "\n".join(lines[node.lineno - 1 : node.end_lineno]).partition("  # ")[2]
        yield Setting(heading, ast.unparse(node.target), " ".join([*above, beside]).strip())


def type_of(annotation: Any) -> str:
    """A type in words."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_of(parts[0])
    if origin is Literal:
        return ", ".join(f"`{part}`" for part in parts)
    if origin in (Union, UnionType):
        return " or ".join(map(type_of, parts))
    if origin is tuple:
        return f"list: {type_of(parts[0])}" if Ellipsis in parts else f"{len(parts)} numbers"
    return "none" if annotation is type(None) else str(annotation.__name__)


def rows_of(kind: type[Settings], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Heading, if a new one begins, and row of the table, of every setting; those of a group follow their group."""
    for setting in settings_of(kind):
        field = kind.model_fields[setting.name]
        if isinstance(field.annotation, type) and issubclass(field.annotation, Settings):
            group = inspect.cleandoc(field.annotation.__doc__ or "").split("\n\n")[0]
            yield f"{prefix}{setting.name}", group
            yield from rows_of(field.annotation, f"{prefix}{setting.name}.")
            continue
        default = field.get_default()
        shown = "required" if field.is_required() else f"`{default!r}`"
        cells = (f"`{prefix}{setting.name}`", cell(type_of(field.annotation)), shown, cell(setting.meaning))
        yield setting.heading, f"| {' | '.join(cells)} |"


def table(kind: type[Settings]) -> Iterator[str]:
    """Tables of a class's settings; groups come after all of its own settings."""
    own, groups, into = list[str](), list[str](), None
    for heading, text in rows_of(kind):
        if not text.startswith("|"):
            into = groups
            groups += ["", f"## `{heading}`", "", text, "", *HEADER]
        elif text.startswith("| `") and "." not in text.split("`")[1]:
            if heading or not own:
                own += ["", f"## {heading}", "", *HEADER]
            own.append(text)
        elif into is not None:
            groups.append(text)
    yield from (*own, *groups)


HEADER = ("| setting | type | default | meaning |", "|---|---|---|---|")


def settings_page() -> str:
    stage = [row for _, row in rows_of(Stage)]
    parts = [SETTINGS_HEAD, "\n".join(table(RunConfig)).strip()]
    parts += ["## A stage", inspect.cleandoc(Stage.__doc__ or "").replace("\n", " "), "\n".join([*HEADER, *stage])]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    COMMANDS.write_text(command_page(), encoding="utf-8")
    SETTINGS.write_text(settings_page(), encoding="utf-8")
