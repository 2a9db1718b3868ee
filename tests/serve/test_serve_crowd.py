"""`trm serve` and many clients: the queue, clients that disconnect or do not read, failures, memory."""

from __future__ import annotations

import gc
import json
import platform
import select
import socket
import subprocess
import sys
import threading
import tracemalloc
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from itertools import islice, pairwise
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
from serving import MAZE, PATIENCE, Gated, Pathfinder, Served, events, serving, wait_until

from trm.errors import TrmError
from trm.inference.answers import Step
from trm.serve import Limits
from trm.serve.limits import Queue, WorkResponse

ASKED = {"task": "maze", "puzzle": MAZE}


def test_a_full_queue_refuses_with_the_time_to_retry() -> None:
    solver = Gated(2)
    answers: list[httpx.Response] = []
    with serving({"maze": solver}, Limits(workers=1, waiting=1)) as served:

        def ask(path: str) -> None:
            answers.append(served.post(path, ASKED))

        threads = [threading.Thread(target=ask, args=(path,)) for path in ("solve", "watch")]
        for thread in threads:
            thread.start()
        wait_until(lambda: served.queue.inside == 2)
        refused = served.post("watch", ASKED)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
        assert refused.json()["message"] == "the server is busy with 2 puzzles; try again in 2 seconds"
        assert served.get("/api/tasks").status_code == 200  # other requests are still answered
        assert served.post("check", ASKED).json()["ok"] is True
        solver.let(8)
        for thread in threads:
            thread.join()
        assert [answer.status_code for answer in answers] == [200, 200]
        assert served.post("solve", ASKED).status_code == 200


@pytest.mark.parametrize("path", ["solve", "watch"])
def test_a_client_that_disconnects_stops_the_work_and_frees_the_place(path: str) -> None:
    solver = Gated(1000)
    with serving({"maze": solver}, Limits(workers=1, waiting=1)) as served:
        with asking(served, path) as thinking:
            wait_until(lambda: served.queue.inside == 1)
            with asking(served, path):
                wait_until(lambda: served.queue.inside == 2)
            wait_until(lambda: served.queue.inside == 1)  # a waiting client may disconnect, too
            solver.let()
            received = b""
            while path == "watch" and b"event: step" not in received:
                received += thinking.recv(4096)
            wait_until(lambda: solver.done == 1)
        wait_until(lambda: solver.let_go(served.queue))
        assert solver.done < 100
        assert not served.queue.worker.locked()
        solver.count = 4
        solver.let(4)
        assert served.post("solve", ASKED).json()["solved"] is True


def test_a_crowd() -> None:
    """200 requests at once: those that get a place are answered, and all others are refused with Retry-After."""
    solver, places = Gated(2), Limits().workers + Limits().waiting
    with serving({"maze": solver}) as served, ExitStack() as stack:
        lines = [stack.enter_context(asking(served, "solve")) for _ in range(200)]
        wait_until(lambda: len(select.select(lines, [], [], 0)[0]) == 200 - places)
        assert served.queue.inside == places
        solver.let(2 * places)
        answered = Counter(line.recv(12) for line in lines)
        assert answered == {b"HTTP/1.1 200": places, b"HTTP/1.1 429": 200 - places}
        wait_until(lambda: not served.queue.inside)
        assert served.get("/api/tasks").status_code == 200


def test_nothing_is_kept() -> None:
    """Memory does not grow while requests are answered, refused and cut off in the middle of a stream."""
    bodies = [{**ASKED, "steps": 3}, {**ASKED, "steps": "3"}, {"task": "maze", "puzzle": ["S"]}]
    with serving({"maze": Pathfinder(1000)}) as served:

        def memory() -> int:
            for _ in range(10):
                with asking(served, "watch") as line:
                    assert line.recv(12) == b"HTTP/1.1 200"
                for body, status in zip(bodies, (b"200", b"400", b"422"), strict=True):
                    with asking(served, "solve", body) as line:
                        assert line.recv(12)[9:] == status
            wait_until(lambda: not served.busy())
            gc.collect()
            return tracemalloc.get_traced_memory()[0]

        tracemalloc.start()
        try:
            seen = [memory() for _ in range(4)]
        finally:
            tracemalloc.stop()
    # Bytes added by each of the last rounds of 40 requests. Anything kept per request would add to all of them.
    assert min(after - before for before, after in pairwise(seen[1:])) < 2000, seen


