"""What is seen in an ARC question before any training: marks of its cells, what its rays meet, roles of its colours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from trm.adapt.objects import Mask, as_key, background, content, is_symmetric, objects
from trm.adapt.symmetry import EMPTY
from trm.tasks.arc.text import COLOURS, Grid

SIZES = (1, 2, 3, 4)  # cells of an object that have a mark of their own
HOLES = (1, 2, 3)  # holes of an object, too
AWAY = ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))  # directions, as rows and columns
ROLES = 9

Marks = dict[str, Mask]  # name -> board


def marks(grid: Grid) -> Marks:
    """Marks of cells: of their place on the board, of the objects they belong to, and of parts of the background."""
    ground = background(grid)
    of_one_colour = objects(grid, ground, True)
    found = _place_marks(grid, ground) | _ground_marks(grid == ground)
    found |= _named("object", _object_marks(grid, objects(grid, ground, False)))
    found |= _named("object of one colour", _object_marks(grid, of_one_colour))
    return found | _named("object of one colour", _shape_marks(grid, of_one_colour))


def _named(kind: str, found: Marks) -> Marks:
    return {f"{kind}: {name}": board for name, board in found.items()}


def _cells(masks: Sequence[Mask], chosen: Sequence[bool], shape: tuple[int, ...]) -> Mask:
    """The cells of all chosen masks."""
    picked = [mask for mask, true in zip(masks, chosen, strict=True) if true]
    out: Mask = np.any(picked, axis=0) if picked else np.zeros(shape, bool)
    return out


def enclosed(free: Mask) -> Mask:
    """The free cells from which no way over edges of free cells leads out of the board."""
    labels, _ = ndimage.label(free)
    border = np.unique(np.concatenate((labels[0], labels[-1], labels[:, 0], labels[:, -1])))
    out: Mask = free & ~np.isin(labels, border)
    return out


def _place_marks(grid: Grid, ground: int) -> Marks:
    (height, width), (rows, columns) = grid.shape, np.indices(grid.shape)
    ring = np.minimum(np.minimum(rows, height - 1 - rows), np.minimum(columns, width - 1 - columns))
    lines = (grid == grid[:, :1]).all(1) & (grid[:, 0] != ground)
    uprights = (grid == grid[:1]).all(0) & (grid[0] != ground)
    return {
        "edge": ring == 0,
        "odd ring": ring % 2 == 1,
        "odd row": rows % 2 == 1,
        "odd column": columns % 2 == 1,
        "middle row": 2 * rows == height - 1,
        "middle column": 2 * columns == width - 1,
        "row of one colour": np.broadcast_to(lines[:, None], grid.shape),
        "column of one colour": np.broadcast_to(uprights, grid.shape),
    }


def _box(mask: Mask) -> tuple[slice, slice]:
    box: tuple[slice, slice] = ndimage.find_objects(mask.astype(np.int8))[0]
    return box


def _is_full(mask: Mask) -> bool:
    """Whether a mask fills the box around it."""
    return bool(mask[_box(mask)].all())


def _in_square(mask: Mask) -> bool:
    """Whether the box around a mask is a square."""
    rows, columns = _box(mask)
    return int(rows.stop - rows.start) == int(columns.stop - columns.start)


def _sizes(masks: Sequence[Mask]) -> list[int]:
    return [int(mask.sum()) for mask in masks]


def _ground_marks(free: Mask) -> Marks:
    """The enclosed cells of the background, and its connected parts by size and shape."""
    inner = enclosed(free)
    found = {"enclosed": inner}
    for kind, mask in (("background", free), ("enclosed part", inner)):
        labels, count = ndimage.label(mask)
        parts = [labels == number for number in range(1, count + 1)]
        sizes, full = _sizes(parts), [_is_full(part) for part in parts]
        tests = {
            "largest": [size == max(sizes) for size in sizes],
            "smallest": [size == min(sizes) for size in sizes],
            "one cell": [size == 1 for size in sizes],
            "rectangle": full,
            "square": [true and _in_square(part) for true, part in zip(full, parts, strict=True)],
        }
        found |= {f"{kind}: {name}": _cells(parts, chosen, free.shape) for name, chosen in tests.items()}
    return found


def _object_marks(grid: Grid, masks: Sequence[Mask]) -> Marks:
    """Objects by size, at an edge, with holes, symmetric, unlike all others; and the boxes around objects."""
    sizes, looks = _sizes(masks), [content(grid, mask) for mask in masks]
    keys = [as_key(look) for look in looks]
    seen, ranks = Counter(keys), sorted(set(sizes))
    tests = {f"size {wanted}": [size == wanted for size in sizes] for wanted in SIZES}
    tests |= {
        "largest": [size in ranks[-1:] for size in sizes],
        "smallest": [size in ranks[:1] for size in sizes],
        "second largest": [size in ranks[1:-1][-1:] for size in sizes],
        "at the edge": [bool(mask[[0, -1]].any() or mask[:, [0, -1]].any()) for mask in masks],
        "with a hole": [bool((ndimage.binary_fill_holes(mask) & ~mask).any()) for mask in masks],
        "symmetric": [is_symmetric(look) for look in looks],
        "unlike all others": [seen[key] == 1 for key in keys],
    }
    found = {name: _cells(masks, chosen, grid.shape) for name, chosen in tests.items()}
    found["boxes"] = np.zeros(grid.shape, bool)
    for mask in masks:
        found["boxes"][_box(mask)] = True
    return found


def _shape_marks(grid: Grid, masks: Sequence[Mask]) -> Marks:
    """Objects by their shape, whatever their colour; and the cells in the middle of the boxes around them."""
    holes = [ndimage.label(ndimage.binary_fill_holes(mask) & ~mask)[1] for mask in masks]
    keys = [as_key(mask[_box(mask)].astype(np.uint8)) for mask in masks]
    seen = Counter(keys)
    tests = {f"{count} holes": [found == count for found in holes] for count in HOLES}
    tests |= {
        "rectangle": [_is_full(mask) for mask in masks],
        "in a square box": [_in_square(mask) for mask in masks],
        "of a shape of its own": [seen[key] == 1 for key in keys],
        "of the commonest shape": [seen[key] == max(seen.values()) for key in keys],
    }
    found = {name: _cells(masks, chosen, grid.shape) for name, chosen in tests.items()}
    found["middle"] = np.zeros(grid.shape, bool)
    for mask in masks:
        middle = [slice((side.start + side.stop - 1) // 2, (side.start + side.stop) // 2 + 1) for side in _box(mask)]
        found["middle"][tuple(middle)] |= mask.sum() > 1
    return found


def sights(grid: Grid) -> list[Grid]:
    """For each cell the first colour besides the background that is seen from it in each direction of `AWAY`.

    Returns:
        Boards of the question's size; EMPTY where there is none.
    """
    solid = np.where(grid == background(grid), EMPTY, grid).astype(np.uint8)
    return [_seen(solid, down, right) for down, right in AWAY]


def _seen(board: Grid, down: int, right: int) -> Grid:
    """For each cell the first colour in one direction."""
    if not down:
        return np.transpose(_seen(board.T, right, 0))
    out: Grid = np.full_like(board, EMPTY)
    rows, width = range(len(board)), board.shape[1]
    last = np.full(width + 2, EMPTY, np.uint8)  # for each cell of the row before, the first colour from it on
    for row in rows if down < 0 else reversed(rows):
        out[row] = last[1 + right : 1 + right + width]
        last[1:-1] = np.where(board[row] == EMPTY, out[row], board[row])
    return out


def roles(grid: Grid, colours: Sequence[int]) -> npt.NDArray[np.float32]:
    """What distinguishes colours in a question.

    Background; commonest, second commonest, rarest besides it; of a single cell; of the largest object, of the
    smallest, of most objects; whether it is there at all.

    Returns:
        [colours, ROLES] of 0 and 1.
    """
    ground, counts = background(grid), np.bincount(grid.ravel(), minlength=max(COLOURS, *colours) + 1)
    others = np.where(np.arange(len(counts)) == ground, 0, counts)
    ranks = [0, 0, *sorted(set(others[others > 0].tolist()))]
    masks = objects(grid, ground, True)
    sizes, of = _sizes(masks), [int(grid[mask][0]) for mask in masks]
    number = np.bincount(of, minlength=len(counts))
    largest, smallest = (
        np.isin(np.arange(len(counts)), [colour for colour, size in zip(of, sizes, strict=True) if size == limit])
        for limit in (max(sizes, default=0), min(sizes, default=0))
    )
    boards = [np.arange(len(counts)) == ground]
    boards += [(others == rank) & (others > 0) for rank in (ranks[-1], ranks[-2], min(ranks[2:], default=0), 1)]
    boards += [largest, smallest, (number == number.max()) & (number > 0), counts > 0]
    return np.stack(boards, 1)[list(colours)].astype(np.float32)
