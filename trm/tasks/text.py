"""Reading text, whatever the task: files, numbered lines, CSV, and quoting for messages."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from trm.errors import BadInput

T = TypeVar("T")

QUESTION, ANSWER = ("question", "puzzle", "quizzes"), ("answer", "solution", "solutions")  # CSV headings in use
MAX_BYTES = 256 << 20  # of a file
LONGEST = 80  # characters of a value in a message


# Files


def decode(data: bytes, name: str) -> str:
    """The text of a file or of standard input, called `name` in messages. Raises BadInput."""
    if len(data) > MAX_BYTES:
        raise BadInput(f"{name} is larger than {MAX_BYTES >> 20} MB; cut it into smaller files")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{name} is not UTF-8 text: byte 0x{data[error.start]:02x} at position {error.start}") from None
    if "\0" in text:
        raise BadInput(
            f"{name} is not text: it holds a NUL byte in line {text[: text.index(chr(0))].count(chr(10)) + 1}"
        )
    return text


def read_file(path: str | Path) -> str:
    """The text of a file. Raises BadInput if it cannot be read."""
    name = quoted(path, longest=None)
    try:
        with open(path, "rb") as file:
            return decode(file.read(MAX_BYTES + 1), name)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadInput(f"cannot read {name}: {reason}") from None


# Lines and CSV


class Line(NamedTuple):
    number: int  # from 1
    text: str


class Columns(NamedTuple):
    """Which columns of a CSV hold the questions and the answers, counted from 0."""

    question: int
    answer: int | None  # None: the CSV has no answers


@dataclass(frozen=True)
class TextRow(Generic[T]):
    """A puzzle as it was read from text, and the line in which it begins."""

    line: int
    question: T
    answer: T | None  # None where none is given


def numbered_lines(text: str) -> list[Line]:
    """The lines of a text that may end in \\n, \\r\\n or \\r. Nothing is stripped but a byte-order mark."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [Line(number, line) for number, line in enumerate(lines, 1)]


def csv_fields(line: Line) -> list[str]:
    """The fields of a line of CSV. Raises BadInput."""
    if '"' not in line.text:
        return line.text.split(",")  # ten times as fast
    try:
        return next(csv.reader([line.text]))
    except csv.Error as error:
        raise BadInput(f"line {line.number}: not CSV: {error}") from None


def csv_columns(line: Line) -> Columns | None:
    """The columns that a CSV's heading names; None if this line is no heading."""
    if not any(name in line.text.lower() for name in QUESTION):
        return None
    names = [name.strip(' "').lower() for name in csv_fields(line)]
    question = next((names.index(name) for name in QUESTION if name in names), None)
    answer = next((names.index(name) for name in ANSWER if name in names), None)
    return None if question is None else Columns(question, answer)


def first_question(lines: Sequence[Line], columns: Columns) -> str:
    """The question in the first row below a CSV's heading, to tell its size by; empty if there is none."""
    fields = csv_fields(lines[1]) if len(lines) > 1 else []
    return fields[columns.question] if columns.question < len(fields) else ""


def read_csv(
    lines: Sequence[Line], columns: Columns, noun: str, parse: Callable[[str, str], T], prefix: str = ""
) -> list[TextRow[T]]:
    """The rows of a CSV.

    Args:
        lines: those that are not empty, the heading first.
        columns: what `csv_columns` found in the heading.
        noun: what a row is called in messages: a puzzle, a maze.
        parse: turns the text of a grid, and words for its place, into what a row is to hold. Raises BadInput.
        prefix: what messages begin with.

    Raises:
        BadInput: no row, a row with too few or too many columns, or one that `parse` refuses.
    """
    heading, *rest = lines
    width, rows = len(csv_fields(heading)), []
    for line in rest:
        place, fields = f"{prefix}line {line.number}", csv_fields(line)
        if len(fields) != width:
            raise BadInput(f"{place}: {len(fields)} columns instead of {width}")
        question = parse(fields[columns.question], f"{place}, column question")
        answer = "" if columns.answer is None else fields[columns.answer]
        rows.append(
            TextRow(line.number, question, parse(answer, f"{place}, column answer") if answer.strip() else None)
        )
    if not rows:
        raise BadInput(f"{prefix}no {noun} found: the CSV has a heading and no rows")
    return rows


# Messages


def quoted(value: object, longest: int | None = LONGEST) -> str:
    """A value as messages show it: in quotes unless it is a number, on one line, and safe to print.

    What is longer than `longest` characters is cut in the middle; None: it is shown whole.
    """
    text = value if isinstance(value, int | float) else str(value)
    shown = repr(text) if str(text).isprintable() else ascii(text)
    return shown if longest is None or len(shown) <= longest else f"{shown[:60]}...{shown[-15:]}"


def printable(text: str) -> str:
    """Text on one line and safe to print, without quotes."""
    return quoted(text, longest=None)[1:-1]
