"""A server in a thread, and two stand-ins for a maze model: one that is always right, and one that is paused."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import httpx
import numpy as np

import trm
from trm.inference.answers import Answer, Step
from trm.inference.puzzles import Puzzle, read_puzzle
from trm.models import ModelConfig, build
from trm.serve import Limits, create_app, listen, server
from trm.serve.limits import Queue
from trm.store.stored import Stored
from trm.tasks.maze.task import OPEN, PATH, Maze

EASY = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
MAZE = ["S#..", "..#G", "#..."]  # with one path
PATIENCE = 60.0  # seconds; only a failure takes so long, even on a busy machine

ASKING: Any = {"timeout": PATIENCE, "trust_env": False, "verify": False}  # reading certificates takes a while


def wait_until(true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


class Pathfinder(trm.Solver):
    """Finds the path by search and reveals it step by step. Its untrained weights say which sizes fit."""

    def __init__(self, steps: int = 4) -> None:
        config = ModelConfig(width=8, n=1, T=1, mixer="local", positions="none", puzzle_ids=0)
        super().__init__("maze", Stored(build(config, Maze(5, 5).spec), Maze(5, 5).spec, "pathfinder"))
        self.count = steps

    def watch(self, puzzle: Puzzle, **thinking: Any) -> Iterator[Step]:
        ((task, question, _),) = read_puzzle(puzzle, "maze")
        assert isinstance(task, Maze)
        return self._steps(task, question, task.label(question), min(self.count, thinking.get("steps", self.count)))

    def _steps(self, task: Maze, question: Any, path: Any, count: int) -> Iterator[Step]:
        for number in range(1, count + 1):
            share = number / self.count
            hidden = (np.arange(task.cells) >= task.cells * share) & (path == PATH)
            tokens = np.where(hidden, OPEN, path).astype(np.uint8)
            valid = bool(task.valid(question[None], tokens[None])[0])
            cells = np.full((task.height, task.width), 0.5 + share / 2, np.float32)
            step = Step(task, tokens, number, 0, valid, share, cells[..., None], 1 - cells, 0.0, 0.0)
            if number == count:
                answer = Answer(task, tokens, question, valid, share, number, 1, tuple)
                step = replace(step, answer=answer)
            yield step


class Gated(Pathfinder):
    """Makes a step only when it is allowed to."""

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self.gate = threading.Semaphore(0)
        self.allowed = self.done = 0

    def let(self, steps: int = 1) -> None:
        self.allowed += steps
        self.gate.release(steps)

    def let_go(self, queue: Queue) -> bool:
        """Whether the queue is empty. If not, allow one step, so that work that was stopped can end."""
        if queue.inside and self.done == self.allowed:
            self.let()
        return not queue.inside

    def watch(self, puzzle: Puzzle, **thinking: Any) -> Iterator[Step]:
        return self._gated(super().watch(puzzle))

    def _gated(self, steps: Iterator[Step]) -> Iterator[Step]:
        for step in steps:
            assert self.gate.acquire(timeout=PATIENCE)
            self.done += 1
            yield step


class Served(NamedTuple):
    url: str
    port: int
    queue: Queue
    busy: Callable[[], bool]  # whether there are open connections or requests

    def post(self, path: str, body: Any, **more: Any) -> httpx.Response:
        return httpx.post(f"{self.url}/api/{path}", json=body, **ASKING, **more)

    def get(self, path: str, **more: Any) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", **ASKING, **more)


@contextmanager
def serving(solvers: Mapping[str, trm.Solver], limits: Limits | None = None, **more: Any) -> Iterator[Served]:
    """The application on a free port of this machine."""
    app = create_app(solvers, limits, ["shown.example"], **more)
    with listen("127.0.0.1", 0) as socket:
        port = socket.getsockname()[1]
        running = server(app)
        thread = threading.Thread(target=running.run, args=([socket],), daemon=True)
        thread.start()
        wait_until(lambda: running.started)
        state = running.server_state
        try:
            yield Served(
                f"http://127.0.0.1:{port}", port, app.state.queue, lambda: bool(state.connections or state.tasks)
            )
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
