"""What language models give for a puzzle, as the text that the readers of puzzles take."""

from __future__ import annotations

import json
import operator
import re
from typing import Any

EXACT = 2**53  # up to here every program can hold a whole number
SIGNS = "0123456789ABCDEFG"  # of the numbers in a cell
FENCED = re.compile(r"(`{3,})[^\n`]*\n(.*?)\n?[ \t]*\1", re.DOTALL)  # a code fence
TICKED = re.compile(r"\s*(`+)([^`]+)\1\s*")  # a whole text in backticks


def as_text(value: Any) -> Any:
    """A puzzle's text out of the forms that models give it: in a code fence, as rows, as an object, or escaped twice.

    Anything else is returned as it is, for the check of its type to refuse. Raises ValueError for a number that is no
    cell's, and for a board written as a number that is not exact everywhere.
    """
    if isinstance(value, list | dict):
        return from_json(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return digits_of(value)
    if not isinstance(value, str):
        return value
    text = unescaped(unfenced(value))
    try:
        rows = json.loads(text) if text.lstrip().startswith("[") else None
    except (ValueError, RecursionError):
        return text
    return text if rows is None else lines_of(rows) or text


def as_numbers(value: Any) -> Any:
    """The same for grids of whole numbers of any length: rows of numbers, or text with spaces between them.

    Anything else is returned as it is, for the check of its type to refuse.
    """
    if isinstance(value, str):
        text = unescaped(unfenced(value))
        try:
            value = json.loads(text) if text.lstrip().startswith("[") else None
        except (ValueError, RecursionError):
            value = None
        if value is None:
            return text
    if not isinstance(value, list):
        return value
    rows = value if any(isinstance(row, list) for row in value) else [value]
    if any(isinstance(cell, list) for row in rows if isinstance(row, list) for cell in row):  # layer by layer
        return json.dumps(value)
    if any(isinstance(row, str) and len(row.split()) > 1 for row in value):
        return "\n".join(map(str, value))
    return "\n".join(" ".join(word_of(cell) for cell in row) if isinstance(row, list) else str(row) for row in rows)


def word_of(cell: Any) -> str:
    """A cell of a grid of whole numbers; null and empty texts are blanks."""
    return "." if cell is None or cell == "" else str(cell)


def digits_of(number: int) -> str:
    """A board that a client has taken for a number. Raises ValueError for one that is too long to be exact."""
    if not 0 <= number <= EXACT:
        raise ValueError("a board is text, and this is a number, of which clients keep 15 digits: put it in quotes")
    return str(number)


def from_json(value: Any) -> Any:
    """Rows as lines of text, anything else as JSON; what is not JSON is returned as it is."""
    lines = lines_of(value) if isinstance(value, list) else None
    try:
        return lines or json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return value


def lines_of(rows: Any) -> str | None:
    """Rows of cells, lines of text, or the cells of a board one after the other, as text. None: it is none of these."""
    try:
        if any(isinstance(row, list) for row in rows):
            return "\n".join("".join(map(sign_of, row)) for row in rows)
        if any(isinstance(row, str) and len(row) > 1 for row in rows):
            return "\n".join(rows)
        return "".join(map(sign_of, rows))
    except TypeError:
        return None


def sign_of(cell: Any) -> str:
    """A cell in one character; null and empty texts are blanks. Raises TypeError for no cell, ValueError for a number
    that is no cell's.
    """
    if isinstance(cell, str):
        return cell or "."
    number = operator.index(0 if cell is None else cell)
    if not 0 <= number < len(SIGNS):
        raise ValueError(f"a cell holds {str(number)[:20]}; numbers of cells are 0 (blank) to {len(SIGNS) - 1}")
    return SIGNS[number]


def unfenced(text: str) -> str:
    """What is in the code fence of a text, if there is one alone, or in backticks around the whole of it."""
    fences = FENCED.findall(text)
    if len(fences) == 1:
        return str(fences[0][1])
    ticked = TICKED.fullmatch(text)
    return ticked[2] if ticked else text


def unescaped(text: str) -> str:
    """Text that was written as a JSON string once too often: in quotes, or with \\n where a line ends."""
    if text.lstrip().startswith('"'):
        try:
            inner = json.loads(text)
        except (ValueError, RecursionError):
            return text
        return unfenced(inner) if isinstance(inner, str) else text
    if "\n" not in text and not text.lstrip().startswith(("[", "{")):  # in JSON it may be meant
        return text.replace("\\r", "").replace("\\n", "\n")
    return text
