"""The device that models run on."""

from __future__ import annotations

import os

import torch

from trm.errors import BadInput


def pick_device(local: int = 0) -> torch.device:
    """The first available device of CUDA, Apple's MPS and the CPU, unless TRM_DEVICE in the environment names one.

    MPS and several GPUs have not been tested.

    Args:
        local: the number of the GPU on this machine.

    Raises:
        BadInput: TRM_DEVICE is not a device.
    """
    chosen = os.environ.get("TRM_DEVICE")
    if chosen:
        try:
            return torch.device(chosen)
        except RuntimeError:
            raise BadInput(f"TRM_DEVICE={chosen} is not a device; use cpu, cuda, cuda:1 or mps") from None
    if torch.cuda.is_available():
        torch.cuda.set_device(local)
        return torch.device("cuda", local)
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
