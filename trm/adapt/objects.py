"""Boxes in an ARC question that may be cut out as its answer: around colours and objects, each with a name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from trm.tasks.arc.text import COLOURS, Grid

Mask = npt.NDArray[np.bool_]  # [height, width]
T = TypeVar("T")
S = TypeVar("S", bound=np.generic)
CONNECTED = np.ones((3, 3), bool)  # to the eight cells around a cell
HALVED = ("all but the background", "the largest object")


class Box(NamedTuple):
    """A rectangle of cells."""

    top: int
    left: int
    height: int
    width: int

    def crop(self, grid: npt.NDArray[S]) -> npt.NDArray[S]:
        """The cells of the box, from [height, width] of the whole grid."""
        return grid[self.top : self.top + self.height, self.left : self.left + self.width]

    def inner(self) -> Box:
        """The box without its border, which is one cell wide."""
        return Box(self.top + 1, self.left + 1, self.height - 2, self.width - 2)

    def halves(self) -> dict[str, Box]:
        """Halves and quarters, of sides that are even."""
        height, width = self.height // 2, self.width // 2
        downs = {"top": (self.top, height), "bottom": (self.top + height, height)} if self.height % 2 == 0 else {}
        acrosses = {"left": (self.left, width), "right": (self.left + width, width)} if self.width % 2 == 0 else {}
        rows, columns = {**downs, "": (self.top, self.height)}, {**acrosses, "": (self.left, self.width)}
        parts = {
            " ".join(filter(None, (down, across))): Box(top, left, tall, wide)
            for down, (top, tall) in rows.items()
            for across, (left, wide) in columns.items()
        }
        return {f"the {name} part": box for name, box in parts.items() if name}


def named_boxes(grid: Grid) -> dict[str, Box]:
    """The boxes in a grid, by name.

    A name that fits nothing, or several things, is left out. Larger boxes are also there without their border, as
    `inside ...`; the halves and quarters of `HALVED` are there where its sides are even.
    """
    found = {f"colour {colour}": bounding_box(grid == colour) for colour in np.unique(grid).tolist()}
    ground = background(grid)
    found["all but the background"] = bounding_box(grid != ground)
    counts = {c: n for c, n in enumerate(np.bincount(grid.ravel(), minlength=COLOURS).tolist()) if n and c != ground}
    for name, sign in (("rarest", -1), ("commonest", 1)):
        if (chosen := _only_maximum(list(counts), {c: sign * n for c, n in counts.items()}.__getitem__)) is not None:
            found[f"the {name} colour"] = bounding_box(grid == chosen)
    for kind, same in (("object", False), ("object of one colour", True)):
        masks = objects(grid, ground, same)
        for name, measure in _measures(grid, masks).items():
            if (mask := _only_maximum(masks, measure)) is not None:
                found[f"the {name} {kind}"] = bounding_box(mask)
    whole = {name: box for name, box in found.items() if box is not None}
    inner = {f"inside {name}": box.inner() for name, box in whole.items() if min(box.height, box.width) > 2}
    halves = {
        f"{part} of {name}": box for name in HALVED if name in whole for part, box in whole[name].halves().items()
    }
    return whole | inner | halves


def background(grid: Grid) -> int:
    """Black if it occurs, else the most frequent colour."""
    counts = np.bincount(grid.ravel(), minlength=COLOURS)
    return 0 if counts[0] else int(counts.argmax())


def bounding_box(mask: Mask) -> Box | None:
    """The smallest box around all true cells; None where there are none."""
    rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
    if not len(rows):
        return None
    top, left = int(rows[0]), int(columns[0])
    return Box(top, left, int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left)


def objects(grid: Grid, ground: int, same: bool) -> list[Mask]:
    """Connected cells that are not background, in the order of their first cells.

    Args:
        grid: [height, width].
        ground: the background's colour.
        same: whether the cells of an object must have one colour. Cells that share an edge or a corner are connected.
    """
    layers = [grid == colour for colour in np.unique(grid) if colour != ground] if same else [grid != ground]
    found: list[Mask] = []
    for layer in layers:
        labels, count = ndimage.label(layer, CONNECTED)
        found += [labels == number for number in range(1, count + 1)]
    return sorted(found, key=lambda mask: int(mask.argmax()))


def content(grid: Grid, mask: Mask) -> Grid:
    """The box around an object, with black in the place of everything else."""
    box = bounding_box(mask)
    assert box is not None
    return np.where(box.crop(mask), box.crop(grid), np.uint8(0))


def as_key(part: Grid) -> bytes:
    """Equal for equal grids only."""
    return bytes(part.shape) + part.tobytes()


def is_symmetric(part: Grid) -> bool:
    """Whether a grid is its own mirror image, upside down or left to right."""
    return np.array_equal(part, part[::-1]) or np.array_equal(part, part[:, ::-1])


def _measures(grid: Grid, masks: list[Mask]) -> dict[str, Callable[[Mask], float]]:
    """Ways in which one object may stand out from the others: name -> how much an object has of it."""

    def colours(mask: Mask) -> float:
        return len(np.unique(grid[mask]))

    def symmetric(mask: Mask) -> float:
        return float(is_symmetric(content(grid, mask)))

    def appearance(mask: Mask) -> bytes:
        return as_key(content(grid, mask))

    seen = Counter(appearance(mask) for mask in masks)
    return {
        "largest": lambda mask: float(mask.sum()),
        "smallest": lambda mask: -float(mask.sum()),
        "most colourful": colours,
        "odd": lambda mask: -float(seen[appearance(mask)]),
        "symmetric": symmetric,
        "asymmetric": lambda mask: -symmetric(mask),
    }


def _only_maximum(items: list[T], measure: Callable[[T], float]) -> T | None:
    """The item with the largest measure; None where several share it or there are no items."""
    if not items:
        return None
    values = [measure(item) for item in items]
    best = max(values)
    return items[values.index(best)] if values.count(best) == 1 else None
