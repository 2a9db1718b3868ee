"""Named training runs, each with its command, the hardware it suits, the time it takes and its score."""

from __future__ import annotations

import difflib

from trm.errors import BadInput
from trm.remarks import report_rename
from trm.store.shipped import RENAMED
from trm.tasks.family import registered
from trm.training.presets import maze, sudoku
from trm.training.presets.base import Preset
from trm.training.presets.custom import CUSTOM, custom_run, own_preset
from trm.training.presets.published import PUBLISHED
from trm.training.presets.small import SMALL

__all__ = ["OWN", "PRESETS", "PUBLISHED", "SMALL", "Preset", "custom_run", "get_preset"]

OWN = (sudoku.MINI, sudoku.SUDOKU, sudoku.SEARCH, sudoku.GPU, maze.MAZE, maze.GENERATED, CUSTOM)
PRESETS: dict[str, Preset] = {preset.name: preset for preset in (*OWN, *SMALL, *PUBLISHED)}

# A model has the name of the preset that trained it, so most of the former names are those of models.
FORMER_NAMES = {old: new for old, new in RENAMED.items() if new in PRESETS}
FORMER_NAMES["sudoku-extreme-gpu-varied"] = "sudoku-gpu"
REPLACED = {"sudoku-extreme-cpu": "sudoku"}  # presets that are no more


def get_preset(name: str) -> Preset:
    """The preset of that name, or the one for the task of that name from outside this package.

    A former name is understood, and the present one printed on standard error. Raises BadInput, which names similar
    presets, where there is none.
    """
    if name in FORMER_NAMES:
        report_rename(f"preset {name}", FORMER_NAMES[name])
        name = FORMER_NAMES[name]
    if name in REPLACED:
        raise BadInput(f"preset {name} was removed: use {REPLACED[name]} instead; `trm train list` shows all")
    if name not in PRESETS and registered(name):
        return own_preset(name)
    if name not in PRESETS:
        near = ", ".join(difflib.get_close_matches(name, PRESETS, 3, 0.4)) or ", ".join(sorted(PRESETS))
        raise BadInput(f"no preset {name!r}; did you mean {near}? `trm train list` shows all")
    return PRESETS[name]
