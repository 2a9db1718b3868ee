"""Small mazes, and searches that know nothing of `trm`, for several tests."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np

from trm.tasks.base import Tokens
from trm.tasks.maze.task import GOAL, OPEN, PATH, START, WALL, Maze

SHOWN = "S.#..\n#...#\n..#.G"


SMALL = Maze(3, 5)


ANSWER = "So#..#ooo#..#oG"


def neighbours(maze: Maze, cell: int) -> Iterator[int]:
    """Down, left, right, up."""
    y, x = divmod(cell, maze.width)
    for a, b in ((y + 1, x), (y, x - 1), (y, x + 1), (y - 1, x)):
        if 0 <= a < maze.height and 0 <= b < maze.width:
            yield a * maze.width + b


def queue_search(maze: Maze, question: Tokens, start: int) -> tuple[dict[int, int], dict[int, int]]:
    """Cell -> moves from the start, and cell -> the cell it was first discovered from: first in, first out."""
    moves, parent, queue = {start: 0}, {start: start}, deque([start])
    while queue:
        cell = queue.popleft()
        for near in neighbours(maze, cell):
            if question[near] != WALL and near not in moves:
                moves[near], parent[near] = moves[cell] + 1, cell
                queue.append(near)
    return moves, parent


def queue_label(maze: Maze, question: Tokens) -> Tokens | None:
    """The path that the queue finds, marked; None if there is none."""
    start, goal = int((question == START).argmax()), int((question == GOAL).argmax())
    parent = queue_search(maze, question, start)[1]
    if goal not in parent:
        return None
    answer: Tokens = question.copy()
    cell = parent[goal]
    while cell != start:
        answer[cell], cell = PATH, parent[cell]
    return answer


def random_questions(maze: Maze, rows: int, seed: int) -> Tokens:
    """[rows, cells] of any density, with or without a path."""
    rng = np.random.default_rng(seed)
    question = np.where(rng.random((rows, maze.cells)) < rng.uniform(0, 0.6, (rows, 1)), WALL, OPEN).astype(np.uint8)
    for row in question:
        row[rng.permutation(maze.cells)[:2]] = START, GOAL
    return question


WAYS = {
    "dots": SHOWN,
    "spaces": SHOWN.replace(".", " "),
    "windows": "\ufeff" + SHOWN.replace("\n", "\r\n") + "\r\n",
    "blank lines around": f"\n\n  \n{SHOWN}\n\n",
    "csv": f"source,question,answer,rating\r\nme,{SHOWN},{ANSWER},\r\n".replace(SHOWN, SHOWN.replace("\n", "")),
    "csv without answers": "question\n" + SHOWN.replace("\n", "").replace(".", " ") + "\n",
    "quoted csv": '"rating","question"\n"1,000","' + SHOWN.replace("\n", "") + '"\n',
    "one line": SHOWN.replace("\n", ""),
}


def every_answer(question: Tokens) -> Tokens:
    """[2 to the power of the open cells, cells]: all that keep walls and ends."""
    blank = np.flatnonzero((question == OPEN) | (question == PATH))
    answers = np.repeat(question[None], 1 << len(blank), 0)
    answers[:, blank] = np.where(np.arange(1 << len(blank))[:, None] >> np.arange(len(blank)) & 1, PATH, OPEN)
    return answers
