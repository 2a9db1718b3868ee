"""How much the server does for anybody: limits, and the queue of puzzles that want to be thought about."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import anyio
from anyio.to_thread import run_sync
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from trm.errors import TrmError

STEPS, RESTARTS, NOISE, GUESSES, SECONDS = 256, 255, 10.0, 256, 30.0  # the most that a request may ask for
PATIENCE = 30.0  # seconds that an answer may take to be read, besides those it was thought about
RETRY = 2  # seconds after which a client that was turned away may try again


@dataclass(frozen=True)
class Limits:
    """What a server is started with."""

    workers: int = 2  # puzzles that are thought about at once, each in one thread
    waiting: int = 16  # puzzles that wait for their turn
    body: int = 256 << 10  # bytes of a request
    body_seconds: float = 10.0  # in which they must have arrived
    side: int = 50  # rows and columns of a maze


class Busy(TrmError):
    """Every place is taken, and every place in the queue."""


class Queue:
    """Places for `workers` puzzles that are thought about and `waiting` that wait for their turn. One event loop's."""

    def __init__(self, workers: int, waiting: int) -> None:
        self.most = workers + waiting
        self.inside = 0  # both kinds
        self.turn = asyncio.Semaphore(workers)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Raises Busy at once where there is none."""
        if self.inside >= self.most:
            raise Busy(f"the server is busy with {self.inside} puzzles; try again in {RETRY} seconds")
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1


class Worked(Response):
    """A response that is worked out part by part, in threads, in a place of the queue.

    A client that hangs up stops the work after the part it is at, and frees its place; so does one that does not read.

    Args:
        queue: whose place it takes. Where there is none, Busy is raised before anything is sent.
        parts: the body; empty parts are steps of work with nothing to send. Closed in the end.
        media_type: of the body.
        seconds: how long working and sending may take.
    """

    def __init__(self, queue: Queue, parts: Generator[bytes, None, None], media_type: str, seconds: float) -> None:
        self.queue, self.parts, self.seconds = queue, parts, seconds
        self.status_code, self.media_type, self.background = 200, media_type, None
        self.init_headers({"Cache-Control": "no-store"})
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with closing(self.parts), self.queue.place():
            async with anyio.create_task_group() as group:
                group.start_soon(cancel_when_gone, receive, group.cancel_scope)
                async with self.queue.turn:
                    with anyio.move_on_after(self.seconds):
                        await self.work(send)
                group.cancel_scope.cancel()

    async def work(self, send: Send) -> None:
        part = await run_sync(next, self.parts, None)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        while part is not None:
            if part:
                await send({"type": "http.response.body", "body": part, "more_body": True})
            part = await run_sync(next, self.parts, None)  # a step that has begun is finished, come what may
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def cancel_when_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
