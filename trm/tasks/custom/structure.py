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
from trm.tasks.base import lines
from trm.tasks.text import printable, quoted, read_file

MOST = 999_999_999  # the largest number in a cell
VALUES = 255  # the most different numbers: tokens are bytes, and 0 is padding
SIDE = 256  # the most rows, and columns
MOST_CELLS = 1_000_000  # of all groups together
COLOUR = re.compile("#[0-9a-fA-F]{6}")
LONGEST_SIGN = 4  # characters
SQUARE = ("turned by a quarter", "rows and columns exchanged", "exchanged along the other diagonal")
Cells = tuple[int, ...]
FORMS = {  # how a value is written that is no plain list
    "shape": "[rows, columns]",
    "groups": 'kinds of groups, [["rows", "columns"]]',
    "related": 'kinds of groups, [["rows"], ["columns"]]',
    "signs": 'an object of texts by number, {"1": "o"}',
    "colours": 'an object of colours by number, {"1": "#ffd75e"}',
    "layer_signs": 'a list of objects, [{"1": "<"}]',
}


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
Turn = Literal[
    "turned by half",
    "mirrored left to right",
    "mirrored top to bottom",
    "turned by a quarter",
    "rows and columns exchanged",
    "exchanged along the other diagonal",
]
Group = Annotated[str | Cells, BeforeValidator(group)]
Kinds = tuple[Annotated[tuple[Group, ...], Field(min_length=1)], ...]


