"""Recordings of the work on ARC tasks, which a site replays: training networks takes Python."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from trm.serve.checking import read_arc
from trm.serve.events import arc_events
from trm.serve.schemas import ArcPuzzle, Example

INTERVAL = 500  # milliseconds between two events of progress, at least; those with attempts are all kept


def record(examples: Sequence[Example], seconds: float) -> list[dict[str, Any]]:
    """Solve the ARC tasks among the examples, each with so many seconds of processor time.

    -> for each its puzzle and its events, as the server sends them, with their time. Raises TrmError.
    """
    puzzles = [one.puzzle for one in examples if isinstance(one.puzzle, ArcPuzzle)]
    return [{"puzzle": puzzle.model_dump(), "events": events(puzzle, seconds)} for puzzle in puzzles]


def events(puzzle: ArcPuzzle, seconds: float) -> list[dict[str, Any]]:
    began, found = time.monotonic(), list[dict[str, Any]]()
    for sent in arc_events(read_arc(puzzle.model_dump()), seconds):
        name, data = (line.partition(": ")[2] for line in sent.decode().strip().split("\n"))
        one = {"milliseconds": round(1000 * (time.monotonic() - began)), "name": name, "data": json.loads(data)}
        late = not found or one["milliseconds"] - found[-1]["milliseconds"] >= INTERVAL
        if late or name == "answer" or one["data"]["attempts"]:
            found.append(one)
    return found
