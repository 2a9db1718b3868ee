"""Files and CSV, whatever the task: reading, decoding, headings."""

from __future__ import annotations

import csv
from pathlib import Path

from trm.errors import BadInput

QUESTION, ANSWER = ("question", "puzzle", "quizzes"), ("answer", "solution", "solutions")  # CSV headings in use


MAX_BYTES = 256 << 20


def decode(data: bytes, name: str) -> str:
    """Bytes of a file or of standard input, called `name` in messages -> text. Raises BadInput."""
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
    """The text of a file of puzzles, for `sudoku_for` and `read`. Raises BadInput if there is none to be had."""
    name = shown_text(str(path))
    try:
        with open(path, "rb") as file:
            return decode(file.read(MAX_BYTES + 1), name)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadInput(f"cannot read {name}: {reason}") from None


def csv_fields(line: str, number: int) -> list[str]:
    """The fields of CSV line `number`; quotes only where they are used, since `split` is ten times as fast."""
    try:
        return next(csv.reader([line])) if '"' in line else line.split(",")
    except csv.Error as error:
        raise BadInput(f"line {number}: not CSV: {error}") from None


def csv_heading(line: str) -> tuple[int, int | None] | None:
    """Where a CSV heading has its question and its answer; None if this line is no heading."""
    names = [name.strip(' "').lower() for name in line.split(",")]
    question = next((names.index(name) for name in QUESTION if name in names), None)
    answer = next((names.index(name) for name in ANSWER if name in names), None)
    return None if question is None else (question, answer)


def shown_text(text: str) -> str:
    """Quoted, and safe to print on one line whatever it holds."""
    return repr(text) if text.isprintable() else ascii(text)
