"""The public puzzle sets of the Hugging Face hub, a random part of one at a time."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from trm.errors import BadInput, TrmError
from trm.hub import fetch
from trm.tasks.base import Puzzles, Task
from trm.tasks.family import find_family
from trm.tasks.text import decode


def public_set(task: Task) -> str:
    """The repository of a task's benchmark. Raises BadInput for a task that has none."""
    dataset = find_family(task.spec.name).dataset
    if dataset is None:
        raise BadInput(f"no public set of puzzles is known for task {task.spec.name!r}; give a file with --data PATH")
    return dataset


def download(task: Task, repo: str = "", file: str = "train.csv", rows: int = 1000, seed: int = 0) -> Puzzles:
    """`rows` random rows of a dataset's CSV on the hub, in random order; if it has no more, all in their own order.

    Without `repo` it is the dataset of the task's benchmark.
    The whole file is downloaded once and kept in the hub's cache. The same file, rows and seed give the same puzzles.
    HF_ENDPOINT and HF_HUB_CACHE work as they do elsewhere.

    Raises:
        BadInput: the task has no public set.
        TrmError: huggingface_hub is not installed, the file cannot be had, or it does not hold puzzles with answers.
    """
    repo = repo or public_set(task)
    path = fetch(repo, file)
    lines, text = sample(path, rows, seed)
    try:
        puzzles = task.read(decode(text, file))
    except BadInput as error:
        # `read` counts the lines it was given; people look them up in the file.
        message = re.sub(r"\bline (\d+)", lambda match: f"line {lines[min(int(match[1]), len(lines)) - 1]}", str(error))
        raise TrmError(f"dataset {repo}, {file}: {message}") from None
    if not puzzles.answer.any(axis=1).all():
        raise TrmError(f"dataset {repo}, {file}: a puzzle has no answer; choose a file with both")
    return puzzles


def sample(path: Path, rows: int, seed: int) -> tuple[list[int], bytes]:
    """The heading and `rows` random lines of a CSV, or all it has. -> their line numbers from 1, and the lines.

    The published file has millions of lines, so it is read through twice (to count, then to pick) and never held.
    """
    with path.open("rb") as file:
        count = sum(1 for _ in file) - 1
    if count < 1:
        return [1], path.read_bytes()
    chosen = list(range(count))
    if count > rows:
        chosen = np.random.default_rng(seed).choice(count, rows, replace=False).tolist()
    place = {number: at for at, number in enumerate(chosen, 1)}  # row from 0 -> line of the result
    picked = [b""] * (len(chosen) + 1)
    with path.open("rb") as file:
        picked[0] = next(file)
        for number, line in enumerate(file):
            if (at := place.get(number)) is not None:
                picked[at] = line
    # The last line of a file may lack its end.
    return [1, *(number + 2 for number in chosen)], b"".join(line.rstrip(b"\r\n") + b"\n" for line in picked)