class Structure(Settings):
    """What is declared about a task. A complete one has `shape` and `values`; a file may leave these to the data.

    `groups` is a list of kinds of groups, and a kind is a list of groups. A group is a list of cells that hold
    different numbers. Cells are numbered row by row from 0; `rows` and `columns` stand for all rows and all columns.
    """

    shape: tuple[Annotated[int, Field(strict=True, ge=1, le=SIDE)], ...] = ()  # rows and columns
    any_size: bool = Field(False, strict=True)  # boards to solve may have another shape than those in training
    values: tuple[Number, ...] = Field((), max_length=VALUES)  # all numbers that a cell can hold, in order
    blank: Number | None = None  # stands for an unknown cell of a question, all of whose other numbers are given
    interchangeable: bool = Field(False, strict=True)  # all numbers but the blank may be renamed
    neighbours: Literal[4, 8] | None = None  # a cell depends on those around it, directly or through others
    radius: int = Field(1, strict=True, ge=1, le=8)  # so many moves to one of them count as around it
    wrap: bool = Field(False, strict=True)  # the edges of the board are joined
    # Kinds of groups of cells that hold different numbers.
    groups: Kinds = ()
    related: Kinds = ()  # kinds of groups of cells that depend on each other, and may hold equal numbers
    # Moves of the board that turn a pair into another one: training shows each pair in their images, drawn at random.
    symmetries: tuple[Turn, ...] = ()
    ordered: bool = Field(False, strict=True)  # numbers have an order, so that near ones are alike
    answers: tuple[Number, ...] = Field((), max_length=VALUES)  # numbers that an answer can hold; default: all
    fixed: tuple[Number, ...] = Field((), max_length=VALUES)  # numbers that answers have where questions have them
    # Layers of a question: a number is that of the first layer, plus `unit` times that of the second, and so on.
    layers: int = Field(1, strict=True, ge=1, le=9)
    unit: Literal[10, 100, 1000, 10_000] = 10  # more than any number of a layer
    signs: Texts = ()  # what pictures and the page show in place of a number: {1 = "o"}
    layer_signs: tuple[Texts, ...] = ()  # the same for the numbers of each further layer, which stand behind it
    colours: Texts = ()  # of the cells that hold a number, there: {1 = "#ffd75e"}

    @field_validator("shape")
    @classmethod
    def two(cls, shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(shape) not in (0, 2):
            raise ValueError("a shape is [rows, columns]")
        return shape

    @field_validator("values", "answers", "fixed")
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

    @field_validator("layer_signs")
    @classmethod
    def all_short(cls, layers: tuple[tuple[tuple[int, str], ...], ...]) -> tuple[tuple[tuple[int, str], ...], ...]:
        return tuple(cls.short(signs) for signs in layers)

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
        if self.any_size and any(isinstance(part, tuple) for kind in (*self.groups, *self.related) for part in kind):
            raise ValueError('any_size needs groups that any board has: "rows" and "columns", and no lists of cells')
        if (self.radius > 1 or self.wrap) and not self.neighbours:
            raise ValueError("radius and wrap are about neighbours: declare neighbours = 4 or neighbours = 8")
        if self.ordered and self.interchangeable:
            raise ValueError("numbers that may be renamed have no order: declare one of ordered and interchangeable")
        if self.interchangeable and (self.answers or self.fixed):
            raise ValueError(
                "numbers that may be renamed are all alike: declare no answers and nothing fixed with them"
            )
        if len(self.layer_signs) >= self.layers and (self.layers > 1 or self.values):
            raise ValueError(f"layer_signs is for the {self.layers - 1} layers after the first")
        if self.unit**self.layers > MOST + 1:
            raise ValueError(f"{self.layers} layers with unit = {self.unit} make numbers above {MOST}")
        self.check_numbers()
        if self.shape and self.shape[0] != self.shape[1]:
            for name in self.symmetries:
                if name in SQUARE:
                    raise ValueError(
                        f"symmetry {name!r} is for square boards, and this one is of {self.shape[0]}x{self.shape[1]}"
                    )
        for number, _ in (*self.signs, *self.colours):
            if self.values and number not in self.values:
                raise ValueError(f"{number} has a sign or a colour, but is not among the values")
        if self.shape:
            board = self.shape[0] * self.shape[1]
            named = (group for kind in (*self.groups, *self.related) for group in kind)
            if sum(board if isinstance(group, str) else len(group) for group in named) > MOST_CELLS:
                raise ValueError(f"the groups name more than {MOST_CELLS:,} cells in all")
            for number, cells in enumerate(itertools.chain(*self.expanded(self.groups)), 1):
                self.check_group(f"group {number}", cells, differ=True)
            for number, cells in enumerate(itertools.chain(*self.expanded(self.related)), 1):
                self.check_group(f"related group {number}", cells, differ=False)
        return self

    def check_numbers(self) -> None:
        """Raises ValueError for a blank, a number of answers or a fixed one that the first layer has not."""
        for name, declared in (
            ("the blank", () if self.blank is None else (self.blank,)),
            ("a number of answers", self.answers),
            ("a number that is fixed", self.fixed),
        ):
            for number in declared:
                if self.values and number not in self.values:
                    raise ValueError(f"{name}, {number}, is not among the values")
                if self.layers > 1 and number >= self.unit:
                    raise ValueError(
                        f"{name}, {number}, is none of the first layer's numbers, which are less than {self.unit}"
                    )
        for number, _ in (*self.signs, *self.colours, *itertools.chain(*self.layer_signs)):
            if self.layers > 1 and number >= self.unit:
                raise ValueError(f"{number} has a sign or a colour, but numbers of a layer are less than {self.unit}")
        if self.blank is not None and self.blank in self.fixed:
            raise ValueError(f"the blank, {self.blank}, cannot be fixed")
        if self.answers and (wrong := {*self.fixed} - {*self.answers}):
            raise ValueError(f"{min(wrong)} is fixed, but an answer cannot hold it")

    def check_group(self, name: str, cells: Cells, differ: bool) -> None:
        """Raises ValueError for a group that does not fit the board or, if its numbers are to differ, their count."""
        if max(cells) >= self.shape[0] * self.shape[1]:
            board = f"a board of {self.shape[0]}x{self.shape[1]} has cells 0 to {self.shape[0] * self.shape[1] - 1}"
            raise ValueError(f"{name} names cell {max(cells)}, but {board}")
        known = [number for number in self.symbols if not self.answers or number in self.answers]
        if differ and self.values and not self.fixed and len(cells) > (count := len(known)):
            raise ValueError(f"{name} has {len(cells)} cells, but there are only {count} different numbers")

    @property
    def symbols(self) -> tuple[int, ...]:
        """The values of the first layer without the blank."""
        plain = (value for value in self.values if self.layers == 1 or value < self.unit)
        return tuple(value for value in plain if value != self.blank)

    @property
    def offsets(self) -> tuple[tuple[int, int], ...]:
        """The cells around a cell, in rows down and columns to the right of it."""
        near = range(-self.radius, self.radius + 1)
        around = [(y, x) for y in near for x in near if (y, x) != (0, 0)] if self.neighbours else []
        return tuple((y, x) for y, x in around if self.neighbours == 8 or abs(y) + abs(x) <= self.radius)

    def expanded(self, kinds: Kinds) -> Iterator[tuple[Cells, ...]]:
        """The groups of each of `kinds`, which are the structure's, as lists of cells. Needs the shape."""
        height, width = self.shape
        named = dict(zip(("rows", "columns"), lines(height, width), strict=True))
        for kind in kinds:
            yield tuple(itertools.chain(*(named[part] if isinstance(part, str) else [part] for part in kind)))

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
        what = {
            "extra_forbidden": f"is not a key of a structure; the keys are {known}",
            "tuple_type": f"write {FORMS.get(str(first['loc'][0]) if first['loc'] else '', 'a list')}",
            "too_short": "a list with nothing in it",
            "model_type": "a structure is an object of keys and values",
        }.get(first["type"], message[:1].lower() + message[1:])
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
