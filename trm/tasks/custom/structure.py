"""The structure of a custom task: what a small TOML or JSON file declares about its grids."""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from trm.errors import BadInput
from trm.settings import Settings
from trm.tasks.text import printable, quoted, read_file

MOST = 999_999_999  # the largest number in a cell
VALUES = 255  # the most different numbers: tokens are bytes, and 0 is padding
SIDE = 256  # the most rows, and columns
MOST_CELLS = 1_000_000  # of all groups together
COLOUR = re.compile("#[0-9a-fA-F]{6}")
LONGEST_SIGN = 4  # characters
Cells = tuple[int, ...]


def group(value: Any) -> Any:
    """`rows`, `columns` or the cells of a group as a tuple. Raises ValueError for anything else."""
    if value in ("rows", "columns"):
        return value
    if isinstance(value, list | tuple) and value and all(type(cell) is int and cell >= 0 for cell in value):
        if len(set(value)) < len(value):
            raise ValueError("a cell is in this group twice")
        return tuple(value)
    raise ValueError('a group is "rows", "columns" or a list of cell numbers from 0')


def by_number(value: Any) -> Any:
    """A table of texts by number, {1: "o"}, as pairs in order. Raises ValueError for a key that is no number."""
    if not isinstance(value, Mapping):
        return value
    for key in value:
        if not str(key).isdecimal():
            raise ValueError(f"{quoted(str(key))} is not one of the task's numbers")
    if len({int(key) for key in value}) < len(value):
        raise ValueError("a number occurs twice")
    return tuple(sorted((int(key), text) for key, text in value.items()))


Number = Annotated[int, Field(strict=True, ge=0, le=MOST)]
Texts = Annotated[tuple[tuple[Number, str], ...], BeforeValidator(by_number)]
Group = Annotated[str | Cells, BeforeValidator(group)]


