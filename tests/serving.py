"""A server in a thread, and a stand-in for a maze model that is always right."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import httpx
import numpy as np

import trm
from trm.api import Answer, Step
from trm.errors import BadInput
from trm.models import ModelConfig, build
from trm.reading import Puzzle, read_puzzle
from trm.serve import Limits, create_app, listen, server
from trm.serve.limits import Queue
from trm.store import Stored
from trm.tasks.maze import OPEN, PATH, Maze

EASY = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
MAZE = ["S#..", "..#G", "#..."]  # with one path


class Pathfinder(trm.Solver):
    """Finds the path by search and gives it away bit by bit; untrained weights of the right kind say what fits."""

    def __init__(self, steps: int = 4) -> None:
        config = ModelConfig(width=8, n=1, T=1, mixer="local", positions="none", puzzle_ids=0)
        super().__init__("maze", Stored(build(config, Maze(5, 5).spec), Maze(5, 5).spec, "pathfinder"))
        self.count = steps

    def watch(self, puzzle: Puzzle, **thinking: Any) -> Iterator[Step]:
        task, rows = read_puzzle(puzzle, "maze")
        if not isinstance(task, Maze) or len(rows) != 1:
            raise BadInput("one maze")
        question = rows[0]
        return self._steps(task, question, task.label(question), min(self.count, thinking.get("steps", self.count)))

    def _steps(self, task: Maze, question: Any, path: Any, count: int) -> Iterator[Step]:
        for number in range(1, count + 1):
            share = number / self.count
            hidden = (np.arange(task.cells) >= task.cells * share) & (path == PATH)
            tokens = np.where(hidden, OPEN, path).astype(np.uint8)
            valid = bool(task.valid(question[None], tokens[None])[0])
            cells = np.full((task.height, task.width), 0.5 + share / 2, np.float32)
            step = Step(task, tokens, number, 0, valid, share, cells, 0.0, 0.0)
            if number == count:
                answer = Answer(task, tokens, question, valid, share, number, 1, tuple)
                step = replace(step, answer=answer)
            yield step


class Served(NamedTuple):
    url: str
    port: int
    queue: Queue

    def post(self, path: str, body: Any, **more: Any) -> httpx.Response:
        return httpx.post(f"{self.url}/api/{path}", json=body, timeout=60, trust_env=False, **more)

    def get(self, path: str, **more: Any) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=60, trust_env=False, **more)


@contextmanager
def serving(solvers: Mapping[str, trm.Solver], limits: Limits | None = None) -> Iterator[Served]:
    """The application on a free port of this machine."""
    app = create_app(solvers, limits, ["shown.example"])
    with listen("127.0.0.1", 0) as socket:
        port = socket.getsockname()[1]
        running = server(app)
        thread = threading.Thread(target=running.run, args=([socket],), daemon=True)
        thread.start()
        while not running.started:
            time.sleep(0.01)
        try:
            yield Served(f"http://127.0.0.1:{port}", port, app.state.queue)
        finally:
            running.should_exit = True
            thread.join()


def events(text: str) -> list[tuple[str, Any]]:
    """The server-sent events of a whole body: names and data."""
    found = []
    for event in text.split("\n\n")[:-1]:
        name, data = event.split("\n")
        assert (name[:7], data[:6]) == ("event: ", "data: ")
        found.append((name[7:], json.loads(data[6:])))
    return found
