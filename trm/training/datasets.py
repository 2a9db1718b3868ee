"""Where a run's puzzles come from: its training set, the held-out puzzles it is looked at with, and its sampler."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trm.errors import BadInput
from trm.tasks import get_task, load_puzzles
from trm.tasks.arc.leaks import Leak
from trm.tasks.arc.sets import ArcSet, arc_set
from trm.tasks.arc.task import Arc, ArcPuzzles, evaluation_pairs, training_pairs
from trm.tasks.base import Puzzles, Task
from trm.tasks.custom.task import FAMILY, Custom
from trm.tasks.maze.task import Maze
from trm.training import distributed
from trm.training.arc import ArcSampler
from trm.training.config import RunConfig
from trm.training.mazes import GENERATED, MazePuzzles, training_mazes
from trm.training.sampler import Sampler


def task_of(config: RunConfig) -> Task:
    """The task that a run is about. Raises BadInput where there is none of that name."""
    return Custom(config.custom) if config.task == FAMILY else get_task(config.task)


def training_set(config: RunConfig, task: Task) -> Puzzles:
    """What the run trains on. Says on standard error which pairs of ARC gave a test away. Raises as `load_puzzles`."""
    if isinstance(task, Maze):
        return training_mazes(task, config.data, config.limit, config.augment, config.maze)
    if config.data == GENERATED:
        raise BadInput(f"data=generated is for mazes, and not for {task.spec.name}")
    if not isinstance(task, Arc):
        puzzles = load_puzzles(task, config.data, "train")
        return puzzles.take(slice(0, config.limit)) if config.limit else puzzles
    if config.limit:
        raise BadInput("limit is not for ARC, whose pairs belong to tasks: leave it at 0")
    if config.reveal.share:
        raise BadInput("reveal is not for ARC, whose answers have sizes of their own: --set reveal.share=0")
    sets = _arc_set(config, task)
    if distributed.rank() == 0:
        for line in told(sets, config.arc.keep_leaks):
            print(f"{task.name}: {line}", file=sys.stderr)
    return training_pairs(sets.tasks, embeddings_each(config) - 1)


def told(sets: ArcSet, kept: bool) -> list[str]:
    """What was done with the pairs that give away a test, a line for each kind."""
    lines = []
    if sets.leaks:
        count, pairs = _pairs(sets.leaks)
        what = f"{count} training pair{'s that give' if count > 1 else ' that gives'} away a test"
        did = "kept, as in the published set" if kept else "left out (--set arc.keep_leaks=true keeps them)"
        lines.append(f"{what}: {did}: {pairs}")
    if sets.given:
        count, pairs = _pairs(sets.given)
        what = "training pairs look like a test and stay" if count > 1 else "training pair looks like a test and stays"
        lines.append(f"{count} {what}, as a demonstration of that test: {pairs}")
    return lines


def _pairs(leaks: Sequence[Leak]) -> tuple[int, str]:
    """How many training pairs, and the first ones."""
    pairs = sorted({f"{leak.train} pair {leak.pair + 1}" for leak in leaks})
    return len(pairs), ", ".join(pairs[:5]) + (", ..." if len(pairs) > 5 else "")


def held_out(config: RunConfig, task: Task) -> Puzzles:
    """Puzzles that are never trained on: the tests of ARC's evaluation tasks, else the embedded validation set.

    Raises BadInput where there are none.
    """
    if not isinstance(task, Arc):
        try:
            return load_puzzles(task, "embedded", "validation")
        except BadInput:
            missing = f"no held-out puzzles of task {task.spec.name!r} to check training with"
            raise BadInput(f"{missing}: --set check_every=0") from None
    sets = _arc_set(config, task)
    if not sets.answered():
        raise BadInput(f"no test answer in {config.data} is known, so training cannot be checked: --set check_every=0")
    return evaluation_pairs(sets.answered(), sets.tasks, embeddings_each(config) - 1)


def _arc_set(config: RunConfig, task: Arc) -> ArcSet:
    return arc_set(task.name, config.data, config.arc.extra, config.arc.keep_leaks)


def augmentations(config: RunConfig) -> int:
    """Of each ARC task besides the task itself."""
    return config.arc.augmentations if config.augment else 0


def embeddings_each(config: RunConfig) -> int:
    """Puzzle embeddings for each ARC task: a single one, or one for the task and one for each augmentation."""
    return 1 if config.arc.by_task else 1 + augmentations(config)


def make_sampler(config: RunConfig, task: Task, puzzles: Puzzles) -> Sampler:
    """Raises BadInput where the model's table of puzzle embeddings is not the one that ARC's tasks need."""
    if isinstance(puzzles, MazePuzzles):
        return Sampler(puzzles, puzzles.task, config.batch, config.seed, augment=True, reveal=config.reveal)
    if not isinstance(puzzles, ArcPuzzles):
        return Sampler(puzzles, task, config.batch, config.seed, config.augment, config.reveal)
    sampler = ArcSampler(
        puzzles.tasks, config.batch, config.seed, augmentations(config), config.arc.by_task, translate=config.augment
    )
    have, need = config.model.puzzle_ids, sampler.identifiers
    if have and have != need:  # 0: the model tells no puzzles apart
        each = f"{embeddings_each(config)} puzzle embedding{'s' if embeddings_each(config) > 1 else ''} each"
        raise BadInput(
            f"model.puzzle_ids is {have}, but {len(puzzles.tasks)} tasks with {each} and a blank one need {need}: "
            f"--set model.puzzle_ids={need}, or other arc.augmentations, arc.by_task or arc.extra"
        )
    return sampler


def described(config: RunConfig, puzzles: Puzzles) -> dict[str, Any]:
    """The training data, for the record: source, size, digest; of ARC which tasks, in the order of their embeddings."""
    about = {"source": Path(config.data).name, "rows": len(puzzles), "sha256": digest(puzzles)}
    if not isinstance(puzzles, ArcPuzzles):
        return about
    ids = [task.id for task in puzzles.tasks]
    return {**about, "tasks": ids, "tests_too": [task.id for task in puzzles.tasks if task.test]}


def digest(puzzles: Puzzles) -> str:
    """A short fingerprint of the training data, to notice when a run is resumed with other data."""
    content = puzzles.question.tobytes() + puzzles.answer.tobytes()
    if isinstance(puzzles, ArcPuzzles):  # augmentations depend on the ids and on how many pairs a task has
        content += "".join(f"\0{task.id}\0{len(task.train)}\0{len(task.test)}" for task in puzzles.tasks).encode()
    return hashlib.sha256(content).hexdigest()[:16]
