"""Shortest paths in mazes, by breadth-first search on bits.

Distances are computed for many mazes at once, with a bit for each maze of a batch. The benchmark's path is computed for
one maze at a time, with a bit for each cell of one large integer: for a single maze numpy would be slower.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from trm.tasks.base import Bools, Ints

Words = npt.NDArray[np.uint64]
Moves = npt.NDArray[np.int32]

CHUNK = 1024  # mazes that are searched together; more would not fit into the cache at the usual sizes


# Many mazes


def pack(flags: Bools) -> Words:
    """A bit for each maze: [cells, 64 * words] -> [cells, words]"""
    return np.ascontiguousarray(np.packbits(flags, axis=1, bitorder="little")).view(np.uint64)


def unpack(words: Words) -> Bools:
    """The inverse of `pack`: [cells, words] -> [cells, 64 * words]"""
    return np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=1, bitorder="little").view(np.bool_)


def flood(free: Words, start: Words, height: int, width: int) -> Iterator[Words]:
    """Breadth-first search in 64 mazes for each word.

    Yields the cells [height, width, words] that are first reached after 0, 1, 2 .. moves, until there are none. Each
    array is overwritten by the next one.

    Args:
        free: [cells, words], the open cells.
        start: [cells, words], the cells to start from.
        height: of the mazes.
        width: of the mazes.
    """
    words = free.shape[1]
    # With a wall to the right of every row and a row of walls above and below, no shift wraps, and each is a slice.
    shape, row = (height + 2, width + 1, words), (width + 1) * words
    front, left, grown = (np.zeros(shape, np.uint64) for _ in range(3))
    front[1:-1, :-1] = start.reshape(height, width, words)
    left[1:-1, :-1] = (free & ~start).reshape(height, width, words)
    flat, low, high = front.reshape(-1), row, front.size - row
    inner, new, rest = flat[low:high], grown.reshape(-1)[low:high], left.reshape(-1)[low:high]
    above, below = flat[: high - row], flat[low + row :]
    before, after = flat[low - words : high - words], flat[low + words : high + words]
    while inner.any():
        yield front[1:-1, :-1]
        np.bitwise_or(above, below, out=new)
        np.bitwise_or(new, before, out=new)
        np.bitwise_or(new, after, out=new)
        np.bitwise_and(new, rest, out=inner)
        np.bitwise_xor(rest, inner, out=rest)


def far_cells(free: Bools, start: Ints, height: int, width: int, least: int) -> Iterator[tuple[int, Ints]]:
    """The mazes that have cells at least `least` moves from their start: yields each one's number, and those cells.

    Args:
        free: [cells, mazes], the open cells; the number of mazes must be a multiple of 64.
        start: [mazes], a cell of each; one that is not open reaches nothing.
        height: of the mazes.
        width: of the mazes.
        least: moves.
    """
    lanes = np.arange(free.shape[1])
    begin = np.zeros_like(free)
    begin[start, lanes] = free[start, lanes]
    far = np.zeros((height, width, free.shape[1] // 64), np.uint64)
    for moves, front in enumerate(flood(pack(free), pack(begin), height, width)):
        if moves >= least:
            far |= front
    found = far.reshape(len(free), -1)
    for lane in np.flatnonzero(unpack(np.bitwise_or.reduce(found, 0)[None])[0]).tolist():
        yield lane, np.flatnonzero(found.view(np.uint8)[:, lane // 8] >> lane % 8 & 1)


def distances(free: Bools, start: Ints, height: int, width: int) -> Moves:
    """Moves from cell start[row] to every cell, -1 where there is no path: free [rows, cells], start [rows] -> [rows,
    cells]. The start itself need not be open.
    """
    found = np.empty(free.shape, np.int32)
    for at in range(0, len(free), CHUNK):
        found[at : at + CHUNK] = _distances(free[at : at + CHUNK], start[at : at + CHUNK], height, width)
    return found


def _distances(free: Bools, start: Ints, height: int, width: int) -> Moves:
    rows, cells = free.shape
    lanes, begin = np.zeros((2, cells, -(-rows // 64) * 64), np.bool_)
    lanes[:, :rows] = free.T
    begin[start, np.arange(rows)] = True
    planes: list[Words] = []  # binary digits of 1 + the number of moves; 0 is left for cells that are never reached
    for count, front in enumerate(flood(pack(lanes), pack(begin), height, width), 1):
        if count.bit_length() > len(planes):
            planes.append(np.zeros(front.shape, np.uint64))
        for digit, plane in enumerate(planes):
            if count >> digit & 1:
                plane |= front
    found = np.full((rows, cells), -1, np.int32)
    for digit, plane in enumerate(planes):
        found += unpack(plane.reshape(cells, -1))[:, :rows].T.astype(np.int32) << digit
    return found


def count_routes(free: Bools, start: Ints, goal: Ints, height: int, width: int) -> npt.NDArray[np.float64]:
    """How many shortest paths lead from start to goal: free [rows, cells], start, goal [rows] -> [rows]"""
    rows = len(free)
    moves = np.full((rows, height + 2, width + 2), -1, np.int32)
    moves[:, 1:-1, 1:-1] = distances(free, start, height, width).reshape(rows, height, width)
    flat = moves.reshape(-1)
    reached = np.flatnonzero(flat >= 0)
    order = reached[np.argsort(flat[reached], kind="stable")]
    level = np.searchsorted(flat[order], np.arange(flat.max(initial=0) + 2))  # where each number of moves begins
    routes = np.zeros(flat.size)
    routes[order[: level[1]]] = 1
    for k in range(1, len(level) - 1):
        cells = order[level[k] : level[k + 1]]
        for shift in (1, -1, width + 2, -width - 2):
            routes[cells] += np.where(flat[cells + shift] == k - 1, routes[cells + shift], 0)
    found: npt.NDArray[np.float64] = routes.reshape(moves.shape)[np.arange(rows), goal // width + 1, goal % width + 1]
    return found


# One maze. A set of cells is an integer in which each row takes width + 1 bits; the last of them is 0, so that no shift
# wraps.


def bit_of(cell: int, width: int) -> int:
    """The set that holds one cell."""
    return 1 << (cell // width * (width + 1) + cell % width)


def to_bits(free: Bools, width: int) -> int:
    """The set of the open cells of free [cells]."""
    rows = np.zeros((len(free) // width, width + 1), np.bool_)
    rows[:, :-1] = free.reshape(-1, width)
    return int.from_bytes(np.packbits(rows, bitorder="little").tobytes(), "little")


def from_bits(bits: int, height: int, width: int) -> Ints:
    """The numbers of the cells in a set, in ascending order."""
    size = height * (width + 1)
    data = np.frombuffer(bits.to_bytes(-(-size // 8), "little"), np.uint8)
    return np.flatnonzero(np.unpackbits(data, count=size, bitorder="little").reshape(height, -1)[:, :-1])


def layers(free: int, start: int, width: int, stop: int = 0) -> list[int]:
    """The sets of cells that are first reached after 0, 1, 2 .. moves from the set `start`, until one of them holds a
    cell of the set `stop`.
    """
    row, front = width + 1, start
    free &= ~front
    found = [front]
    while front and not front & stop:
        front = (front << 1 | front >> 1 | front << row | front >> row) & free
        free ^= front
        found.append(front)
    return found if front else found[:-1]


def route(free: Bools, start: int, goal: int, width: int) -> list[int] | None:
    """The shortest path that the benchmark chooses: the cells between start and goal in order; None if there is none.

    Each move is the first of down, left, right, up that leads nearer to the goal. A breadth-first search from the start
    finds the same path if it tries the neighbours in this order and keeps the first way to each cell: among cells at
    the same distance it visits those first whose path takes the earlier direction where the paths part.
    """
    row = width + 1
    here, end = bit_of(start, width), bit_of(goal, width)
    found = layers(to_bits(free, width) | here, end, width, stop=here)
    if not found[-1] & here:
        return None
    path = []
    for layer in found[-2:0:-1]:
        for step in (here << row, here >> 1, here << 1, here >> row):
            if step & layer:
                here = step
                break
        y, x = divmod(here.bit_length() - 1, row)
        path.append(y * width + x)
    return path
