"""The precision of a model's matrix products: float32, or bfloat16 where that is measured to be faster.

In bfloat16 the factors of a product are rounded to 8 bits of mantissa and summed in float32. All else stays in float32:
weights, states, residuals, norms, heads, losses, optimiser. A model computes in the precision of its attribute
`precision`; a model that is built or loaded computes in float32.
"""

from __future__ import annotations

import contextlib
import time
from functools import lru_cache
from typing import Literal, TypeVar

import torch
from torch import nn

from trm.devices import check_precision
from trm.models.kernels.build import available, processor_multiplies_bfloat16, remembered
from trm.models.kernels.fused import swiglu_norm

Precision = Literal["float32", "bfloat16"]
M = TypeVar("M", bound=nn.Module)

GAIN = 1.15  # bfloat16 must be so many times as fast
VALUES = 1 << 17  # of the state in the measurement
ROUNDS = 5


def pick_precision(choice: str, device: torch.device, width: int) -> Precision:
    """The precision for models of this width on this device.

    Args:
        choice: `auto`, `float32` or `bfloat16`. `auto` is bfloat16 where the device multiplies it and a measurement,
            made once on a machine, finds it faster.
        device: where the model is.
        width: of its states.

    Raises:
        BadInput: no such precision.
    """
    if check_precision(choice) != "auto":
        return "bfloat16" if choice == "bfloat16" else "float32"
    return "bfloat16" if gain(device, width) >= GAIN else "float32"


def gain(device: torch.device, width: int) -> float:
    """How many times as fast as in float32 a model of this width is in bfloat16; 0 where the device lacks it."""
    if device.type == "cuda":
        return measure(device, width) if torch.cuda.is_bf16_supported() else 0.0
    if device.type != "cpu" or not processor_multiplies_bfloat16():
        return 0.0
    kernels = f"{available('bfloat16').reason}, {available().reason}, torch {torch.__version__}"
    return float(remembered(f"gain-{width}", kernels, lambda: repr(measure(device, width))))


@lru_cache(maxsize=64)
def measure(device: torch.device, width: int) -> float:
    """The ratio of the times of a gated layer, the best of a few rounds that alternate. It takes some milliseconds.

    On a CPU it is processor time of one thread, which other work on the machine changes little.
    """
    hidden = 2 * width
    drawn = torch.Generator().manual_seed(0)
    h, w_in, w_out = (
        torch.randn(shape, generator=drawn).to(device)
        for shape in ((max(64, VALUES // width), width), (2 * hidden, width), (width, hidden))
    )

    def seconds(precision: Precision) -> float:
        with torch.no_grad(), in_precision(precision, device):
            began = clock()
            swiglu_norm(h, w_in, w_out)[0, 0].item()
            return clock() - began

    clock = time.process_time if device.type == "cpu" else time.perf_counter
    times: dict[Precision, list[float]] = {"float32": [], "bfloat16": []}
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        for _ in range(ROUNDS + 1):
            for precision, found in times.items():
                found.append(seconds(precision))
    finally:
        torch.set_num_threads(threads)
    return min(times["float32"][1:]) / min(times["bfloat16"][1:])


def in_precision(precision: Precision, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Within it, matrix products on `device` are in `precision`."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else contextlib.nullcontext()


def placed(model: M, device: torch.device, choice: str = "auto") -> M:
    """The model itself, moved to `device` and set to the precision chosen there, if it has one."""
    if hasattr(model, "precision"):
        set_precision(model, pick_precision(choice, device, model.config.width))  # type: ignore[union-attr, arg-type]
    return model.to(device)


def set_precision(model: nn.Module, precision: Precision) -> None:
    """Let a model, and the models in it, compute in this precision."""
    for part in model.modules():
        if hasattr(part, "precision"):
            setattr(part, "precision", precision)  # noqa: B010 - modules have it, and mypy cannot know
