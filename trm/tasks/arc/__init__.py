"""ARC-AGI: its tasks, their symmetries, and what is trained on and tested."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trm.lazy import late

if TYPE_CHECKING:
    from trm.tasks.arc.augment import Augmentation
    from trm.tasks.arc.leaks import Leak, find_leaks
    from trm.tasks.arc.sets import ArcSet, arc_set
    from trm.tasks.arc.task import Arc
    from trm.tasks.arc.text import (
        SAMPLES,
        VERSIONS,
        ArcTask,
        Benchmark,
        Grid,
        Pair,
        benchmark,
        read_tasks,
        samples,
    )
    from trm.tasks.arc.training import ArcSettings

__all__ = [
    "SAMPLES",
    "VERSIONS",
    "Arc",
    "ArcSet",
    "ArcSettings",
    "ArcTask",
    "Augmentation",
    "Benchmark",
    "Grid",
    "Leak",
    "Pair",
    "arc_set",
    "benchmark",
    "find_leaks",
    "read_tasks",
    "samples",
]

if not TYPE_CHECKING:  # a type checker would otherwise accept any name
    __getattr__ = late(
        __name__,
        {
            "augment": "Augmentation",
            "leaks": "Leak find_leaks",
            "sets": "ArcSet arc_set",
            "task": "Arc",
            "text": "SAMPLES VERSIONS ArcTask Benchmark Grid Pair benchmark read_tasks samples",
            "training": "ArcSettings",
        },
    )