class Structure(Settings):
    """What is declared about a task. A complete one has `shape` and `values`; a file may leave these to the data.

    `groups` is a list of kinds of groups, and a kind is a list of groups. A group is a list of cells that hold
    different numbers. Cells are numbered row by row from 0; `rows` and `columns` stand for all rows and all columns.
    """

    shape: tuple[Annotated[int, Field(strict=True, ge=1, le=SIDE)], ...] = ()  # rows and columns
    values: tuple[Number, ...] = Field((), max_length=VALUES)  # all numbers that a cell can hold, in order
    blank: Number | None = None  # stands for an unknown cell of a question, all of whose other numbers are given
    interchangeable: bool = Field(False, strict=True)  # all numbers but the blank may be renamed
    neighbours: Literal[4] | None = None  # a cell depends on the four around it, directly or through others
    # Kinds of groups of cells that hold different numbers.
    groups: tuple[Annotated[tuple[Group, ...], Field(min_length=1)], ...] = ()
    signs: Texts = ()  # what pictures and the page show in place of a number: {1 = "o"}
    colours: Texts = ()  # of the cells that hold a number, there: {1 = "#ffd75e"}

    @field_validator("shape")
    @classmethod
    def two(cls, shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(shape) not in (0, 2):
            raise ValueError("a shape is [rows, columns]")
        return shape

    @field_validator("values")
    @classmethod
    def in_order(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(values)) < len(values):
            raise ValueError("a number occurs twice")
        return tuple(sorted(values))

    @field_validator("signs")
    @classmethod
    def short(cls, signs: tuple[tuple[int, str], ...]) -> tuple[tuple[int, str], ...]:
        for number, sign in signs:
            if len(sign) > LONGEST_SIGN or not sign.isprintable():
                raise ValueError(f"the sign of {number} must be at most {LONGEST_SIGN} characters, not {quoted(sign)}")
        return signs

    @field_validator("colours")
    @classmethod
    def coloured(cls, colours: tuple[tuple[int, str], ...]) -> tuple[tuple[int, str], ...]:
        for number, colour in colours:
            if not COLOUR.fullmatch(colour):
                raise ValueError(f"the colour of {number} must be written as #rrggbb, not {quoted(colour)}")
        return colours

    @model_validator(mode="after")
    def agree(self) -> Structure:
        if self.interchangeable and self.blank is None:
            raise ValueError("interchangeable numbers need a blank: name the number that stands for an unknown cell")
        if self.interchangeable and self.values and len(self.symbols) < 2:
            raise ValueError("at least two numbers must be interchangeable")
        if self.interchangeable and self.groups and self.neighbours:
            raise ValueError("a model looks at groups of interchangeable numbers or at neighbours: declare one of them")
        if self.values and self.blank is not None and self.blank not in self.values:
            raise ValueError(f"the blank, {self.blank}, is not among the values")
        for number, _ in (*self.signs, *self.colours):
            if self.values and number not in self.values:
                raise ValueError(f"{number} has a sign or a colour, but is not among the values")
        if self.shape:
            board = self.shape[0] * self.shape[1]
            if (
                sum(board if isinstance(group, str) else len(group) for kind in self.groups for group in kind)
                > MOST_CELLS
            ):
                raise ValueError(f"the groups name more than {MOST_CELLS:,} cells in all")
            for number, cells in enumerate(itertools.chain(*self.expanded())):
                self.check_group(number, cells)
        return self

    def check_group(self, number: int, cells: Cells) -> None:
        """Raises ValueError for a group, the `number`-th from 0, that does not fit the board or the numbers."""
        if max(cells) >= self.shape[0] * self.shape[1]:
            board = f"a board of {self.shape[0]}x{self.shape[1]} has cells 0 to {self.shape[0] * self.shape[1] - 1}"
            raise ValueError(f"group {number + 1} names cell {max(cells)}, but {board}")
        if self.values and len(cells) > (count := len(self.symbols)):
            raise ValueError(f"group {number + 1} has {len(cells)} cells, but there are only {count} different numbers")

    @property
    def symbols(self) -> tuple[int, ...]:
        """The values without the blank."""
        return tuple(value for value in self.values if value != self.blank)

    def expanded(self) -> Iterator[tuple[Cells, ...]]:
        """The groups of each kind as lists of cells. Needs the shape."""
        height, width = self.shape
        lines = {
            "rows": [tuple(range(row * width, (row + 1) * width)) for row in range(height)],
            "columns": [tuple(range(column, height * width, width)) for column in range(width)],
        }
        for kind in self.groups:
            yield tuple(itertools.chain(*(lines[part] if isinstance(part, str) else [part] for part in kind)))

    def completed(self, **found: Any) -> Structure:
        """The structure together with what was found in the data. Raises BadInput where they contradict each other."""
        return parse({**self.model_dump(), **found}, "the structure")


def parse(content: Any, name: str) -> Structure:
    """The structure that `content`, from the file `name`, declares. Raises BadInput."""
    try:
        return Structure.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        known = ", ".join(Structure.model_fields)
        where = "".join(f"[{part}]" if isinstance(part, int) else quoted(part)[1:-1] for part in first["loc"][:3])
        message = first["msg"].removeprefix("Value error, ")
        what = {"extra_forbidden": f"is not a key of a structure; the keys are {known}"}.get(
            first["type"], message[:1].lower() + message[1:]
        )
        raise BadInput(f"{name}: {where}{': ' if where else ''}{what}") from None


def distinct(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Raises ValueError if a name occurs twice in it, as TOML does."""
    found = dict(items)
    if len(found) < len(items):
        raise ValueError("a name occurs twice in one object")
    return found


def read_structure(path: Path) -> Structure:
    """The structure that a file declares: JSON if its name ends in .json, else TOML. Raises BadInput."""
    name, text = printable(path.name), read_file(path)
    if path.suffix.lower() == ".json":
        try:
            return parse(json.loads(text, object_pairs_hook=distinct), name)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{name}: not JSON: {str(error).splitlines()[0]}") from None
    if sys.version_info >= (3, 11):
        import tomllib

        try:
            return parse(tomllib.loads(text), name)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{name}: not TOML: {str(error).splitlines()[0]}") from None
    raise BadInput(f"{name}: reading TOML needs Python 3.11; write the structure as JSON, in a file NAME.json")
