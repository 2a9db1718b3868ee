"""Help: examples that parse, paragraphs that wrap, and options that are legible in a narrow terminal."""

from __future__ import annotations

import inspect
import itertools
import re
import shlex
from typing import Any

import pytest
import typer
from conftest import Call

from trm.cli.main import app


def commands(group: Any = None, names: tuple[str, ...] = ()) -> dict[str, Any]:
    """Every command by its name, such as `data sudoku`; no groups."""
    group = group or typer.main.get_command(app)
    if not hasattr(group, "commands"):
        return {" ".join(names): group}
    return {key: value for name, one in group.commands.items() for key, value in commands(one, (*names, name)).items()}


COMMANDS = commands()


def examples(command: str) -> list[str]:
    return [line.strip() for line in (COMMANDS[command].epilog or "").replace("\\[", "[").splitlines()[1:]]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_examples_that_parse(call: Call, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = examples(command)
    assert 1 <= len(found) <= 3
    for example in found:
        words = shlex.split(example.partition(" < ")[0])
        path, rest = command.split(), words[1 + len(command.split()) :]
        assert words[: 1 + len(path)] == ["trm", *path]
        with COMMANDS[command].make_context(command, rest):  # refuses options that there are not
            pass
    for columns in ("60", "100"):
        monkeypatch.setenv("COLUMNS", columns)
        shown = " ".join(re.sub("[│╭╮╰╯─]", " ", call(*command.split(), "--help").out).split())
        assert [example for example in found if " ".join(example.split()) not in shown] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_legible_in_60_columns(call: Call, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    text = call(*command.split(), "--help").out
    described, _, listed = text.partition("Examples:")
    assert max(map(len, described.splitlines())) <= 60
    assert "…" not in text
    assert "\\[" not in text
    for line in (line for line in listed.splitlines() if line):
        assert line.startswith("  trm ")
    words = " ".join(described.split())
    assert " ".join((COMMANDS[command].callback.__doc__ or "").split()) in words
    options = [one for one in COMMANDS[command].params if getattr(one, "hidden", False) is False]
    assert [one.opts[0] for one in options if one.opts[0].startswith("-") and one.opts[0] not in words] == []
    margin = re.search(r"^ +-h, --help +(?=Show)", described, re.MULTILINE)
    assert margin
    assert len(margin[0]) <= 32  # there is room for the texts


@pytest.mark.parametrize("group", ["", "data"])
def test_groups_are_legible_in_60_columns(call: Call, group: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    text = call(*group.split(), "--help").out
    assert max(map(len, text.splitlines())) <= 60
    assert "…" not in text
    assert "..." not in text.replace("[ARGS]...", "")
    words = " ".join(text.split())
    for name, command in COMMANDS.items():
        if name.startswith(group) and len(name.split()) == 1 + len(group.split()):
            first = inspect.cleandoc(command.callback.__doc__ or "").partition("\n\n")[0]
            assert f"{name.split()[-1]} {' '.join(first.split())}" in words


@pytest.mark.parametrize("columns", ["60", "100"])
def test_paragraphs_fill_their_lines(call: Call, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line ends where the next word has no room, not where the source has a line break."""
    monkeypatch.setenv("COLUMNS", columns)
    for command in COMMANDS:
        text = call(*command.split(), "--help").out.partition("Usage:")[2]
        lines = [line.strip() for line in re.split("╭|Arguments:|Options:", text)[0].splitlines()][1:]
        for line, following in itertools.pairwise(lines):
            if line and following:
                assert len(line) + 1 + len(following.split()[0]) > int(columns) - 6, (command, line)
