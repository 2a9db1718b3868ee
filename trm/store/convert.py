"""Tensors of published TRM and HRM checkpoints to this package's names and back. Files: `trm/store/published.py`.

The published names are those of the code of arXiv 2510.04871 (TRM) and 2506.21734 (HRM). The configuration is read from
the shapes of the tensors as far as possible. Other settings have their published values unless they are given, and
`Imported.assumed` says which. A tensor that is missing, unknown or of another shape is an error that names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trm.errors import BadInput
from trm.models import build
from trm.models.config import ModelConfig
from trm.models.layers import gated_width
from trm.tasks.base import Spec

# Added by torch.compile, data-parallel training, the loss wrapper and the halting wrapper.
PREFIXES = ("_orig_mod.", "module.", "model.", "inner.")
# Parts of our names and of the published names, replaced in this order.
NAMES = (
    ("frame.embedding", "embed_tokens.embedding_weight"),
    ("frame.positions", "embed_pos.embedding_weight"),
    ("frame.puzzle.table", "puzzle_emb.weights"),
    ("frame.head.", "lm_head."),
    ("frame.halt.", "q_head."),
    ("frame.start_y", "H_init"),
    ("frame.start_z", "L_init"),
    ("answer_blocks.", "H_level.layers."),
    ("blocks.", "L_level.layers."),
    ("mixer.attention.w_qkv.", "self_attn.qkv_proj."),
    ("mixer.attention.w_out.", "self_attn.o_proj."),
    ("mixer.mlp.w_in.", "mlp_t.gate_up_proj."),
    ("mixer.mlp.w_out.", "mlp_t.down_proj."),
    ("mlp.w_in.", "mlp.gate_up_proj."),
    ("mlp.w_out.", "mlp.down_proj."),
)
# Token layouts of the published data sets, by number of tokens.
LAYOUTS = {
    11: Spec("sudoku", 9, 9, vocab=11, first_symbol=2),
    6: Spec("maze", 30, 30, vocab=6, first_symbol=6),
    12: Spec("arc", 30, 30, vocab=12, first_symbol=2),
}
EMBED, TABLE, POSITIONS = "embed_tokens.embedding_weight", "puzzle_emb.weights", "embed_pos.embedding_weight"
FIRST = "L_level.layers.0."
MAX_STEPS = 16


@dataclass(frozen=True)
class Imported:
    """A published checkpoint under this package's names."""

    config: ModelConfig
    spec: Spec
    state: dict[str, Tensor]  # the published tensors, unchanged, under our names
    max_steps: int
    assumed: dict[str, int | str]  # settings that were neither given nor in the tensors, with their published values


def published_name(ours: str) -> str:
    """The published name, without prefixes, of the tensor called `ours` here."""
    for old, new in NAMES:
        ours = re.sub(rf"(^|(?<=\.)){re.escape(old)}", new, ours)
    return ours


