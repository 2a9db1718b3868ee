"""Mazes: the shortest path from S to G. Labels, symmetries, checking and drawing; `trm.tasks.maze.text` reads them.

Tokens: 0 padding (unscored), 1 wall, 2 open, 3 start, 4 goal, 5 path. Cells are numbered row by row from 0; messages
call the first one r1c1. Most mazes have many shortest paths, of which the benchmark always chooses by the same rule
(`Maze.label`). A turned answer would not follow that rule, so the image of a maze is labelled anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trm.errors import BadInput
from trm.tasks.base import Bools, Fault, Hint, Ints, Puzzles, Spec, Task, Tokens, from_rows
from trm.tasks.maze.paths import bit_of, distances, far_cells, from_bits, layers, route, to_bits
from trm.tasks.maze.text import CHARACTERS, GOAL, OPEN, PATH, START, WALL, Reader, Size, size_of

__all__ = ["CHARACTERS", "GOAL", "OPEN", "PATH", "START", "WALL", "Maze", "maze_for"]

MOST = 100  # rows, and columns
ATTEMPTS = 30  # of `crop`: 64 windows in the first, twice as many in each of the next, 1,024 at most

_DRAWN = np.frombuffer(CHARACTERS.encode(), np.uint8)


class Ends(NamedTuple):
    """Cells of S and G."""

    start: int
    goal: int


@dataclass(frozen=True)
class Maze(Task):
    """Mazes of one size, 2x2 to 100x100: a task (`trm.tasks.base.Task`)."""

    height: int = 30
    width: int = 30

    def __post_init__(self) -> None:
        if not 2 <= min(self.height, self.width) <= max(self.height, self.width) <= MOST:
            raise BadInput(f"a maze of {self.height}x{self.width} cells is not supported (2x2 to {MOST}x{MOST})")

    @property
    def cells(self) -> int:
        return self.height * self.width

    @cached_property
    def spec(self) -> Spec:
        name = "maze" if self == Maze() else f"maze-{self.height}x{self.width}"
        return Spec(name, self.height, self.width, vocab=6, first_symbol=6)

    # Reading

    @property
    def _reader(self) -> Reader:
        return Reader(Size(self.height, self.width))

    def read(self, text: str) -> Puzzles:
        """Every maze in `text`: drawn with the characters `# .SGo` (a blank line between two), or one a line, or CSV,
        or one of the forms in `trm.tasks.maze.forms`.

        Only CSV holds answers; elsewhere they are all 0. `o` in a question is read as an open cell. Raises BadInput
        with one line that names the place, and TwoReadings where a text can be read in two ways.
        """
        reading = self._reader.read(text)
        rows, puzzles = reading.rows, from_rows(reading.rows, reading.left_out)
        puzzles.question[puzzles.question == PATH] = OPEN
        starts = [row.line for row in rows]
        self._check_questions(puzzles.question, starts)
        self._check_answers(puzzles, starts)
        return puzzles

    def read_cells(self, text: str) -> Tokens:
        """Tokens [rows, cells] of mazes or answers as `read` takes them, but not CSV. Not checked by the rules. Raises
        BadInput for what is no grid.
        """
        return self._reader.read_cells(text)

    def _check_questions(self, question: Tokens, starts: Sequence[int]) -> None:
        """Raises BadInput for the first of the mazes [rows, cells] that has no answer; row i begins in line
        `starts[i]`.
        """
        for token, name in ((START, "S (start)"), (GOAL, "G (goal)")):
            bad = (question == token).sum(1) != 1
            if bad.any():
                row = int(bad.argmax())
                cells = [self.cell_name(cell) for cell in np.flatnonzero(question[row] == token)[:3].tolist()]
                what = f"more than one {name}: {', '.join(cells)}" if cells else f"there is no {name}"
                raise BadInput(f"maze {row + 1} (line {starts[row]}): {what}")
        bad = self.moves(question) < 0
        if bad.any():
            row = int(bad.argmax())
            raise BadInput(f"maze {row + 1} (line {starts[row]}): no path leads from S to G")

    def _check_answers(self, puzzles: Puzzles, starts: Sequence[int]) -> None:
        """Raises BadInput for the first answer that is given but is not valid."""
        given = np.flatnonzero(puzzles.answer.any(1))
        bad = given[~self.valid(puzzles.question[given], puzzles.answer[given])]
        if len(bad):
            row = int(bad[0])
            what = self.fault(puzzles.question[row], puzzles.answer[row])
            raise BadInput(f"maze {row + 1} (line {starts[row]}), column answer: {what}")

    # Labels

    def ends(self, question: Tokens) -> Ends:
        """The ends of question [cells]. Raises BadInput unless there is one S and one G."""
        start, goal = (np.flatnonzero(question == token).tolist() for token in (START, GOAL))
        if len(start) != 1 or len(goal) != 1:
            raise BadInput(f"a maze needs one S and one G, and this one has {len(start)} and {len(goal)}")
        return Ends(int(start[0]), int(goal[0]))

    def moves(self, question: Tokens) -> Ints:
        """Moves of the shortest path from S to G in question [rows, cells]: [rows], -1 where there is none."""
        start, goal = ((question == token).argmax(1) for token in (START, GOAL))
        found = distances(question > WALL, start, self.height, self.width)
        moves: Ints = found[np.arange(len(question)), goal].astype(np.int64)
        return moves

    def label(self, question: Tokens) -> Tokens:
        """The benchmark's answer [.., cells] to question [.., cells]: from S on, each move is the first of down, left,
        right, up that leads nearer to G. Raises BadInput where there is no path.
        """
        answer: Tokens = question.copy()
        answer[answer == PATH] = OPEN
        for row in answer.reshape(-1, self.cells):
            path = route(row > WALL, *self.ends(row), self.width)
            if path is None:
                raise BadInput("no path leads from S to G")
            row[path] = PATH
        return answer

    @property
    def hints(self) -> int:
        """Three distances modulo 3 times four directions, see `hint`."""
        return 12

    def hint(self, question: Tokens, answer: Tokens) -> Hint[Ints]:
        """Hints about the way to G: the distance d of a cell from it, modulo 3, and the direction in which to go.

        The kind is 1 + 4 (d mod 3) + k, where k is the number of the first neighbour that is nearer to G, in the order
        down, left, right, up (0 for G itself); it is 0 for a cell that no path joins to G. The distances of neighbours
        differ by one, so d mod 3 tells which of them are nearer, and a cell knows its own d as soon as one of
        them does: after d moves. The answer follows these directions from S on, so nothing can know it until
        information from G has reached S, and a cell of the path knows it when that has come back from S.
        """
        start, goal = self.ends(question)
        moves = distances(question[None] > WALL, np.array([goal]), self.height, self.width)[0].astype(np.int64)
        near = np.pad(moves.reshape(self.height, self.width), 1, constant_values=-2)
        down, left, right, up = near[2:, 1:-1], near[1:-1, :-2], near[1:-1, 2:], near[:-2, 1:-1]
        nearer = np.stack((down, left, right, up)).reshape(4, -1) == moves - 1
        kind = np.where(moves < 0, 0, 1 + 4 * (moves % 3) + np.where(moves > 0, nearer.argmax(0), 0))
        path = answer == PATH
        opened, known = moves[start] * path, (2 * moves[start] - moves) * path
        return Hint(kind, np.maximum(moves, 0), opened, known)

    # Symmetries and variations

    @cached_property
    def symmetries(self) -> Ints:
        """Orders of the cells, [8, cells], or [4, cells] unless square: maze[symmetries] are the images of a maze."""
        grid = np.arange(self.cells).reshape(self.height, self.width)
        grids = [grid, grid.T] if self.height == self.width else [grid]
        return np.array([g[::y, ::x].reshape(-1) for g in grids for y in (1, -1) for x in (1, -1)])

    def augment(self, question: Tokens, answer: Tokens, rng: np.random.Generator) -> tuple[Tokens, Tokens]:
        """A random image of question [cells], labelled anew. Raises BadInput if it has no path."""
        turned = question[self.symmetries[rng.integers(len(self.symmetries))]]
        return turned, self.label(turned)

    def other_ends(self, question: Tokens, rng: np.random.Generator, least: int = 1) -> Tokens:
        """The same walls [cells] with another S and G, at least `least` >= 1 moves apart.

        S is uniform among the cells from which some cell is that far, and G among those. Raises BadInput if no two
        cells are that far apart.
        """
        walls = np.where(question > WALL, OPEN, question).astype(np.uint8)
        free = to_bits(walls == OPEN, self.width)
        for start in rng.permutation(np.flatnonzero(walls == OPEN)).tolist():
            # The layers share no cell, so their sum is their union.
            far = sum(layers(free, bit_of(start, self.width), self.width)[max(least, 1) :])
            if far:
                walls[[start, rng.choice(from_bits(far, self.height, self.width))]] = START, GOAL
                return walls
        raise BadInput(f"no two cells of this maze are {least} moves apart")

    def near_ends(self, question: Tokens, rng: np.random.Generator) -> Tokens:
        """The same walls [cells] with another S and G, often close together.

        S is uniform among the cells with an open neighbour, and the logarithm of its distance from G is uniform. Raises
        BadInput if no cell has an open neighbour.
        """
        walls = np.where(question > WALL, OPEN, question).astype(np.uint8)
        free = to_bits(walls == OPEN, self.width)
        for start in rng.permutation(np.flatnonzero(walls == OPEN)).tolist():
            rings = layers(free, bit_of(start, self.width), self.width)
            if len(rings) > 1:
                ring = rings[int(len(rings) ** rng.random())]
                walls[[start, rng.choice(from_bits(ring, self.height, self.width))]] = START, GOAL
                return walls
        raise BadInput("no two open cells of this maze are next to each other")

    def crop(self, question: Tokens, rng: np.random.Generator, height: int, width: int, least: int = 1) -> Tokens:
        """A random window on the walls of question [cells] with ends of its own, at least `least` moves apart: a
        question of `Maze(height, width)`.

        The window and its start are uniform among those with such a goal, and the goal among those. Raises BadInput if
        none was found.
        """
        if height > self.height or width > self.width:
            raise BadInput(f"{self.spec.name} has no window of {height}x{width} cells")
        inside = (np.arange(height)[:, None] * self.width + np.arange(width)).reshape(-1, 1)
        for attempt in range(ATTEMPTS):
            count = 64 << min(attempt, 4)
            y, x = (rng.integers(most + 1, size=count) for most in (self.height - height, self.width - width))
            free = question[inside + (y * self.width + x)] > WALL
            start = rng.integers(height * width, size=count)
            for one, goals in far_cells(free, start, height, width, max(least, 1)):
                window = np.where(free[:, one], OPEN, WALL).astype(np.uint8)
                window[[start[one], rng.choice(goals)]] = START, GOAL
                return window
        raise BadInput(f"no two cells of a window of {height}x{width} cells are {least} moves apart")

    def reveal(self, question: Tokens, answer: Tokens, share: float, rng: np.random.Generator) -> Tokens:
        """The question [cells] with round(share * path cells) random cells of the path marked; 0 <= share <= 1."""
        if not 0 <= share <= 1:
            raise ValueError(f"share must be from 0 to 1, not {share}")
        hidden = np.flatnonzero((question == OPEN) & (answer == PATH))
        easier: Tokens = question.copy()
        easier[rng.permutation(hidden)[: round(share * len(hidden))]] = PATH
        return easier

    # Checking

    def degrees(self, path: Bools) -> Ints:
        """How many of the four neighbours of each cell are on the path: path [rows, cells] -> [rows, cells]."""
        grid = np.zeros((len(path), self.height + 2, self.width + 2), np.int64)
        grid[:, 1:-1, 1:-1] = path.reshape(-1, self.height, self.width)
        near = grid[:, 2:, 1:-1] + grid[:, :-2, 1:-1] + grid[:, 1:-1, 2:] + grid[:, 1:-1, :-2]
        return near.reshape(path.shape)

    def valid(self, question: Tokens, answer: Tokens) -> Bools:
        """Which rows [rows, cells] keep the walls, S and G, and mark one simple path from S to G and nothing else.

        The path need not be a shortest one, nor use the cells that the question marks.
        """
        ends = [(question == token).sum(1) == 1 for token in (START, GOAL)]
        good: Bools = np.all([*ends, ~self._changed(question, answer).any(1)], axis=0)
        rows = np.flatnonzero(good)
        path = answer[rows] >= START
        # If each end has one neighbour on it and every other marked cell two, it is a path, and perhaps separate loops.
        degree = np.where(answer[rows] == PATH, 2, 1)
        good[rows] = (~path | (self.degrees(path) == degree)).all(1)
        rows, path = rows[good[rows]], path[good[rows]]
        reached = distances(path, (answer[rows] == START).argmax(1), self.height, self.width) >= 0
        good[rows] = (reached == path).all(1)
        return good

    def shortest(self, question: Tokens, answer: Tokens) -> Bools:
        """Which rows [rows, cells] are valid with a shortest path, whether or not it is the benchmark's choice."""
        good = self.valid(question, answer)
        rows = np.flatnonzero(good)
        good[rows] = (answer[rows] == PATH).sum(1) + 1 == self.moves(question[rows])
        return good

    def right(self, question: Tokens, answer: Tokens) -> Bools:
        """Those with a shortest path."""
        return self.shortest(question, answer)

    def scores(self, question: Tokens, answer: Tokens) -> dict[str, Bools]:
        """What `trm eval` shows besides exact and valid."""
        return {"shortest": self.shortest(question, answer)}

    def _changed(self, question: Tokens, answer: Tokens) -> Bools:
        """Cells that the answer may not change as it does: [.., cells] -> [.., cells]"""
        free = (question == OPEN) | (question == PATH)
        changed: Bools = np.where(free, (answer != OPEN) & (answer != PATH), answer != question)
        return changed

    def fault(self, question: Tokens, answer: Tokens) -> str | None:
        """What is wrong with an answer [cells] to a question with one S and one G, in words; None if it is valid."""
        found = self.faults(question, answer)
        return found[0].what if found else None

    def faults(self, question: Tokens, answer: Tokens) -> list[Fault]:
        """The first fault of an answer [cells] to a question with one S and one G; none if it is valid."""
        changed = self._changed(question, answer)
        if changed.any():
            cell = int(changed.argmax())
            now, was = (CHARACTERS[tokens[cell]] for tokens in (answer, question))
            return [Fault(cell, f"{self.cell_name(cell)} is {now} where the question has {was.replace('o', '.')}")]
        path = answer >= START
        degree = self.degrees(path[None])[0]
        wanted = np.where(answer == PATH, 2, 1)
        for bad, what in ((degree < wanted, "is cut off at"), (degree > wanted, "branches or touches itself at")):
            if (bad & path).any():
                cell = int((bad & path).argmax())
                return [Fault(cell, f"the path {what} {self.cell_name(cell)}")]
        reached = distances(path[None], np.flatnonzero(answer == START), self.height, self.width)[0] >= 0
        loose = path & ~reached
        if not loose.any():
            return []
        cell = int(loose.argmax())
        return [Fault(cell, f"{self.cell_name(cell)} is not on the path from S to G")]

    # Showing

    def instructions(self, symbols: str) -> str:
        return (
            f"This is a maze of {self.height} rows and {self.width} columns: # is wall, . is open, S the start and G "
            "the goal. Walk from S to G in as few moves as possible, up, down, left or right, through open cells only. "
            "Where more than one move brings you a step nearer to G, prefer down, then left, then right, then up. The "
            "solution is the same board with an o on every cell of the path between S and G."
        )

    def cell_name(self, cell: int) -> str:
        """The cell as messages name it: 'r2c1' for cell 30 of a 30x30."""
        return self.spec.cell_name(cell)

    def to_line(self, tokens: Tokens) -> str:
        """Tokens [cells] as one line, '.' for an open cell; `read` takes it back."""
        return _DRAWN[tokens].tobytes().decode()

    def to_grid(self, tokens: Tokens) -> npt.NDArray[np.str_]:
        """Tokens [cells] as characters [height, width], as drawn."""
        return np.array([*CHARACTERS])[tokens].reshape(self.height, self.width)

    def draw(self, tokens: Tokens) -> str:
        """Tokens [cells] as a line for each row; `read` takes it back."""
        return "\n".join(self.to_line(row) for row in tokens.reshape(self.height, self.width))


def maze_for(text: str, default: Maze | None = None) -> Maze:
    """The task in the size of the first maze in `text` (see `trm.tasks.maze.text.size_of`).

    Where the size is unclear: `default`, which is 30x30 unless given; its `read` then says what is wrong. Raises
    BadInput for a size that is not supported, and TwoReadings.
    """
    default = default or Maze()
    return Maze(*size_of(text, Size(default.height, default.width)))
