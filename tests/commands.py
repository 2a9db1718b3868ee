"""The commands with their options, the settings of runs, and strange values for both."""

from __future__ import annotations

import inspect
import re
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple, get_args

import typer
from conftest import Result
from hypothesis import strategies as st
from strange import FIGURES, LISTS, ODD_KEYS, ODD_TEXTS, WORDS

from trm.cli import main as cli
from trm.numbers import most_threads
from trm.training.config import RunConfig, flat_keys

MUST = {  # with these arguments a command fails before it does anything
    "train": ["sudoku-mini", "--out", "block"],
    "eval": ["nothing"],
    "solve": ["sudoku", "12", "--weights", "nothing"],
    "describe": ["sudoku-mini", "--set", "lr=x"],
    "data sudoku": ["block/x.csv"],
    "data maze": ["block/x.csv"],
    "adapt": ["nothing.json"],
    "import": ["nothing.pt", "--out", "model"],
    "export": ["nothing", "--to", "model.onnx"],
    "compare": ["nothing"],
    "history": ["nothing"],
    "site": ["--out", "page", "--runtime", "nothing.tgz"],
    "turns": ["out", "a", "b"],
    "eval-arc": ["nothing"],
}


class Option(NamedTuple):
    names: list[str]
    kind: type  # bool: a flag
    least: float
    most: float

    def takes(self, text: str) -> bool:
        """Whether this is a number within the limits."""
        try:
            number = int(text.strip().removesuffix(".0")) if self.kind is int else float(text)
        except ValueError:
            return False
        return text.isascii() and self.least <= number <= self.most


def options_of(command: str) -> list[Option]:
    """The options of a command, with the limits that they declare, and those of every number."""
    found: Any = typer.main.get_command(cli.app)
    for word in command.split():
        found = found.commands[word]
    kinds, options = inspect.signature(found.callback, eval_str=True).parameters, list[Option]()
    for one in found.params:
        if one.param_type_name == "option" and one.name in kinds:
            given, about = get_args(kinds[one.name].annotation)
            seed = 2**53 if command == "adapt" else 2**63 - 1
            most = {"threads": most_threads(), "procs": most_threads(), "seed": seed, "budget": 2**63 - 1}
            kind = next((part for part in (bool, int, float) if part in (given, *get_args(given))), str)
            least = -(10**9) if about.min is None else about.min
            options.append(Option(one.opts, kind, least, min(most.get(one.name, 10**9), about.max or 2**63)))
    return options


OPTIONS = {command: options_of(command) for command in MUST}
NUMERIC = [(command, one) for command in MUST for one in OPTIONS[command] if one.kind in (int, float)]


KEYS = flat_keys(RunConfig().model_dump())
texts = st.sampled_from((FIGURES, WORDS, LISTS, ODD_TEXTS)).flatmap(st.sampled_from)


def values_of(config: RunConfig) -> dict[str, Any]:
    """The value of each setting."""
    values = config.model_dump()
    return {key: reduce(lambda node, part: node[part], key.split("."), values) for key in KEYS}


def keys_of(*kinds: type) -> list[str]:
    return [key for key, value in values_of(RunConfig()).items() if isinstance(value, kinds)]


FITTING = (
    ([*keys_of(int), "steps"], FIGURES),
    (keys_of(float), FIGURES),
    (keys_of(str), WORDS),
    (keys_of(tuple), LISTS),
    ([*ODD_KEYS, *keys_of(type(None))], FIGURES),
)


@st.composite
def settings(draw: st.DrawFn) -> str:
    """A setting as --set takes it. Half of the values are of the right kind."""
    keys, values = draw(st.sampled_from(FITTING))
    key, text = draw(st.sampled_from(keys)), draw(texts | st.sampled_from(values))
    return draw(st.sampled_from((*[f"{key}={text}"] * 9, text)))


def check_failure(result: Result) -> None:
    """An exit code of an expected failure, one line on standard error that is safe to print, and no work done."""
    lines = [line for line in result.err.split("\n")[:-1] if not re.search(r"^trm: \S+.* is now ", line)]
    assert result.code in (1, 2)
    assert (result.out, len(lines), lines[0][:5]) == ("", 1, "trm: ")
    assert lines[0].isprintable()
    assert [path.name for path in Path().iterdir()] == ["block"]
