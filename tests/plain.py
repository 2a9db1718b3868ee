"""Plain readings of files, which know nothing of `trm`, to check what it reads against."""

from __future__ import annotations

import codecs
import json
import random
import sys
from collections.abc import Sequence
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor


def alike(found: Any, given: Any) -> bool:
    """Whether all of `given` is in `found`, bit by bit. 1 is 1.0, but not true."""
    if isinstance(given, dict):
        return isinstance(found, dict) and all(key in found and alike(found[key], given[key]) for key in given)
    if isinstance(given, list | tuple):
        return isinstance(found, list | tuple) and len(found) == len(given) and all(map(alike, found, given))
    if isinstance(given, Tensor):
        return isinstance(found, Tensor) and found.dtype == given.dtype and torch.equal(found, given)
    if isinstance(given, float) and given != given:
        return isinstance(found, float) and found != found
    return (type(found) is type(given) or {type(found), type(given)} == {int, float}) and bool(found == given)


def is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def read_json(content: bytes) -> Any:
    """What JSON holds; None if it is none, or an object has a name twice."""

    def once(items: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(items)) < len(items):
            raise ValueError
        return dict(items)

    try:
        wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return json.loads(content.decode("utf-16" if wide else "utf-8-sig").lstrip("\ufeff"), object_pairs_hook=once)
    except (ValueError, RecursionError):
        return None


# ARC tasks

PARTS = ("train", "test")
HIDDEN: tuple[Any, ...] = (None, [], [[]])


def arc_task(chance: random.Random) -> dict[str, Any]:
    """A task of noise."""

    def grid() -> list[list[int]]:
        height, width = chance.randint(1, 3), chance.randint(1, 3)
        return [[chance.randint(0, 9) for _ in range(width)] for _ in range(height)]

    return {part: [{"input": grid(), "output": grid()} for _ in range(chance.randint(1, 2))] for part in PARTS}


def is_grid(value: Any) -> bool:
    rows: list[Any] = value if isinstance(value, list) and 0 < len(value) <= 30 else [None]
    same = all(isinstance(row, list) and 0 < len(row) <= 30 and len(row) == len(rows[0]) for row in rows)
    return same and all(type(cell) is int and 0 <= cell <= 9 for row in rows for cell in row)


def read_task(data: Any) -> dict[str, Any] | None:
    """The task in JSON, without what does not matter; None if it is none."""
    try:
        if not all(isinstance(data[part], list) and data[part] for part in PARTS):
            return None
        task = {part: [{"input": pair["input"]} for pair in data[part]] for part in PARTS}
        for part in PARTS:
            for pair, given in zip(task[part], data[part], strict=True):
                if part == "train" or given.get("output") not in HIDDEN:
                    pair["output"] = given["output"]
    except (LookupError, TypeError, AttributeError):
        return None
    return task if all(is_grid(grid) for part in PARTS for pair in task[part] for grid in pair.values()) else None


def read_tasks(data: Any, name: str) -> dict[str, Any]:
    """The tasks in JSON by name; {} if one of them is none."""
    named = {name: data} if isinstance(data, dict) and data.keys() & {*PARTS} else data
    tasks = {name: read_task(task) for name, task in named.items()} if isinstance(named, dict) else {}
    return {} if None in tasks.values() else tasks


def with_answers(tasks: dict[str, Any], answers: Any) -> dict[str, Any]:
    """The tasks with these answers of their tests; {} if one of them does not have its answers."""
    full = {}
    for name, task in tasks.items():
        grids = answers.get(name) if isinstance(answers, dict) else None
        if not isinstance(grids, list) or len(grids) != len(task["test"]):
            return {}
        pairs = [{**pair, "output": grid} for pair, grid in zip(task["test"], grids, strict=True)]
        full[name] = read_task({**task, "test": pairs})
    return {} if None in full.values() else full


def check_tasks(found: Sequence[Any], expected: dict[str, Any]) -> None:
    """All of them were read, and no others. One whose name cannot be an id has another id."""
    tasks = {task.id: task.as_dict() for task in found}
    assert len(tasks) == len(found) == len(expected)
    assert all(tasks[id] == task for id, task in expected.items() if id.isprintable() and 0 < len(id) <= 80)
    assert sorted(map(str, tasks.values())) == sorted(map(str, expected.values()))
    assert all(id.isprintable() and 0 < len(id) <= 80 for id in tasks)


# Arrays


def are_pairs(arrays: Sequence[npt.NDArray[Any]]) -> bool:
    """Whether arrays of one shape hold grids of whole numbers of at most nine digits."""
    if any(array.dtype.kind not in "iub" or array.ndim != 3 or array.size == 0 for array in arrays):
        return False
    fits = all(array.min() >= 0 and array.max() < 10**9 and max(array.shape[1:]) <= 256 for array in arrays)
    return fits and len({array.shape for array in arrays}) == 1


# Runs and models


def read_launch(record: bytes, about: dict[str, Any]) -> list[int]:
    """With how many processes, threads and slots a run was read_launch: from `run.json`, or else from `config.json`."""
    counts = [about["processes"], about["threads"], about["run"]["batch"]]
    try:
        given = json.loads(record)
        known = [given["launch"]["processes"], given["launch"]["threads"], given["run"]["batch"]]
    except (ValueError, LookupError, TypeError, RecursionError):
        return counts
    return known if all(type(count) is int and count > 0 for count in known) else counts


def unwrapped(tensors: dict[str, Any], prefixes: tuple[str, ...]) -> dict[str, Any]:
    """Tensors without the prefixes of their names, no two of which become one."""
    bare = {}
    for name, value in tensors.items():
        while name.startswith(prefixes):
            name = name.partition(".")[2]
        assert name not in bare
        bare[name] = value
    return bare


def logged(line: bytes) -> tuple[Any, list[Any]]:
    """The update of a line of a log, None if it has none; and its numbers as a history has them, [] if one is none."""
    when, values = None, []
    try:
        record = json.loads(line.decode())
        when = record["update"] if "update" in record else record["step"]
        part = record.get("check", record)
        exact, of = (part["exact"][-1], part["rows"]) if "check" in record else (part["exact"], part["finished"])
        values = [when, record["seconds"], *([] if "check" in record else [part["loss"]]), exact, of]
        values = [*values[:-2], exact * of, of] if all(map(is_number, values)) else []
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        pass
    return when if is_number(when) else None, values if all(map(is_number, values)) else []


def read_log(raw: bytes) -> tuple[dict[int, list[list[Any]]], tuple[int, ...]]:
    """The lines of a log by how many numbers they have, and which are damaged, from 1; the last one may be cut off."""
    lines = raw.split(b"\n")
    rows = [logged(line)[1] for line in lines]
    damaged = tuple(at for at, row in enumerate(rows[:-1], 1) if not row and lines[at - 1].strip())
    return {size: [row for row in rows if len(row) == size] for size in (4, 5)}, damaged


def trimmed(raw: bytes, update: int) -> tuple[bytes, bytes | None]:
    """A log without what follows an update, and the whole log where a line that is not the last says no update."""
    lines = raw.split(b"\n")
    whens = [logged(line)[0] for line in lines]
    kept = [line + b"\n" for line, when in zip(lines, whens, strict=True) if when is not None and when <= update]
    return b"".join(kept), raw if None in whens[:-1] else None
