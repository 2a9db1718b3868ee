"""Copies between the host and a CUDA device that run while both go on. On other devices they are plain copies."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def to_device(array: npt.NDArray[Any], device: torch.device) -> Tensor:
    """An array as a tensor on `device`. CUDA copies it from pinned memory, while the host goes on."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


class HostCopy:
    """The latest values of a tensor [rows] in the host's memory. Reading a part waits for its own copy alone."""

    def __init__(self, tensor: Tensor) -> None:
        self.values = tensor.to("cpu", copy=True)
        self.events: dict[int, torch.cuda.Event] = {}
        if tensor.is_cuda:
            self.values = self.values.pin_memory()

    def update(self, part: slice, new: Tensor) -> None:
        """Begin to copy `new`, the values of `part`."""
        self.values[part].copy_(new, non_blocking=new.is_cuda)
        if new.is_cuda:
            event = self.events.setdefault(part.start, torch.cuda.Event())  # type: ignore[no-untyped-call]
            event.record(torch.cuda.current_stream(new.device))

    def read(self, part: slice) -> npt.NDArray[Any]:
        """The values of `part`, which must be one that was updated as a whole, or none at all."""
        if part.start in self.events:
            self.events[part.start].synchronize()
        found: npt.NDArray[Any] = self.values[part].numpy()
        return found
