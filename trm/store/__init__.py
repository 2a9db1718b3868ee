"""Models on disk: the package's own format, provenance, published checkpoints and ONNX files.

The public names are imported when they are first used, since most of them import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trm.lazy import late

if TYPE_CHECKING:
    from trm.store.cards import ShippedModel, shipped_models
    from trm.store.provenance import training_seconds, trainings
    from trm.store.shipped import SHIPPED, shipped_names
    from trm.store.stored import (
        CHECKPOINT,
        CONFIG,
        WEIGHTS,
        Stored,
        check_family,
        check_free,
        find,
        load,
        resize,
        save_model,
    )
    from trm.store.turns import take_turns

__all__ = [
    "CHECKPOINT",
    "CONFIG",
    "SHIPPED",
    "WEIGHTS",
    "ShippedModel",
    "Stored",
    "check_family",
    "check_free",
    "find",
    "load",
    "resize",
    "save_model",
    "shipped_models",
    "shipped_names",
    "take_turns",
    "training_seconds",
    "trainings",
]

if not TYPE_CHECKING:  # a type checker would otherwise accept any name
    __getattr__ = late(
        __name__,
        {
            "cards": "ShippedModel shipped_models",
            "provenance": "training_seconds trainings",
            "shipped": "SHIPPED shipped_names",
            "stored": "CHECKPOINT CONFIG WEIGHTS Stored check_family check_free find load resize save_model",
            "turns": "take_turns",
        },
    )
