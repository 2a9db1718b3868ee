"""What a stored model says of how it was trained, and of the models that it began with."""

from __future__ import annotations

import json
from typing import Any


def trainings(about: dict[str, Any]) -> list[dict[str, Any]]:
    """What is known of a model's training, then of that of the model whose weights it began with, and so on; the last
    is empty where nothing is known of one. Of networks that take turns: of each, but of a training that several come
    from only the most that was done of it.
    """
    if "turns" in about:
        return once([one for member in about["turns"] for one in trainings(member)])
    known = [about]
    if "init" in about or (isinstance(about.get("run"), dict) and about["run"].get("init")):
        began = about.get("init")
        known += trainings(began if isinstance(began, dict) else {})
    return known


def once(known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """`known` without the earlier states of trainings that are there more than once."""
    longest: dict[str, dict[str, Any]] = {}
    for number, one in enumerate(known):
        told: dict[str, Any] = {key: one[key] for key in ("command", "data", "run", "init") if key in one}
        if "run" in told:
            told["run"] = run_settings(one)
        key = json.dumps(told, sort_keys=True) if told else str(number)  # what is not known of may be another each time
        if key not in longest or (update_of(one) or 0) > (update_of(longest[key]) or 0):
            longest[key] = one
    return list(longest.values())


def update_of(about: dict[str, Any]) -> Any:
    """How many updates the weights have had, under its name or under its former one, `step`; None: not known."""
    return about.get("update", about.get("step"))


def run_settings(about: dict[str, Any]) -> Any:
    """The settings of the run, under their present names: `updates` was `steps` once. None where they are not known."""
    run = about.get("run")
    return {"updates" if key == "steps" else key: value for key, value in run.items()} if isinstance(run, dict) else run


def training_seconds(about: dict[str, Any]) -> float | None:
    """Of all trainings of a model; None where one does not say."""
    total = 0.0
    for one in trainings(about):
        if not isinstance(seconds := one.get("seconds"), int | float):
            return None
        total += seconds
    return total
