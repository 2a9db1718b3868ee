"""What is used for a task unless the user says otherwise: weights, and how long to think."""

from __future__ import annotations

from typing import Any

from trm.errors import BadInput
from trm.tasks import find_family


def default_weights(task: str) -> str:
    """The weights that are used for a task unless others are named. Raises BadInput where none ship."""
    weights = find_family(task).weights
    if weights is None:
        raise BadInput(f"no weights for {task} ship with this version; train some and name their folder as weights")
    return weights


def usual_thinking(task: str, given: dict[str, Any], least: int = 1) -> dict[str, Any]:
    """A task's settings of `Thinking`, of `least` steps or more; those that are `given` (not None) take precedence."""
    chosen = {name: value for name, value in given.items() if value is not None}
    usual = find_family(task).thinking
    return {**usual, "steps": max(usual["steps"], least), **chosen}
