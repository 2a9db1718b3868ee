"""Limits on what one client may ask for, and the queue of puzzles to be solved."""

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

MAX_STEPS, MAX_RESTARTS, MAX_NOISE, MAX_GUESSES, MAX_SECONDS = 256, 255, 10.0, 256, 30.0  # of one request
MAX_FAULTS = 100  # reported for one puzzle
GRACE = 30.0  # seconds for sending an answer, beyond those for working it out
RETRY_AFTER = 2  # seconds after which a refused client may try again


@dataclass(frozen=True)
class Limits:
    """The limits that a server is started with."""

    workers: int = 2  # puzzles solved at once, each in one thread
    waiting: int = 16  # puzzles that wait for a worker
    body: int = 256 << 10  # bytes of a request
    body_seconds: float = 10.0  # time for a request to arrive
    side: int = 50  # rows or columns of a maze


class Busy(TrmError):
    """The queue is full."""


class Queue:
    """Places for `workers` puzzles that are being solved and `waiting` that wait. It belongs to one event loop."""

    def __init__(self, workers: int, waiting: int) -> None:
        self.capacity = workers + waiting
        self.inside = 0  # puzzles being solved or waiting
        self.worker = asyncio.Semaphore(workers)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place in the queue. Raises Busy if there is none."""
        if self.inside >= self.capacity:
            raise Busy(f"the server is busy with {self.inside} puzzles; try again in {RETRY_AFTER} seconds")
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1


class WorkResponse(Response):
    """A response that is worked out part by part, in threads, while it holds a place in the queue.

    If the client disconnects or does not read, the work ends after the current part and the place becomes free. If the
    work fails or takes too long before anything was sent, a TrmError is raised.

    Args:
        queue: where it takes a place. If the queue is full, Busy is raised before anything is sent.
        parts: the body. An empty part is a step of work with nothing to send. The generator is closed in the end.
        media_type: of the body.
        seconds: time limit for working and sending.
        error_part: makes the last part of a body that has begun when a TrmError is raised. Without it the body just
            ends, as it does at any other exception.
    """

    def __init__(
        self,
        queue: Queue,
        parts: Generator[bytes, None, None],
        media_type: str,
        seconds: float,
        error_part: Callable[[TrmError], bytes] | None = None,
    ) -> None:
        self.queue, self.parts, self.seconds, self.error_part = queue, parts, seconds, error_part
        self.status_code, self.media_type, self.background = 200, media_type, None
        self.init_headers({"Cache-Control": "no-store"})
        del self.headers["content-length"]
        self.begun = self.sending = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error: TrmError | None = None
        with closing(self.parts), self.queue.place():
            async with anyio.create_task_group() as group:
                group.start_soon(cancel_on_disconnect, receive, group.cancel_scope)
                async with self.queue.worker:
                    error = await self.work(send)
                group.cancel_scope.cancel()
        if error:  # raised here: the task group would wrap it
            raise error

    async def work(self, send: Send) -> TrmError | None:
        """Send all parts, or the part that reports an error. -> an error that is still to be reported"""
        error = await self.send_parts(send)
        if error is None or not self.begun or self.error_part is None:
            return error
        with anyio.move_on_after(GRACE):
            await self.send_part(send, self.error_part(error), more=False)
        return None

    async def send_parts(self, send: Send) -> TrmError | None:
        """-> the error that ended the work; None also if the client does not read"""
        with anyio.move_on_after(self.seconds):
            try:
                # A part that has begun is always finished.
                while (part := await run_sync(next, self.parts, None)) is not None:
                    if part:
                        await self.send_part(send, part)
                await self.send_part(send, b"", more=False)
            except TrmError as error:
                return error
            return None
        return None if self.sending else TrmError(f"no answer within {self.seconds:g} seconds; try again later")

    async def send_part(self, send: Send, part: bytes, more: bool = True) -> None:
        self.sending = True
        if not self.begun:
            self.begun = True
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": part, "more_body": more})
        self.sending = False


async def cancel_on_disconnect(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
