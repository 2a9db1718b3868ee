"""The preset for a task of the user's own. Its model depends on what is declared of the task."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from trm.errors import BadInput
from trm.models.config import ModelConfig
from trm.remarks import report_once
from trm.tasks import get_task
from trm.tasks.custom.inspection import inspect
from trm.tasks.custom.layers import defined
from trm.tasks.custom.structure import Structure, read_structure
from trm.tasks.custom.task import FAMILY
from trm.tasks.custom.text import read_pairs
from trm.tasks.sampler import Reveal
from trm.tasks.text import naming
from trm.training.config import RunConfig
from trm.training.presets.base import GROUPS, LOCAL, OWN_RUN, Preset

RELATIONS = ModelConfig(mixer="relations", width=64, layers=1, expansion=3, multiple=16, T=1, n=3, positions="none")

# A model halts where it is so sure. At 0.5, trained for minutes, it halts in its first step on boards that need two.
HALT = 0.9

# Supervision steps in an update, except with the mixer `groups`: what is far away reaches a cell in many calls, through
# which the gradient has to come back.
WINDOW = 3

CUSTOM = Preset(
    name="custom",
    hardware="two CPU cores",
    time="minutes to hours",
    score="that of your task",
    procs=2,
    config=OWN_RUN.changed(
        task=FAMILY,
        data="",
        model=GROUPS.changed(halt_probability=HALT),  # or what `suited` finds better
        max_steps=16,
        explore=0.5,  # an answer must stay right in steps after the halt, of which training sees few otherwise
        start_noise=0.5,
        lr=4e-3,
        ema=0.995,
        batch=16,
        micro=8,
        updates=4000,
        reveal=Reveal(share=0.9, most=0.5, until=0.7, last=0.5),
    ),
    note="pairs of integer grids of your own: --data FILE.npz or CSV, --structure FILE; see docs/custom.md",
)


def suited(structure: Structure) -> ModelConfig:
    """The model for a task: `groups` where the numbers in its groups may be renamed, `local` where the four neighbours
    are all that matters, else `relations`.
    """
    near = structure.neighbours is not None
    if structure.groups and structure.interchangeable and structure.layers == 1 and not near and not structure.related:
        return GROUPS
    plain = structure.neighbours == 4 and structure.radius == 1 and not structure.wrap
    return LOCAL if plain and not structure.groups and not structure.related else RELATIONS


def own_preset(task: str) -> Preset:
    """The preset for a registered task: that of a custom one with as much structure. Raises BadInput."""
    spec = get_task(task).spec
    alone = spec.groups and spec.symbols > 1 and not spec.related and not spec.offsets
    model = GROUPS if alone else RELATIONS
    config = with_model(CUSTOM.config, model).changed(task=task, data="embedded")
    return replace(CUSTOM, name=task, config=config, note=f"the task {task} of an installed package or of this program")


def found(data: str) -> Structure:
    """What the pairs in a file show, without rules that nobody declared. Standard error says it. Raises BadInput."""
    with naming(data):
        looked = inspect(read_pairs(data, Structure()))
    known = looked.symmetric()
    renamed = ["numbers renamed"] if known.interchangeable else []
    blank = "none" if known.blank is None else known.blank
    none = "none" if looked.symmetries else "none, as too few pairs differ in question and answer to look for any"
    moves = ", ".join([*renamed, *known.symmetries]) or none
    report_once(f"no structure is declared; found in the pairs: blank {blank}; symmetries that training uses: {moves}")
    return known


def custom_run(config: RunConfig, data: str | None, structure: Path | None) -> RunConfig:
    """The settings of the preset `custom` for the pairs in the file `data`. Other presets' are returned unchanged.

    Raises:
        BadInput: no data; a malformed file; data and structure that contradict each other; a structure for another
            preset.
    """
    if config.task != FAMILY:
        if structure is not None:
            raise BadInput("--structure is for the preset custom")
        return config
    if data is None:
        raise BadInput("a custom task is defined by its data: give --data FILE, an .npz or a CSV")
    known = defined(data, found(data) if structure is None else read_structure(structure))
    return with_model(config, suited(known)).changed(data=data, custom=known)


def with_model(config: RunConfig, model: ModelConfig) -> RunConfig:
    """The settings with this model, as it halts and is trained in custom tasks."""
    window = config.window if model == GROUPS else WINDOW
    return config.changed(model=model.changed(halt_probability=HALT), window=window)
