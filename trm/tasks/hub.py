"""Public sets of puzzles on the Hugging Face hub, and random rows of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Set
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trm.errors import BadInput, TrmError
from trm.hub import fetch
from trm.tasks.base import Puzzles, Task
from trm.tasks.family import find_family
from trm.tasks.text import decode


def public_set(task: Task) -> str:
    """The repository of a task's public set. Raises BadInput for a task that has none."""
    dataset = find_family(task.spec.name).dataset
    if dataset is None:
        raise BadInput(f"no public set of puzzles is known for task {task.spec.name!r}; give a file with --data PATH")
    return dataset


class Downloaded(NamedTuple):
    """Rows of a public set."""

    puzzles: Puzzles
    text: str  # the heading and the rows, as they stand in the file


def download(
    task: Task,
    repo: str = "",
    file: str = "train.csv",
    rows: int = 1000,
    seed: int = 0,
    without: Collection[str] = (),
) -> Downloaded:
    """Random rows of a CSV file on the hub, in random order. If it has no more than `rows`, all of them as they stand.

    The whole file is downloaded once and stays in the hub's cache. The environment variables HF_ENDPOINT and
    HF_HUB_CACHE work as usual.

    Args:
        task: the task that reads the rows.
        repo: the dataset's repository; empty: the task's public set.
        file: its name there.
        rows: how many to take.
        seed: of the choice. The same file, rows and seed give the same puzzles.
        without: lines of questions that are left out before the choice.

    Raises:
        BadInput: the task has no public set.
        TrmError: huggingface_hub is not installed, the file cannot be downloaded, or it does not hold puzzles with
            answers.
    """
    repo = repo or public_set(task)
    path = fetch(repo, file)
    part = sample(path, rows, seed, {line.encode() for line in without})
    try:
        text = decode(part.text, file)
        puzzles = task.read(text)
    except BadInput as error:
        # `read` counts the lines that it was given; people look them up in the file.
        lines = part.numbers
        message = re.sub(r"\bline (\d+)", lambda match: f"line {lines[min(int(match[1]), len(lines)) - 1]}", str(error))
        raise TrmError(f"dataset {repo}, {file}: {message}") from None
    if not puzzles.answer.any(axis=1).all():
        raise TrmError(f"dataset {repo}, {file}: a puzzle has no answer; choose a file with both")
    return Downloaded(puzzles, text)


class SampledLines(NamedTuple):
    """The heading and some other lines of a CSV."""

    numbers: list[int]  # of the lines in the file, from 1
    text: bytes


def sample(path: Path, rows: int, seed: int, without: Set[bytes] = frozenset()) -> SampledLines:
    """The heading and `rows` random lines of a CSV, or all of its lines if it has no more.

    The published file has millions of lines, so it is read twice, to count and to pick, and is never whole in memory.
    `without`: fields; lines with one of them are left out before the choice.
    """
    with path.open("rb") as file:
        next(file, None)
        kept = [at for at, line in enumerate(file) if not without or without.isdisjoint(line.rstrip().split(b","))]
    if not kept:
        return SampledLines([1], path.read_bytes().splitlines()[0] if without else path.read_bytes())
    chosen = kept
    if len(kept) > rows:
        chosen = [kept[at] for at in np.random.default_rng(seed).choice(len(kept), rows, replace=False)]
    place = {number: at for at, number in enumerate(chosen, 1)}  # row of the file from 0 -> line of the result
    picked = [b""] * (len(chosen) + 1)
    with path.open("rb") as file:
        picked[0] = next(file)
        for number, line in enumerate(file):
            if (at := place.get(number)) is not None:
                picked[at] = line
    # The last line of a file may have no newline.
    text = b"".join(line.rstrip(b"\r\n") + b"\n" for line in picked)
    return SampledLines([1, *(number + 2 for number in chosen)], text)
