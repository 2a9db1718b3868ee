"""How much the server does for anybody: limits, and the queue of puzzles that want to be thought about."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import anyio
from anyio.to_thread import run_sync
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from trm.errors import TrmError

STEPS, RESTARTS, NOISE, GUESSES, SECONDS = 256, 255, 10.0, 256, 30.0  # the most that a request may ask for
FAULTS = 100  # that are told of a puzzle, at most
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
    Where the work fails, or takes too long, before anything was sent, a TrmError is raised.

    Args:
        queue: whose place it takes. Where there is none, Busy is raised before anything is sent.
        parts: the body; empty parts are steps of work with nothing to send. Closed in the end.
        media_type: of the body.
        seconds: how long working and sending may take.
        last_words: what ends a body that has begun when a TrmError comes; None: it breaks off, as at any other error.
    """

    def __init__(
        self,
        queue: Queue,
        parts: Generator[bytes, None, None],
        media_type: str,
        seconds: float,
        last_words: Callable[[TrmError], bytes] | None = None,
    ) -> None:
        self.queue, self.parts, self.seconds, self.last_words = queue, parts, seconds, last_words
        self.status_code, self.media_type, self.background = 200, media_type, None
        self.init_headers({"Cache-Control": "no-store"})
        del self.headers["content-length"]
        self.begun = self.sending = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error: TrmError | None = None
        with closing(self.parts), self.queue.place():
            async with anyio.create_task_group() as group:
                group.start_soon(cancel_when_gone, receive, group.cancel_scope)
                async with self.queue.turn:
                    error = await self.work(send)
                group.cancel_scope.cancel()
        if error:  # not in the group, which would wrap it
            raise error

    async def work(self, send: Send) -> TrmError | None:
        """Send all parts, or why there are no more. -> why, if that is still to be told."""
        error = await self.send_parts(send)
        if error is None or not self.begun or self.last_words is None:
            return error
        with anyio.move_on_after(PATIENCE):
            await self.pass_on(send, self.last_words(error), more=False)
        return None

    async def send_parts(self, send: Send) -> TrmError | None:
        """-> what has prevented it; None also where the client does not read."""
        with anyio.move_on_after(self.seconds):
            try:
                # A step that has begun is finished, come what may.
                while (part := await run_sync(next, self.parts, None)) is not None:
                    if part:
                        await self.pass_on(send, part)
                await self.pass_on(send, b"", more=False)
            except TrmError as error:
                return error
            return None
        return None if self.sending else TrmError(f"no answer within {self.seconds:g} seconds; try again later")

    async def pass_on(self, send: Send, part: bytes, more: bool = True) -> None:
        self.sending = True
        if not self.begun:
            self.begun = True
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": part, "more_body": more})
        self.sending = False


async def cancel_when_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
