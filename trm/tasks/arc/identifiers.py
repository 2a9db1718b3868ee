"""The published names of puzzle embeddings: which ARC task, under which augmentation, each row of a table is for.

The published data set has a file `identifiers.json`, a list with a name for every row. `007bbfb7` is a task as it is,
`007bbfb7|||t3|||0213456789` the task with colour c turned into the c-th of the digits and then turned by symmetry 3 of
`trm.tasks.arc.augment.DIHEDRAL`. Rows that belong to no task are called `<blank>`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from trm.errors import BadInput
from trm.tasks.arc.augment import IDENTITY, SAME, Augmentation
from trm.tasks.text import quoted, read_file

FILE = "identifiers.json"
BLANK = "<blank>"
NAME = re.compile(r"(?P<task>[^|]+)(\|\|\|t(?P<dihedral>[0-7])\|\|\|(?P<colours>[0-9]{10}))?")


class NamedRow(NamedTuple):
    """A row of the table, for one augmentation of a task."""

    row: int
    name: str

    @property
    def augmentation(self) -> Augmentation:
        match = NAME.fullmatch(self.name)
        assert match is not None
        if match["colours"] is None:
            return IDENTITY
        return Augmentation(int(match["dihedral"]), tuple(map(int, match["colours"])))


@dataclass(frozen=True)
class Identifiers:
    """What an `identifiers.json` says."""

    tasks: Mapping[str, tuple[NamedRow, ...]]  # id -> its rows, in their order
    count: int  # rows of the table
    blank: int  # the row for a task without a name: the first that is called `<blank>`


def parse_identifiers(text: str, where: str | Path) -> Identifiers:
    """Raises BadInput for content that is no `identifiers.json`, with the number of the entry."""
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not names:
        raise BadInput(f"{where}: not a list of names, one for each row of the table of puzzle embeddings")
    found: dict[str, list[NamedRow]] = {}
    seen = set[str]()
    for row, name in enumerate(names):
        if name == BLANK:
            continue
        match = NAME.fullmatch(name) if isinstance(name, str) else None
        colours = match["colours"] if match else None
        if match is None or (colours and sorted(map(int, colours)) != list(SAME)):
            raise BadInput(f"{where}: entry {row} is {quoted(str(name))}, not TASK or TASK|||t0|||0123456789")
        if name in seen:
            raise BadInput(f"{where}: entry {row} is {quoted(name)}, as one before it")
        seen.add(name)
        found.setdefault(match["task"], []).append(NamedRow(row, name))
    if not found:
        raise BadInput(f"{where}: names no task")
    blank = names.index(BLANK) if BLANK in names else 0
    return Identifiers({task: tuple(rows) for task, rows in found.items()}, len(names), blank)


def read_identifiers(path: Path) -> Identifiers:
    """See `parse_identifiers`. Raises BadInput for a file that cannot be read, too."""
    return parse_identifiers(read_file(path), path)
