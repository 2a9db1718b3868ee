"""The models, built by name from a typed configuration and a task's `Spec`."""

from __future__ import annotations

from trm.errors import BadInput
from trm.models.base import Model, Output, State, select
from trm.models.config import ModelConfig
from trm.models.mixers import FRAMES, MIXERS, register_mixer
from trm.models.precision import set_precision
from trm.models.trm import TRM
from trm.models.turns import TurnsTRM
from trm.models.variants import HRM, Direct, ScalesTRM, SingleTRM
from trm.tasks.base import Spec

__all__ = ["HRM", "TRM", "Direct", "Model", "ModelConfig", "Output", "Spec", "State"]
__all__ += ["build", "register_mixer", "resized", "select"]

KINDS: dict[str, type[TRM]] = {"trm": TRM, "hrm": HRM, "direct": Direct}
MEMORIES: dict[str, type[TRM]] = {"yz": TRM, "single": SingleTRM, "scales": ScalesTRM}


def build(config: ModelConfig, spec: Spec) -> TRM:
    """A model with fresh weights. Raises BadInput where the configuration does not suit the task or its own mixer."""
    if config.mixer not in MIXERS:
        raise BadInput(f"mixer {config.mixer!r} is unknown; choose one of {', '.join(sorted(MIXERS))}")
    if config.mixer == "groups" and not spec.groups:
        raise BadInput(f"mixer 'groups' needs constraint groups, and task {spec.name!r} has none")
    if FRAMES[config.mixer] == "symbols" and not spec.symbols:
        raise BadInput(f"mixer {config.mixer!r} needs numbers that may be renamed, and task {spec.name!r} has none")
    if config.hints and FRAMES[config.mixer] == "symbols":
        raise BadInput(f"hints are for mixers with one vector a cell, and {config.mixer!r} is none; set hints=0")
    if config.turns > 1:
        return TurnsTRM(config, spec)
    return (KINDS[config.kind] if config.memory == "yz" else MEMORIES[config.memory])(config, spec)


def resized(model: TRM, spec: Spec) -> TRM:
    """The same network for puzzles of another size, with the weights and buffers of `model`: training one trains both.

    Raises BadInput where the weights depend on the size.
    """
    other = build(model.config, spec).to(next(model.parameters()))
    set_precision(other, model.precision)
    try:
        other.load_state_dict(model.state_dict(keep_vars=True), assign=True)
    except RuntimeError:
        raise BadInput(f"weights of this model depend on the puzzle's size, so it cannot learn {spec.name}") from None
    return other
