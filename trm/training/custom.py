"""`trm train custom`: the run for a task of the user's own, from its data and what is declared of it."""

from __future__ import annotations

from pathlib import Path

from trm.errors import BadInput
from trm.models.config import ModelConfig
from trm.tasks.custom.structure import Structure, read_structure
from trm.tasks.custom.task import FAMILY, defined
from trm.training.config import RunConfig
from trm.training.presets import GROUPS, LOCAL

ATTENTION = ModelConfig(width=128, heads=4, layers=2, expansion=3, multiple=16, T=1, n=3)


def suited(structure: Structure) -> ModelConfig:
    """The model for what is declared: `groups` where their numbers may be renamed, `local` for neighbours, else
    `attention`.
    """
    if structure.groups and structure.interchangeable:
        return GROUPS
    return LOCAL if structure.neighbours else ATTENTION


def custom_run(config: RunConfig, data: str | None, structure: Path | None) -> RunConfig:
    """The preset's settings for the pairs in the file `data`. Any other preset's are returned as they are.

    Raises:
        BadInput: no data, or a file that is malformed or contradicts the other; a structure for another preset.
    """
    if config.task != FAMILY:
        if structure is not None:
            raise BadInput("--structure is for the preset custom")
        return config
    if data is None:
        raise BadInput("a custom task is defined by its data: give --data FILE, an .npz or a CSV")
    known = defined(data, Structure() if structure is None else read_structure(structure))
    return config.model_copy(update={"data": data, "custom": known, "model": suited(known)})
