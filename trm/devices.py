"""The device that models run on: CUDA, then Apple, then the CPU."""

from __future__ import annotations

import os

import torch

from trm.errors import BadInput


def pick_device(local: int = 0) -> torch.device:
    """CUDA, then Apple, then CPU; TRM_DEVICE overrides. Apple, and several GPUs, have not been run by the authors."""
    chosen = os.environ.get("TRM_DEVICE")
    if chosen:
        try:
            return torch.device(chosen)
        except RuntimeError:
            raise BadInput(f"TRM_DEVICE={chosen} is no device; use cpu, cuda, cuda:1 or mps") from None
    if torch.cuda.is_available():
        torch.cuda.set_device(local)
        return torch.device("cuda", local)
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