def asking(served: Served, path: str, asked: object = ASKED) -> socket.socket:
    """A connection on which a request has been sent. Neither it nor a timer for it is kept alive."""
    body = json.dumps(asked).encode()
    line = socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE)
    line.sendall(f"POST /api/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n".encode())
    line.sendall(f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    return line


@pytest.mark.parametrize(
    ("reads", "bodies"), [(False, [None, b"a"]), (True, [None, b"a", b"no answer within 7 secon"])]
)
def test_a_client_that_does_not_read_loses_its_place_and_one_that_reads_gets_the_error(
    monkeypatch: pytest.MonkeyPatch, reads: bool, bodies: list[Any]
) -> None:
    """The time limit passes while the first part is sent."""
    queue = Queue(1, 0)
    sent: list[Any] = []
    clocks: list[anyio.CancelScope] = []

    def move_on_after(seconds: float) -> anyio.CancelScope:
        assert seconds == (30 if clocks else 7)
        clocks.append(anyio.CancelScope())
        return clocks[-1]

    async def never() -> Any:
        await anyio.sleep_forever()

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) == 2:
            clocks[0].deadline = anyio.current_time()  # the 7 seconds are over
            if not reads:
                await anyio.sleep_forever()

    monkeypatch.setattr(anyio, "move_on_after", move_on_after)
    parts = (part for part in (b"a", b"b"))
    worked = WorkResponse(queue, parts, "text/plain", 7, lambda error: str(error).encode()[:24])
    anyio.run(worked, {"type": "http"}, never, send)
    assert [message.get("body") for message in sent] == bodies
    assert sent[-1]["more_body"] is not reads
    assert queue.inside == 0
    assert not queue.worker.locked()


def test_nothing_runs_on_after_a_disconnect() -> None:
    """The generator is closed at once, not when it is garbage-collected."""
    ended: list[bool] = []

    def thinking() -> Generator[bytes, None, None]:
        try:
            while True:
                yield b"step"
        finally:
            ended.append(True)

    async def gone() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        await anyio.lowlevel.checkpoint()

    parts = thinking()
    next(parts)
    anyio.run(WorkResponse(Queue(1, 0), parts, "text/plain", seconds=7), {"type": "http"}, gone, send)
    assert ended == [True]


class Failing(Pathfinder):
    """Fails after some steps, with a TrmError."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def _steps(self, *asked: Any) -> Iterator[Step]:
        yield from islice(super()._steps(*asked), self.after)
        raise TrmError("no memory is left; try again later")


@pytest.mark.parametrize(("path", "after"), [("solve", 0), ("solve", 2), ("watch", 0)])
def test_work_that_fails_before_anything_was_sent_is_refused(path: str, after: int) -> None:
    with serving({"maze": Failing(after)}) as served:
        answer = served.post(path, ASKED)
        assert answer.status_code == 503
        assert answer.json() == {"message": "no memory is left; try again later", "faults": []}
        wait_until(lambda: served.queue.inside == 0)


def test_work_that_fails_while_it_is_watched_is_reported() -> None:
    with serving({"maze": Failing(2)}) as served:
        sent = events(served.post("watch", ASKED).text)
    assert [name for name, _ in sent] == ["step", "step", "problem"]
    assert sent[-1][1] == {"message": "no memory is left; try again later", "faults": []}


@pytest.mark.parametrize("path", ["solve", "watch"])
def test_work_that_takes_too_long_is_refused(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trm.serve.app.GRACE", -30)  # cancels the time limit of 30 seconds
    with serving({"maze": Pathfinder()}) as served:
        answer = served.post(path, ASKED)
    assert answer.status_code == 503
    assert answer.json() == {"message": "no answer within 0 seconds; try again later", "faults": []}


def test_a_fault_of_the_server_is_reported_and_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving({"maze": Pathfinder()}) as served:
        with monkeypatch.context() as patch:
            patch.setattr(Pathfinder, "watch", lambda *_, **__: (1 / 0 for _ in "x"))
            answer = served.post("solve", ASKED)
        assert answer.status_code == 500
        assert answer.json() == {"message": "internal error of the server; see its log", "faults": []}
        wait_until(lambda: served.queue.inside == 0)
        assert served.post("solve", ASKED).json()["solved"] is True


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_threads_share_one_heap() -> None:
    """glibc reserves 64 MB for a thread that gets a heap of its own."""
    code = (
        "import ctypes, re, threading, trm.serve\n"
        "{first}\n"
        "meet, libc = threading.Barrier(9), ctypes.CDLL(None)\n"
        "def use():\n"
        "    libc.malloc(1000)\n"
        "    meet.wait()\n"
        "for _ in range(8):\n"
        "    threading.Thread(target=use).start()\n"
        "before = re.search('VmSize:\\\\s+(\\\\d+)', open('/proc/self/status').read())[1]\n"
        "meet.wait()\n"
        "print(before)\n"
    )

    def reserved(first: str) -> int:
        """kB"""
        done = subprocess.run(
            [sys.executable, "-c", code.replace("{first}", first)], capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    assert reserved("pass") - reserved("trm.serve.one_heap()") > 2 * 65_536
