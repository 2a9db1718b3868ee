"""The device that models run on, and the names of precisions. torch is imported when it is needed."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from trm.errors import BadInput

if TYPE_CHECKING:
    import torch

PRECISIONS = ("auto", "float32", "bfloat16")  # of matrix products, see trm/models/precision.py
NAME = re.compile(r"(cpu|cuda|mps)(?::(0|[1-9][0-9]{0,3}))?")  # what torch takes


def pick_device(local: int = 0) -> torch.device:
    """The first available device of CUDA, Apple's MPS and the CPU, unless TRM_DEVICE in the environment names one.

    MPS and several GPUs have not been tested.

    Args:
        local: the number of the GPU on this machine.

    Raises:
        BadInput: TRM_DEVICE is not a device, or not one of this machine; or there is no GPU of the number `local`.
    """
    import torch

    check_device()
    if chosen := os.environ.get("TRM_DEVICE"):
        return torch.device(chosen)
    if torch.cuda.is_available():
        if local >= torch.cuda.device_count():
            raise BadInput(
                f"there is no GPU {local}, only {torch.cuda.device_count()}; start as many processes as GPUs"
            )
        torch.cuda.set_device(local)
        return torch.device("cuda", local)
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def check_device() -> None:
    """Raise BadInput if TRM_DEVICE in the environment is not a device of this machine."""
    chosen = os.environ.get("TRM_DEVICE")
    if not chosen or chosen == "cpu":
        return
    name = NAME.fullmatch(chosen)
    if name is None:
        raise BadInput(f"TRM_DEVICE={chosen!r} is not a device; use cpu, cuda, cuda:1 or mps, or unset it")
    kind, number = name.group(1), int(name.group(2) or 0)
    count = devices(kind)
    if number >= count:
        have = f"only {count} of them" if count else "none"
        raise BadInput(f"TRM_DEVICE={chosen}: there is no such device; of {kind}, this machine has {have}; unset it")


def check_precision(choice: str, name: str = "precision") -> str:
    """Check the name of a precision, given as `name`. -> it. Raises BadInput."""
    if choice not in PRECISIONS:
        raise BadInput(f"{name} must be one of {', '.join(PRECISIONS)}, not {choice!r}")
    return choice


def devices(kind: str) -> int:
    """How many devices of that kind torch finds on this machine."""
    if kind == "cpu":
        return 1
    import torch

    if kind == "mps":
        return int(torch.backends.mps.is_available())
    return torch.cuda.device_count() if torch.cuda.is_available() else 0
