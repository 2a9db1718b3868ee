"""Reading torch files: tensors and plain containers only, and whole. Messages are ours, not torch's."""

from __future__ import annotations

import pickle
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import Tensor

from trm.tasks.text import printable

NONE = "it is cut short, or no torch file"
PICKLE = b"\x80"  # the first byte of a pickle


def read_torch_file(path: Path) -> Any:
    """What `torch.save` wrote to a file. It never runs code that the file holds.

    Raises:
        ValueError: the file is damaged, is no torch file, or holds other objects than tensors and plain containers; the
            message is a reason in a few words.
    """
    # torch does not compare checksums, so it would read flipped bits as weights.
    try:
        archive = zipfile.is_zipfile(path)
    except zipfile.BadZipFile:
        raise ValueError(NONE) from None
    if archive and (part := damaged_part(path)):
        raise ValueError(f"its part {part} is damaged")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice for programmers
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        if archive or path.read_bytes()[:1] == PICKLE:
            raise ValueError("it holds other objects than tensors and plain containers") from None
        raise ValueError(NONE) from None
    except MemoryError:
        raise ValueError("it needs more memory than there is") from None
    except PermissionError as error:
        raise ValueError(error.strerror or NONE) from None
    except Exception:  # torch raises all kinds of errors for a file that it cannot read
        raise ValueError(NONE) from None


def damaged_part(path: Path) -> str:
    """The first part of a zip file whose checksum is wrong; empty if every part is whole."""
    name = "list of contents"
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                name = entry.filename.partition("/")[2] or entry.filename
                with archive.open(entry) as part:
                    while part.read(1 << 20):
                        pass
    # NotImplementedError and RuntimeError: bits that say how a part is packed or encrypted were flipped.
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, NotImplementedError, RuntimeError):
        return name if name.isprintable() else ascii(name)
    return ""


def is_plain(value: object) -> TypeGuard[Tensor]:
    """Whether it is a tensor with a number in memory for each of its places."""
    return isinstance(value, Tensor) and value.layout == torch.strided and not value.is_meta


def not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """The first tensor, by name, with a value that is infinite or not a number in float32, or without values in memory,
    in words; None if there is none.
    """
    for name in sorted(tensors):
        value, what = tensors[name], ""
        if not is_plain(value):
            what = "no plain numbers"
        elif value.is_floating_point() and not (number := value.float()).isfinite().all():
            what = "NaN" if number.isnan().any() else "infinity"
        if what:
            return f"tensor {printable(name)} holds {what}"
    return None
