"""Sets of mazes: those that ship with the package, generated ones, and users' files.

The benchmark's mazes are random: for each maze a probability is drawn from 0.3 to 0.5, each cell is a wall with that
probability, S and G are random, and the maze is kept if its shortest path has at least 109 moves. `generate` draws from
the same distribution. Neither it nor the embedded sets, which `build_embedded` made, use any row of the benchmark.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trm.errors import BadInput
from trm.files import write_atomic
from trm.tasks.base import Puzzles, Tokens
from trm.tasks.maze.paths import bit_of, count_routes, distances, far_cells, from_bits, layers, to_bits
from trm.tasks.maze.task import GOAL, OPEN, PATH, START, WALL, Maze, maze_for
from trm.tasks.text import naming, read_file

DATA = Path(__file__).parents[2] / "data"
EMBEDDED = ("train", "validation")
KINDS = ("hard", "perfect")
PERCENTILES = (5, 10, 25, 50, 75, 90, 95)

LEAST = 109  # moves from S to G at least, in a hard maze of 30x30
GROWTH = 1.09  # equally rare paths grow with this power of the side, from 10x10 to 60x60
DENSITY = (77, 128)  # share of walls, in 256ths, both ends included
SPREAD = 15  # mazes are kept in proportion to their number of far goals, and always with cells / SPREAD of them
PATIENCE = 2 << 30  # cells drawn in vain before `hard` gives up
BATCH = 1 << 20  # cells drawn at once
TRIES = 1000  # mazes drawn in vain before `perfect` gives up
ROUNDS = 4  # of `renew`
PATCHES = 8  # of walls that a round draws again
PATCH = 3  # a patch is 1 / PATCH of the maze's sides


class MazeFile(NamedTuple):
    """The mazes of a file."""

    maze: Maze  # the task in their size
    puzzles: Puzzles


def embedded(name: str) -> Puzzles:
    """`train` or `validation`: 1,000 mazes each of 30x30, as hard as the benchmark's, no two of them images of each
    other.
    """
    if name not in EMBEDDED:
        raise BadInput(f"no embedded set {name!r} of mazes; there are: {', '.join(EMBEDDED)}")
    maze = Maze()
    with np.load(DATA / f"maze_{name}.npz") as arrays:
        walls, ends = np.unpackbits(arrays["walls"], axis=1, count=maze.cells), arrays["ends"]
    question = np.where(walls, WALL, OPEN).astype(np.uint8)
    rows = np.arange(len(ends))
    question[rows, ends[:, 0]], question[rows, ends[:, 1]] = START, GOAL
    return Puzzles(question, maze.label(question))


def read_mazes(path: str | Path, default: Maze | None = None) -> MazeFile:
    """The mazes of a file in any form that `Maze.read` takes. Missing answers are filled in.

    Args:
        path: of the file.
        default: the size of the mazes where the text does not tell it; None: 30x30.

    Raises:
        BadInput: no such file, a bad maze, or one without a path.
    """
    text = read_file(path)
    with naming(path):
        maze = maze_for(text, default)
        return MazeFile(maze, complete(maze.read(text).read_from(path), maze))


def complete(puzzles: Puzzles, maze: Maze) -> Puzzles:
    """The same mazes with every missing answer filled in. Raises BadInput for one without a path."""
    missing = ~puzzles.answer.any(1)
    answer = puzzles.answer.copy()
    answer[missing] = maze.label(puzzles.question[missing])
    return replace(puzzles, answer=answer)


# Generation


def usual_least(height: int, width: int) -> int:
    """The fewest moves from S to G in a hard maze of this size: as rare there as the benchmark's 109 at 30x30."""
    cells = height * width
    return min(round(LEAST * float((cells / 900) ** (GROWTH / 2))), cells * 3 // 5)


def generate(
    kind: str,
    rows: int,
    seed: int,
    height: int = 30,
    width: int = 30,
    least: int | None = None,
    avoid: Collection[bytes] = (),
    tick: Callable[[], object] = lambda: None,
) -> Puzzles:
    """Mazes with the benchmark's answers. The seed alone decides which. No two are images of each other.

    Args:
        kind: `hard` (as the benchmark's: random walls, no border) or `perfect` (corridors one cell wide, no loops).
        rows: how many. Of one seed, fewer rows are the first of more.
        seed: of the random numbers.
        height: of each maze.
        width: of each maze.
        least: moves of the shortest path at least; None: `usual_least` for hard mazes, and for perfect ones half the
            distance from S to the cell farthest from it.
        avoid: fingerprints (`fingerprint`) of mazes that must not be made.
        tick: called after each maze.

    Raises:
        BadInput: no such kind or size, or too few mazes with such a path.
    """
    maze = Maze(height, width)
    if kind not in KINDS:
        raise BadInput(f"no kind of maze {kind!r}; there are: {', '.join(KINDS)}")
    if least is not None and not 1 <= least < maze.cells:
        raise BadInput(f"a path of {least} moves does not fit a maze of {height}x{width} cells")
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    wanted = usual_least(height, width) if least is None else least
    stream = hard(maze, rng, wanted) if kind == "hard" else perfect(maze, rng, least)
    question, seen, refused = np.zeros((rows, maze.cells), np.uint8), set(avoid), 0
    for row in range(rows):
        while (mark := fingerprint(maze, tokens := next(stream))) in seen:
            refused += 1
            if refused > 100 * (rows + 10):
                raise BadInput(f"found fewer than {rows} different mazes of this size and length")
        seen.add(mark)
        question[row] = tokens
        tick()
    return Puzzles(question, maze.label(question))


def hard(maze: Maze, rng: np.random.Generator, least: int) -> Iterator[Tokens]:
    """Hard mazes in endless supply, questions [cells]. Raises BadInput if none is found.

    By rejection: random walls and a random start are drawn for many mazes at once, and those are kept in which some
    cell is at least `least` moves from the start. The benchmark drew the goal at random too, so that mazes came up in
    proportion to the number of their far goals. So they do here, up to cells / SPREAD goals (nine in ten mazes have
    no more), and more than ten times as fast.
    """
    cells, words = maze.cells, max(1, min(64, BATCH // maze.cells // 64))
    lanes = np.arange(64 * words)
    most, vain = cells / SPREAD, 0
    while vain * cells < PATIENCE:
        vain += len(lanes)
        density = rng.integers(DENSITY[0], DENSITY[1] + 1, len(lanes)).astype(np.uint8)
        free = np.frombuffer(rng.bytes(cells * len(lanes)), np.uint8).reshape(cells, -1) >= density
        start = rng.integers(cells, size=len(lanes))
        free[start, lanes] = True
        for lane, goals in far_cells(free, start, maze.height, maze.width, least):
            if rng.random() * most < len(goals):
                question = np.where(free[:, lane], OPEN, WALL).astype(np.uint8)
                question[[start[lane], rng.choice(goals)]] = START, GOAL
                vain = 0
                yield question
    raise BadInput(f"found no {maze.height}x{maze.width} maze with a path of {least} moves; ask for a shorter one")


def renew(maze: Maze, question: Tokens, rng: np.random.Generator, least: int) -> Tokens:
    """A hard maze made from another, question [cells]; both have a path of at least `least` moves.

    Both ends are drawn again, and two fifths as many walls change as between independent mazes. That takes 4 ms at
    30x30; a maze made from nothing takes 30 ms. Each change keeps the distribution of hard mazes: an end moves to any
    cell that is far enough from the other, and a patch of walls is drawn again unless the path would become too short.
    So new mazes are distributed as those that they are made from (Metropolis et al. 1953, Geman and Geman 1984).
    """
    free, ends, width = question > WALL, [*maze.ends(question)], maze.width
    density = np.arange(DENSITY[0], DENSITY[1] + 1) / 256
    log_odds = (~free).sum() * np.log(density) + (free.sum() - 1) * np.log(1 - density)  # the start is always free
    odds = np.exp(log_odds - log_odds.max())
    wall = rng.choice(density, p=odds / odds.sum())
    size = [max(2, side // PATCH) for side in (maze.height, width)]
    for _ in range(ROUNDS):
        for end in (0, 1):
            far = sum(layers(to_bits(free, width), bit_of(ends[1 - end], width), width)[least:])
            ends[end] = int(rng.choice(from_bits(far, maze.height, width)))
        start, goal = (bit_of(end, width) for end in ends)
        for _ in range(PATCHES):
            y, x = rng.integers(maze.height - size[0] + 1), rng.integers(width - size[1] + 1)
            other = free.copy()
            other.reshape(maze.height, width)[y : y + size[0], x : x + size[1]] = rng.random(size) >= wall
            other[ends] = True
            found = layers(to_bits(other, width), start, width, stop=goal)
            if found[-1] & goal and len(found) > least:
                free = other
    made = np.where(free, OPEN, WALL).astype(np.uint8)
    made[ends] = START, GOAL
    return made


def perfect(maze: Maze, rng: np.random.Generator, least: int | None) -> Iterator[Tokens]:
    """Perfect mazes in endless supply, questions [cells]: one path joins any two open cells.

    S and G are at least `least` moves apart (None: half the distance from S to the cell farthest from it). Raises
    BadInput if none is found.
    """
    vain = 0
    while vain < TRIES:
        vain += 1
        question = corridors(maze, rng)
        start = rng.choice(np.flatnonzero(question == OPEN))
        moves = distances(question[None] == OPEN, start[None], maze.height, maze.width)[0]
        goals = np.flatnonzero(moves >= max(1, (moves.max() + 1) // 2 if least is None else least))
        if len(goals):
            question[[start, rng.choice(goals)]] = START, GOAL
            vain = 0
            yield question
    size = f"{maze.height}x{maze.width}"
    raise BadInput(f"found no perfect {size} maze with a path of {least or 1} moves; ask for a shorter one")


def corridors(maze: Maze, rng: np.random.Generator) -> Tokens:
    """The walls and open cells [cells] of a perfect maze, by a depth-first search: rooms in every other row and column
    are joined to a tree by a walk that moves on to a random room not visited yet and, where there is none, back.
    """
    grid = np.full((maze.height, maze.width), WALL, np.uint8)
    # An even side leaves one row of wall over, before or after the rooms.
    y, x = (int(rng.integers(2)) if side % 2 == 0 else 0 for side in (maze.height, maze.width))
    rooms_y, rooms_x = (maze.height + 1) // 2, (maze.width + 1) // 2
    cells = grid[y : y + 2 * rooms_y - 1, x : x + 2 * rooms_x - 1]
    luck = iter(rng.random(rooms_y * rooms_x).tolist())
    r, c = int(rng.integers(rooms_y)), int(rng.integers(rooms_x))
    cells[2 * r, 2 * c] = OPEN
    trail = [(r, c)]
    while trail:
        r, c = trail[-1]
        near = [
            (a, b)
            for a, b in ((r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1))
            if 0 <= a < rooms_y and 0 <= b < rooms_x and cells[2 * a, 2 * b] == WALL
        ]
        if near:
            a, b = near[int(next(luck) * len(near))]
            cells[r + a, c + b] = cells[2 * a, 2 * b] = OPEN
            trail.append((a, b))
        else:
            trail.pop()
    return grid.reshape(-1)


def fingerprint(maze: Maze, question: Tokens) -> bytes:
    """Equal for questions [cells] of this size that are turned or mirrored images of each other, and for no others.
    Marked cells count as open.
    """
    images = np.where(question == PATH, OPEN, question).astype(np.uint8)[maze.symmetries]
    return min([bytes(image) for image in images])


# Statistics


def statistics(maze: Maze, question: Tokens) -> dict[str, npt.NDArray[np.float64]]:
    """Figures by which kinds of mazes differ, of each maze: question [rows, cells] -> [rows] by the name to show."""
    rows = np.arange(len(question))
    free = question > WALL
    start, goal = ((question == token).argmax(1) for token in (START, GOAL))
    moves = distances(free, start, maze.height, maze.width)
    apart = abs(start // maze.width - goal // maze.width) + abs(start % maze.width - goal % maze.width)
    grid = free.reshape(-1, maze.height, maze.width)
    squares = [grid[:, a : maze.height - 1 + a, b : maze.width - 1 + b] for a in (0, 1) for b in (0, 1)]
    routes = count_routes(free, start, goal, maze.height, maze.width)
    found = {
        "walls": (~free).sum(1),
        "moves from S to G": moves[rows, goal],
        "moves to the farthest cell": moves.max(1),
        "shortest paths, log10": np.log10(np.maximum(routes, 1)),
        "rows and columns apart": apart,
        "open cells reached, %": 100 * (moves >= 0).sum(1) / free.sum(1),
        "dead ends": (free & (maze.degrees(free) == 1)).sum(1),
        "2x2 all wall": (~np.any(squares, 0)).sum((1, 2)),
        "2x2 all open": np.all(squares, 0).sum((1, 2)),
    }
    return {name: values.astype(np.float64) for name, values in found.items()}


def summary(maze: Maze, question: Tokens, at: Sequence[float] = PERCENTILES) -> dict[str, list[float]]:
    """The `at` percentiles of each of the `statistics` of question [rows, cells]."""
    found = statistics(maze, question)
    return {name: [float(value) for value in np.percentile(values, at)] for name, values in found.items()}


# The sets that ship


def build_embedded(seed: int = 1, rows: int = 1000, folder: Path = DATA) -> None:
    """Write both embedded sets. The same seed and numpy give the same bytes. Takes two minutes."""
    maze, avoid = Maze(), set[bytes]()
    for number, name in enumerate(EMBEDDED):
        question = generate("hard", rows, seed * len(EMBEDDED) + number, avoid=avoid).question
        avoid.update(fingerprint(maze, row) for row in question)
        write_set(folder / f"maze_{name}.npz", question)


def write_set(path: Path, question: Tokens) -> None:
    """Write mazes to a compressed .npz file, at little more than a bit a cell.

    It holds walls [rows, cells / 8], a bit for each cell, and ends [rows, 2], the cells of S and G. Answers are left
    out, since labelling a maze takes less than a millisecond.
    """
    ends = np.stack([(question == token).argmax(1) for token in (START, GOAL)], 1).astype(np.uint16)
    walls = np.packbits(question == WALL, axis=1)
    write_atomic(path, lambda file: np.savez_compressed(file, walls=walls, ends=ends))
