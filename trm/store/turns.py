"""A model made of stored networks that take turns."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trm.errors import BadInput
from trm.files import check_writable
from trm.models import build
from trm.models.turns import TurnsTRM
from trm.store.stored import CONFIG, check_new, load, save_model
from trm.tasks.arc.text import VERSIONS


def take_turns(names: Sequence[str], out: Path, steps: int) -> None:
    """Write a model whose networks are stored models that take turns.

    Args:
        names: of the models, see `trm.store.stored.find`. The first one begins.
        out: the folder of the new model.
        steps: supervision steps of each turn.

    Raises:
        BadInput: fewer than two models, models of different shapes or tasks, models of a kind that cannot take turns,
            or `out` already holds a model.
    """
    check_new(out, "OUT")
    models = [load(name) for name in names]
    if len(models) < 2:
        raise BadInput("to take turns there must be two models or more; name another one")
    first = models[0]
    for name, other in zip(names, models, strict=True):
        if other.model.config.turns > 1:
            raise BadInput(f"{name} is already made of networks that take turns; name those models instead")
        if other.spec.name in VERSIONS:
            raise BadInput(
                f"{name} identifies ARC tasks by numbers of its own, so it cannot take turns with another model"
            )
        alike = other.model.config.changed(halt_probability=first.model.config.halt_probability)
        if (alike, other.spec) != (first.model.config, first.spec):
            raise BadInput(f"{name} has another shape or task than {names[0]}; networks that take turns must be alike")
    try:
        cautious = max(stored.model.config.halt_probability for stored in models)
        config = first.model.config.changed(turns=len(models), turn_steps=steps, halt_probability=cautious)
        joint = build(config, first.spec)
    except BadInput as error:
        raise BadInput(f"{names[0]} cannot take turns: {error}") from None
    assert isinstance(joint, TurnsTRM)
    for network, stored in zip((joint, *joint.others), models, strict=True):
        network.load_state_dict(stored.model.state_dict(), strict=network is not joint)
    check_writable(out / CONFIG)
    about: dict[str, Any] = {key: first.about[key] for key in ("run", "data") if key in first.about}
    about["command"] = shlex.join(("trm", "turns", str(out), *names, "--steps", str(steps)))
    about["turns"] = [stored.about for stored in models]
    save_model(out, joint, config, first.spec, out.name, about)
