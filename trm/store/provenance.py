"""How a stored model was trained: its own training run, and the runs of the models that it started from."""

from __future__ import annotations

import json
from typing import Any


def trainings(about: dict[str, Any]) -> list[dict[str, Any]]:
    """The records of all training runs behind a model: its own run, that of the model it started from, and so on.

    A record is empty if nothing is known of the run. For networks that take turns, these are the runs of every network.
    A run shared by several networks counts once, at its latest update.

    Args:
        about: the provenance of the model (`Stored.about`).
    """
    if "turns" in about:
        return merge_shared([run for network in about["turns"] for run in trainings(network)])
    runs = [about]
    if "init" in about or (isinstance(about.get("run"), dict) and about["run"].get("init")):
        initial = about.get("init")
        runs += trainings(initial if isinstance(initial, dict) else {})
    return runs


def merge_shared(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of several records of the same run, only the latest."""
    latest: dict[str, dict[str, Any]] = {}
    for number, run in enumerate(runs):
        identity: dict[str, Any] = {key: run[key] for key in ("command", "data", "run", "init") if key in run}
        if "run" in identity:
            identity["run"] = run_settings(run)
        key = json.dumps(identity, sort_keys=True) if identity else str(number)  # unknown runs are not merged
        if key not in latest or (update_of(run) or 0) > (update_of(latest[key]) or 0):
            latest[key] = run
    return list(latest.values())


def update_of(about: dict[str, Any]) -> Any:
    """How many updates the weights have had, under its name or under its former one, `step`; None: not known."""
    return about.get("update", about.get("step"))


def run_settings(about: dict[str, Any]) -> Any:
    """The settings of the run, under their present names: `updates` was `steps` once. None where they are not known."""
    run = about.get("run")
    return {"updates" if key == "steps" else key: value for key, value in run.items()} if isinstance(run, dict) else run


def training_seconds(about: dict[str, Any]) -> float | None:
    """Training time of a model in seconds, over all runs behind it; None if it is unknown for one of them."""
    total = 0.0
    for run in trainings(about):
        if not isinstance(seconds := run.get("seconds"), int | float):
            return None
        total += seconds
    return total
