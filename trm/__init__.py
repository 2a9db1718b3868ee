"""Tiny Recursive Models: small networks that solve hard structured puzzles by revising their own answer.

The names below are the public API. They are imported when they are first used, since torch takes a second to import.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from trm.lazy import late
from trm.version import __version__

if TYPE_CHECKING:
    from trm import plot
    from trm.errors import BadInput, TrmError
    from trm.inference.answers import Answer, Step
    from trm.inference.evaluation import evaluate
    from trm.inference.solver import Solver
    from trm.models.config import ModelConfig
    from trm.models.mixers import register_mixer
    from trm.store.stored import load
    from trm.tasks.base import Puzzles, Sign, Spec, Task
    from trm.tasks.family import register_task
    from trm.training.config import RunConfig
    from trm.training.presets import get_preset
    from trm.training.run import train

__all__ = [
    "Answer",
    "BadInput",
    "ModelConfig",
    "Puzzles",
    "RunConfig",
    "Sign",
    "Solver",
    "Spec",
    "Step",
    "Task",
    "TrmError",
    "__version__",
    "evaluate",
    "get_preset",
    "load",
    "plot",
    "register_mixer",
    "register_task",
    "train",
]

# How long a thread of torch waits for the others before it gives its core away. By default that is milliseconds, and
# where other work shares the cores, waiting took 30 times as long as the work. It is read when torch is imported.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

if not TYPE_CHECKING:  # a type checker would otherwise accept any name
    __getattr__ = late(
        __name__,
        {
            "errors": "BadInput TrmError",
            "inference.evaluation": "evaluate",
            "inference.solver": "Answer Solver Step",
            "models.config": "ModelConfig",
            "models.mixers": "register_mixer",
            "plot": "",
            "store.stored": "load",
            "tasks.base": "Puzzles Sign Spec Task",
            "tasks.family": "register_task",
            "training.config": "RunConfig",
            "training.presets": "get_preset",
            "training.run": "train",
        },
    )
