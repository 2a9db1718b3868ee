"""The models of a site: the default weights, exported for every size that is needed, in one packed file."""

from __future__ import annotations

import lzma
from collections.abc import Sequence
from typing import Any, NamedTuple

from trm import store
from trm.files import digest
from trm.inference.defaults import default_weights
from trm.inference.onnx import FILE
from trm.store.onnx_export import describe_file, metadata_of, to_onnx
from trm.store.shipped import SHIPPED
from trm.store.stored import WEIGHTS, Stored
from trm.tasks import get_task
from trm.tasks.maze.task import Maze

SUDOKUS = ("sudoku-4x4", "sudoku-6x6", "sudoku")
# A maze is solved on the smallest board with room for it, with walls around: this changes neither how many are solved
# nor in how many steps (docs/site.md).
SIDES = (10, 15, 20, 30)
WINDOW = 1 << 24  # bytes in which repetitions are found: as many as the runtime has


class Pack(NamedTuple):
    """Several files one after the other."""

    content: bytes
    models: list[dict[str, Any]]  # of each: what model.json holds, and where it is in the content: `from`, `size`


def export_models(sudokus: Sequence[str] = SUDOKUS, sides: Sequence[int] = SIDES) -> Pack:
    """The models for Sudokus, by the names of their tasks, and for square mazes.

    Raises:
        TrmError: the packages that export needs are not installed.
    """
    names = [("sudoku", name) for name in sudokus]
    names += [("maze", maze_name(side)) for side in sides]
    content, models = b"", []
    for family, task in names:
        weights = default_weights(family)
        stored = store.load(weights, get_task(task).spec)
        file = exported(stored, weights)
        models.append({**describe_file(stored, file), "from": len(content), "size": len(file)})
        content += file
    return Pack(content, models)


def maze_name(side: int) -> str:
    """The name of the task of square mazes with so many rows."""
    return Maze(side, side).spec.name


def exported(stored: Stored, weights: str) -> bytes:
    """The exported file of a model that was loaded from the shipped `weights`: the one that ships, if it has this size,
    or a new one.
    """
    sha256, shipped = digest(store.find(weights) / WEIGHTS), SHIPPED / weights / FILE
    if shipped.is_file():
        content = shipped.read_bytes()
        metadata = metadata_of(content)
        if metadata["task"]["name"] == stored.spec.name and metadata.get("weights_sha256") == sha256:
            return content
    return to_onnx(stored, sha256)


def packed(content: bytes, effort: int) -> bytes:
    """Packed with LZMA, which `lzma.js` unpacks. `effort`: 0 to 9, of the search for repetitions."""
    one = {"id": lzma.FILTER_LZMA1, "preset": effort, "lc": 4, "lp": 0, "pb": 0, "dict_size": WINDOW}
    return lzma.compress(content, lzma.FORMAT_ALONE, filters=[one])
