"""Puzzles in JSON: rows of numbers or strings, a puzzle or several, objects with a puzzle each.

Every entry must hold a puzzle, and one alone. What an object says beside its puzzle is counted.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from trm.errors import BadInput
from trm.tasks.text import FIELD, QUESTION, Content, TwoReadings, numbered_lines, quoted

# Keys of an object that name its puzzle, or its puzzles
KEYS = (*QUESTION, "grid", "board", "sudoku", "maze", "questions", "puzzles", "grids", "boards", "sudokus", "mazes")
SHOWN = 3  # keys in a message


class Part(NamedTuple):
    """A drawn puzzle, or puzzles of one line each: its rows."""

    rows: list[str]
    unused: int = 0  # fields of objects that hold no puzzle


def json_content(text: str) -> Content | None:
    """The lines of JSON, with an empty line between two grids, and what was left out; None if it is no JSON.

    null becomes a dot. An object is a puzzle if one of its keys is (`question`, `puzzle`, ...). Text with an object in
    each line is JSON, too. Raises BadInput for an entry that holds no puzzle, and TwoReadings.
    """
    values = json_values(text)
    if not values:
        return None
    where = "line {} of the JSON" if len(values) > 1 else "the JSON"
    parts = [part for at, value in enumerate(values, 1) for part in json_parts(value, where.format(at))]
    drawn = [index for index, part in enumerate(parts) if len(part.rows) > 1]
    rows = [[*part.rows, *([""] if index in drawn or index + 1 in drawn else [])] for index, part in enumerate(parts)]
    lines = numbered_lines("\n".join(row for part in rows for row in part))
    return Content(lines, {FIELD: sum(part.unused for part in parts)})


def json_values(text: str) -> list[Any]:
    """The JSON values of a text; none if it is not JSON. Raises TwoReadings for an object with a key twice."""
    for parts in ([text], text.splitlines()):
        try:
            return [json.loads(part.strip("\ufeff \t\r\n"), object_pairs_hook=_once) for part in parts if part.strip()]
        except (ValueError, RecursionError):
            continue
    return []


def _once(items: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(items)
    if len(found) < len(items):
        names = [name for name, _ in items]
        twice = next(name for name in found if names.count(name) > 1)
        raise TwoReadings(f"an object of the JSON has the key {quoted(twice)} twice; either may be meant: delete one")
    return found


def json_parts(value: Any, place: str) -> list[Part]:
    """The puzzles in a value of JSON. Raises BadInput, naming the place, if there is none in it, or in a part of it."""
    if isinstance(value, str) and value.strip():
        return [Part(value.split("\n"))]
    if isinstance(value, dict):
        return _in_object(value, place)
    if not isinstance(value, list) or not value:
        shown = json.dumps(value, ensure_ascii=True)
        raise BadInput(f"{place} is {shown[:40]}, which is no puzzle; delete it, or write the puzzle")
    if not any(isinstance(part, list | dict) or (isinstance(part, str) and len(part) > 1) for part in value):
        return [Part([",".join(map(_cell, value))])]
    # A string of spaces is a row if it is as long as another.
    long = {len(part) for part in value if isinstance(part, str) and part.strip()}
    if all(isinstance(part, str) and (part.strip() or len(part) in long) for part in value):
        return [Part([row for part in value for row in part.split("\n")])]
    if all(isinstance(part, list) and part and not any(isinstance(one, list | dict) for one in part) for part in value):
        return _rows(value, place)
    return [
        found
        for at, part in enumerate(value, 1)
        for found in json_parts(part, f"entry {at} of {place}" if len(value) > 1 else place)
    ]


def _rows(value: Sequence[list[Any]], place: str) -> list[Part]:
    """The parts of a list of lists: rows of cells, or puzzles that are lists of rows."""
    long = [[isinstance(one, str) and len(one) > 1 for one in part] for part in value]
    if not any(map(any, long)):
        return [Part([",".join(map(_cell, part)) for part in value])]
    if all(map(all, long)) and all(len({*map(len, part)}) == 1 for part in value):
        return [Part(part) for part in value]
    if all({*map(type, part)} == {str} for part in value):
        return [Part([",".join(part) for part in value])]  # cells, some of them of two digits
    return [part for at, row in enumerate(value, 1) for part in json_parts(row, f"entry {at} of {place}")]


def _cell(value: Any) -> str:
    """A number or a sign as text. A number that is missing is a blank; some programs write it as NaN."""
    if value is None or value != value:
        return "."
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _in_object(value: dict[str, Any], place: str) -> list[Part]:
    """The puzzles of an object. Raises BadInput if none of its keys names one, and TwoReadings if several do."""
    keys = [key for key in value if key.strip().lower() in KEYS]
    names = ", ".join(quoted(key) for key in [*value][:SHOWN]) + (", ..." if len(value) > SHOWN else "")
    if not keys:
        has = f"has the keys {names}" if value else "is empty"
        raise BadInput(f"{place} {has} and no puzzle; write the puzzle under the key 'puzzle'")
    if any(value[key] != value[keys[0]] for key in keys[1:]):
        raise TwoReadings(
            f"{place}: {quoted(keys[0])} and {quoted(keys[1])} may both be the puzzle; delete or rename one of them"
        )
    first, *rest = json_parts(value[keys[0]], f"{quoted(keys[0])} of {place}")
    return [Part(first.rows, first.unused + len(value) - 1), *rest]
