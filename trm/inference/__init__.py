"""Trained models at work: one loop over supervision steps, solving and evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trm.lazy import late

if TYPE_CHECKING:
    from trm.inference.answers import Answer, Step
    from trm.inference.evaluation import Evaluation, evaluate, evaluate_model, evaluate_starts
    from trm.inference.loop import Thinking
    from trm.inference.solver import Solver

__all__ = ["Answer", "Evaluation", "Solver", "Step", "Thinking", "evaluate", "evaluate_model", "evaluate_starts"]

if not TYPE_CHECKING:  # a type checker would otherwise accept any name
    __getattr__ = late(
        __name__,
        {
            "evaluation": "Evaluation evaluate evaluate_model evaluate_starts",
            "loop": "Thinking",
            "solver": "Answer Solver Step",
        },
    )
