"""For the tests of custom tasks: two of them, with and without rules, and untrained models for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from trm import store
from trm.models import ModelConfig, build
from trm.tasks.custom.structure import Structure
from trm.tasks.custom.task import Custom

LATIN = {"groups": [["rows", "columns"], [[0, 1, 2]]], "blank": 0, "interchangeable": True}
TASK = Custom(Structure.model_validate({**LATIN, "shape": [3, 3], "values": [0, 5, 7, 11]}))
RULE = Custom(Structure.model_validate({"neighbours": 4, "shape": [2, 3], "values": [0, 1, 400]}))


def write_model(folder: Path, task: Custom, **run: Any) -> str:
    """An untrained model for a task, as a run leaves one. -> the folder's name"""
    torch.manual_seed(0)
    mixer = ("groups" if task.spec.symbols else "relations") if task.checkable else "local"
    config = ModelConfig(mixer=mixer, width=8, layers=1, multiple=8, T=1, n=1, positions="none")
    run = {"task": "custom", "custom": task.structure.model_dump(mode="json"), **run}
    store.save_model(folder, build(config, task.spec), config, task.spec, "custom", {"run": run})
    return str(folder)
