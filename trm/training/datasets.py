"""Where a run's puzzles come from: its training set, the held-out puzzles it is checked with, and its sampler."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

from trm.tasks import find_family, get_task
from trm.tasks.base import Puzzles, Task
from trm.tasks.custom.task import FAMILY, Custom
from trm.tasks.sampler import Sampler
from trm.training import distributed
from trm.training.config import RunConfig


def task_of(config: RunConfig) -> Task:
    """The task that a run is about. Raises BadInput where there is none of that name."""
    return Custom(config.custom) if config.task == FAMILY else get_task(config.task)


def training_set(config: RunConfig, task: Task, again: bool = False) -> Puzzles:
    """What the run trains on. Raises as `load_puzzles` does.

    Remarks on how it was chosen go to standard error, unless the same data is read `again`, for a stage.
    """
    puzzles = find_family(task.spec.name).training_set(task, config)
    if distributed.rank() == 0 and not again:
        for remark in puzzles.remarks:
            print(remark, file=sys.stderr)
    return puzzles


def held_out(config: RunConfig, task: Task) -> Puzzles:
    """Puzzles that are never trained on: the tests of ARC's evaluation tasks, else the embedded validation set.

    Raises BadInput where there are none.
    """
    return find_family(task.spec.name).held_out(task, config)


def make_sampler(config: RunConfig, task: Task, puzzles: Puzzles) -> Sampler:
    """Raises BadInput where the model's table of puzzle embeddings is not the one that ARC's tasks need."""
    return find_family(task.spec.name).sampler(task, puzzles, config)


def described(config: RunConfig, puzzles: Puzzles) -> dict[str, Any]:
    """The training data, for the record: source, size, digest; of ARC which tasks, in the order of their embeddings."""
    about = {"source": Path(config.data).name, "rows": len(puzzles), "sha256": digest(puzzles)}
    return {**about, **puzzles.about()}


def digest(puzzles: Puzzles) -> str:
    """A short fingerprint of the training data, to notice when a run is resumed with other data."""
    return hashlib.sha256(puzzles.content()).hexdigest()[:16]