def bare(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`tensors` without the prefixes of their names. Raises BadInput if two names become equal."""
    result: dict[str, Tensor] = {}
    for full, tensor in tensors.items():
        name = full
        while name.startswith(PREFIXES):
            name = name.partition(".")[2]
        if name in result:
            raise BadInput(f"checkpoint: tensor {name} occurs twice, under different prefixes")
        if not tensor.is_floating_point():
            raise BadInput(f"checkpoint: tensor {full} holds {str(tensor.dtype).removeprefix('torch.')}, not weights")
        result[name] = tensor
    return result


def from_published(tensors: Mapping[str, Tensor], spec: Spec | None = None, /, **given: int | str) -> Imported:
    """Read a published state dict.

    Args:
        tensors: under published names, with or without prefixes.
        spec: the task's token layout [default: that of the published task with the same number of tokens].
        given: settings that the shapes do not show: heads, T, n, positions, puzzle_tokens, max_steps.

    Raises:
        BadInput: a tensor that is missing, unknown, or of another shape than the rest implies.
    """
    found = bare(tensors)
    unknown = given.keys() - {"heads", "T", "n", "positions", "puzzle_tokens", "max_steps"}
    if unknown:
        raise BadInput(f"import: {sorted(unknown)[0]} is read from the tensors or is not a setting; leave it out")
    vocab, width = shape(found, EMBED, 2)
    spec = spec or published_spec(vocab)
    assumed: dict[str, int | str] = {}

    def choose(name: str, default: int | str) -> Any:
        if name not in given:
            assumed[name] = default
        return given.get(name, default)

    config = infer(found, spec, width, choose)
    max_steps = choose("max_steps", MAX_STEPS)
    if not isinstance(max_steps, int) or max_steps < 1:
        raise BadInput(f"import: max_steps must be a whole number, 1 or more, not {max_steps}")
    with torch.device("meta"):
        wanted = build(config, spec).state_dict()
    names = {published_name(ours): ours for ours in wanted}
    for name in sorted(names.keys() | found.keys()):
        have = str(tuple(found[name].shape)) if name in found else "missing"
        want = str(tuple(wanted[names[name]].shape)) if name in names else "no such tensor"
        if have != want:
            raise BadInput(f"checkpoint: tensor {name} is {have}; the other tensors and the settings imply {want}")
    state = {ours: found[name] for name, ours in names.items()}
    return Imported(config, spec, state, max_steps, assumed)


def infer(found: dict[str, Tensor], spec: Spec, width: int, choose: Callable[[str, int | str], Any]) -> ModelConfig:
    """The configuration that the shapes imply; `choose(name, default)` supplies the settings that they do not show."""
    hrm = any(name.startswith("H_level.") for name in found)
    below, above = (depth(found, level) for level in ("L_level", "H_level"))
    across, down = FIRST + "mlp_t.down_proj.weight", FIRST + "mlp.down_proj.weight"
    mlp, learned = across in found, POSITIONS in found
    ids, puzzle_width = shape(found, TABLE, 2) if TABLE in found else (0, width)
    # The length of the sequence, if a tensor shows it.
    tokens = shape(found, across if mlp else POSITIONS, 2)[0] if mlp or learned else None
    hidden = [shape(found, name, 2) for name in ([down, across] if mlp else [down])]
    values: dict[str, Any] = {"kind": "hrm" if hrm else "trm", "mixer": "mlp" if mlp else "attention", "width": width}
    values["layers"] = (below, above) if hrm and below != above else below
    values["positions"] = "learned" if learned else "none" if mlp else choose("positions", "rope")
    if ids:
        values.update(puzzle_ids=ids, puzzle_width=puzzle_width)
        # TRM pads an embedding to 16 tokens; HRM gives it the tokens that it fills.
        default = -(-puzzle_width // width) if hrm else 16
        shown = 0 if tokens is None else tokens - spec.cells
        values["puzzle_tokens"] = shown if shown > 0 else choose("puzzle_tokens", default)
    if not mlp:
        values["heads"] = choose("heads", 8)
    values["T"] = choose("T", 2 if hrm else 3)
    values["n"] = choose("n", 2 if hrm else 6 if spec.name.startswith("sudoku") else 4)
    values["expansion"], values["multiple"] = expansion(hidden, down)
    return ModelConfig.validated(values)


def depth(found: dict[str, Tensor], level: str) -> int:
    """Layers of a network, by the numbers in the names of its tensors."""
    numbers = [int(match[1]) for name in found if (match := re.match(rf"{level}\.layers\.(\d+)\.", name))]
    return 1 + max(numbers, default=0)


def expansion(hidden: list[tuple[int, ...]], name: str) -> tuple[float, int]:
    """SwiGLU settings (expansion, multiple) that give each width its hidden width; published settings come first."""
    width, target = hidden[0]
    for multiple in (256, 128, 64, 32, 16, 8, 4, 2, 1):
        for factor in (4.0, 1.0, 2.0, 3.0, 5.0, 6.0, 8.0, 1.5 * target / width):
            if all(gated_width(inner, factor, multiple) == outer for inner, outer in hidden):
                return factor, multiple
    raise BadInput(f"checkpoint: tensor {name} is {hidden[0]}; no expansion fits both it and mlp_t's {hidden[1:]}")


def published_spec(vocab: int) -> Spec:
    """The token layout of the published task with `vocab` tokens."""
    if vocab not in LAYOUTS:
        known = ", ".join(f"{count} ({spec.name})" for count, spec in LAYOUTS.items())
        raise BadInput(
            f"checkpoint: tensor {EMBED} has {vocab} tokens, and published tasks have {known}; give the task"
        )
    return LAYOUTS[vocab]


def shape(found: dict[str, Tensor], name: str, axes: int) -> tuple[int, ...]:
    """The shape of a tensor that must exist and have `axes` axes. Raises BadInput naming it."""
    if name not in found:
        raise BadInput(f"checkpoint: tensor {name} is missing; this is not a published TRM or HRM state dict")
    if found[name].ndim != axes:
        raise BadInput(f"checkpoint: tensor {name} is {tuple(found[name].shape)}; it must have {axes} axes")
    return tuple(found[name].shape)


def to_published(config: ModelConfig, state: Mapping[str, Tensor], prefix: str = "model.inner.") -> dict[str, Tensor]:
    """Our state dict under published names: the inverse of `from_published`.

    Raises:
        BadInput: the published code has no such model.
    """
    # HRM always has two networks. A TRM with two networks would be read back as an HRM.
    foreign = config.kind == "direct" or (config.kind == "trm" and config.networks != "shared") or config.turns > 1
    if foreign or config.memory != "yz" or config.mixer not in ("attention", "mlp"):
        what = f"kind {config.kind!r}, mixer {config.mixer!r}, memory {config.memory!r}, networks {config.networks!r}"
        what += f", turns {config.turns}" if config.turns > 1 else ""
        raise BadInput(
            f"export: the published code has no model of {what}; it has TRM and HRM, attention and mlp. "
            "For ONNX give a name that ends in .onnx"
        )
    return {prefix + published_name(ours): tensor for ours, tensor in state.items()}
