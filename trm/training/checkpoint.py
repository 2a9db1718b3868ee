"""A training checkpoint: one file with everything that a run needs to continue as if it had never stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from trm.errors import BadInput, TrmError
from trm.files import write_atomic
from trm.store.stored import CHECKPOINT

VERSION = 1
KEYS = {"version", "config", "name", "about", "seconds", "trainer"}


def save(folder: Path, content: dict[str, Any]) -> None:
    """Write `content` (tensors, numbers, strings, dicts, lists) to the run's folder atomically."""
    write_atomic(folder / CHECKPOINT, lambda file: torch.save({"version": VERSION, **content}, file))


def load(folder: Path) -> dict[str, Any]:
    """Read a run's checkpoint. Raises BadInput where there is none, TrmError where it is damaged."""
    path = folder / CHECKPOINT
    if not path.is_file():
        raise BadInput(f"{folder} holds no {CHECKPOINT}: nothing to resume; give the --out folder of an earlier run")
    try:
        # Tensors and plain containers only: a checkpoint from a stranger must not run code.
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(content, dict) or not content.keys() >= KEYS:
            raise ValueError("it holds something else")
    except Exception as error:  # torch raises all kinds of errors for a file that is no checkpoint
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TrmError(f"{path} is damaged ({reason}); start the run again in another --out") from None
    if content["version"] != VERSION:
        raise TrmError(f"{path} is of version {content['version']}, this program reads version {VERSION}")
    return content
