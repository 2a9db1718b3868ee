"""Training runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trm.lazy import late

if TYPE_CHECKING:
    from trm.training.config import RunConfig, Stage, override
    from trm.training.presets import PRESETS, Preset, get_preset
    from trm.training.run import train
    from trm.training.trainer import Trainer

__all__ = ["PRESETS", "Preset", "RunConfig", "Stage", "Trainer", "get_preset", "override", "train"]

if not TYPE_CHECKING:  # a type checker would otherwise accept any name
    __getattr__ = late(
        __name__,
        {
            "config": "RunConfig Stage override",
            "presets": "PRESETS Preset get_preset",
            "run": "train",
            "trainer": "Trainer",
        },
    )
