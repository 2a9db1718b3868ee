"""The models, built by name from a typed configuration and a task's `Spec`."""

from __future__ import annotations

from trm.errors import BadInput
from trm.models.base import Model, Output, State, select
from trm.models.config import ModelConfig
from trm.models.mixers import FRAMES, MIXERS, register_mixer
from trm.models.trm import TRM
from trm.models.turns import TurnsTRM
from trm.models.variants import HRM, Direct, ScalesTRM, SingleTRM
from trm.tasks.base import Spec

__all__ = ["HRM", "TRM", "Direct", "Model", "ModelConfig", "Output", "Spec", "State"]
__all__ += ["build", "register_mixer", "resized", "select"]

KINDS: dict[str, type[TRM]] = {"trm": TRM, "hrm": HRM, "direct": Direct}
MEMORIES: dict[str, type[TRM]] = {"yz": TRM, "single": SingleTRM, "scales": ScalesTRM}


def build(config: ModelConfig, spec: Spec) -> TRM:
    """A model with fresh weights. Raises BadInput for a combination that makes no sense."""
    if config.mixer not in MIXERS:
        raise BadInput(f"mixer {config.mixer!r} is unknown; choose one of {', '.join(sorted(MIXERS))}")
    if config.mixer == "groups" and not spec.groups:
        raise BadInput(f"mixer 'groups' needs constraint groups, and task {spec.name!r} has none")
    if config.mixer == "local" and (config.puzzle_ids or config.positions != "none"):
        raise BadInput("mixer 'local' has no puzzle embeddings and no positions: set puzzle_ids=0 and positions=none")
    if config.mixer == "attention" and config.width % (2 * config.heads):
        raise BadInput(f"width {config.width} must be a multiple of twice the heads ({config.heads})")
    if config.puzzle_ids and config.puzzle_width > config.puzzle_tokens * config.width:
        room = f"{config.puzzle_tokens} puzzle_tokens of width {config.width}"
        raise BadInput(f"puzzle_width {config.puzzle_width} does not fit in {room}")
    if config.hints and (FRAMES[config.mixer] == "symbols" or (config.kind, config.memory) != ("trm", "yz")):
        raise BadInput("hints are for kind 'trm', memory 'yz' and mixers with one vector a cell; set hints=0")
    if config.memory != "yz" and config.kind != "trm":
        raise BadInput(f"memory {config.memory!r} is a variant of kind 'trm', not of {config.kind!r}")
    if config.memory == "single" and config.networks != "shared":
        raise BadInput(f"memory 'single' has one update, so networks cannot be {config.networks!r}")
    if config.turns > 1:
        if (config.kind, config.memory, config.hints) != ("trm", "yz", 0):
            raise BadInput("turns are for kind 'trm', memory 'yz' and no hints")
        return TurnsTRM(config, spec)
    return (KINDS[config.kind] if config.memory == "yz" else MEMORIES[config.memory])(config, spec)


def resized(model: TRM, spec: Spec) -> TRM:
    """The same network for puzzles of another size: it shares its weights and buffers with `model`, so that training
    one trains both. Raises BadInput where the weights depend on the size.
    """
    other = build(model.config, spec).to(next(model.parameters()))
    try:
        other.load_state_dict(model.state_dict(keep_vars=True), assign=True)
    except RuntimeError:
        raise BadInput(f"weights of this model depend on the puzzle's size, so it cannot learn {spec.name}") from None
    return other
