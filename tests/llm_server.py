"""A local server that speaks the protocol of language models and knows the answers, and helpers to ask it."""

from __future__ import annotations

import csv
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from trm.analysis.records import Record
from trm.llm.ask import ask_rows
from trm.llm.http import Client, endpoint
from trm.llm.transcripts import TranscriptLine, plan
from trm.tasks import load_puzzles
from trm.tasks.base import Puzzles
from trm.tasks.sudoku.task import Sudoku

TASK = Sudoku(2, 2)
SECRET = "sk-secret/0123456789-abcdef"


class Sent(NamedTuple):
    """What the server sends."""

    status: int
    headers: dict[str, str]
    body: bytes


Behaviour = Callable[[str, int], Sent]  # of the question (16 characters) and how often it was asked before


class Model(ThreadingHTTPServer):
    """Answers `POST /v1/chat/completions` as `behaviour` says; by default with the right grid in prose."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        with path.open() as file:
            self.known = {row["question"]: row["answer"] for row in csv.DictReader(file)}
        self.behaviour: Behaviour = self.right
        self.asked: list[str] = []  # questions, as they came
        self.bodies: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.times: list[float] = []
        self.closing = threading.Event()  # for behaviours that hang

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def right(self, question: str, before: int) -> Sent:
        rows = "\n".join(re.findall("....", self.known[question]))
        return completion(f"Row 1 must hold a 1 and a 2.\n\nANSWER:\n```\n{rows}\n```\nThat was fun!")


class Handler(BaseHTTPRequestHandler):
    server: Model

    def do_POST(self) -> None:
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        rows = re.findall(r"^[.\d](?: [.\d]){3}$", body["messages"][0]["content"], re.MULTILINE)
        question = "".join(rows).replace(" ", "")
        before = server.asked.count(question)
        server.times.append(time.monotonic())
        server.asked.append(question)
        server.bodies.append(body)
        server.keys.add(self.headers["Authorization"])
        sent = server.behaviour(question, before)
        if self.path != "/v1/chat/completions":
            sent = Sent(404, {}, b"")
        try:
            self.send_response(sent.status)
            for key, value in {"Content-Length": str(len(sent.body)), **sent.headers}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(sent.body)
        except OSError:  # the other side has given up waiting
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Not into the tests' output."""


def completion(text: Any, finish: str = "stop", usage: Any = (70, 30), **message: Any) -> Sent:
    data: dict[str, Any] = {"choices": [{"message": {"content": text, **message}, "finish_reason": finish}]}
    if usage:
        data["usage"] = dict(zip(("prompt_tokens", "completion_tokens"), usage, strict=True))
    return Sent(200, {"Content-Type": "application/json"}, json.dumps(data).encode())


@contextmanager
def serving(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Model]:
    """A running server that knows the puzzles in a CSV, the key in the environment, and a proxy that is not there."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server = Model(path)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()
    assert server.keys <= {f"Bearer {SECRET}"}


Ask = Callable[..., Record]


def asking(model: Model, puzzles: Puzzles, folder: Path) -> Ask:
    """`ask_rows` for the first `rows` rows, into "out" in the folder, hardly waiting between attempts."""

    def call(
        rows: int = 4,
        name: str = "m",
        data: str = "small",
        whole: Puzzles = puzzles,
        budget: int = 0,
        concurrency: int = 2,
        **options: Any,
    ) -> Record:
        client = Client(endpoint(model.url), name, **{"base": 0.001, "timeout": 5.0, **options})
        job = plan(TASK, whole, data, client)
        return ask_rows(TASK, whole.take(slice(rows)), job, client, folder / "out", budget, concurrency)

    return call


def lines(folder: Path) -> list[TranscriptLine]:
    return [
        TranscriptLine.model_validate_json(line)
        for line in (folder / "out/transcripts.jsonl").read_bytes().splitlines()[1:]
    ]


def counts(record: Record) -> dict[str, int]:
    names = ("answered", "refused", "truncated", "unparsable", "failed", "unasked")
    return {name: record.about[name] for name in names if record.about[name]}


def flaky(model: Model, *first: Sent) -> None:
    """Give the answers `first` to a question before the right one."""
    model.behaviour = lambda question, before: first[before] if before < len(first) else model.right(question, before)


BROKEN = Sent(200, {}, b'{"choices": [], "usage": {"prompt_tokens": 70, "completion_tokens": 30}}')
BUSY = [
    Sent(429, {"Retry-After": "0"}, b"slow down"),
    Sent(429, {"Retry-After": "soon"}, b""),
    Sent(500, {}, b"<html>\x1b[31m oh \xff</html>"),
    Sent(503, {}, b'{"error": {"message": "busy"}}'),
    Sent(200, {}, b'{"choices": [{"mess'),
    Sent(200, {}, b"\x1f\x8b\x08\0\xff"),
    Sent(200, {}, b"[" * 100_000),
    Sent(200, {}, b"[]"),
    Sent(200, {}, b'{"choices": []}'),
    Sent(200, {}, b'{"choices": [{"message": {"content": 5}}]}'),
    Sent(200, {}, b'{"error": {"code": 502, "message": "upstream"}}'),
    Sent(200, {"Content-Length": "100000"}, completion("half").body),
    Sent(200, {"Transfer-Encoding": "chunked"}, b"ffff\r\n{"),
    Sent(200, {"Content-Length": "-"}, b""),
]


# Fixtures, which conftest.py imports


@pytest.fixture
def model(small_csv: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Model]:
    with serving(small_csv, monkeypatch) as server:
        yield server


@pytest.fixture
def puzzles(small_csv: Path) -> Puzzles:
    return load_puzzles(TASK, str(small_csv))


@pytest.fixture
def ask(model: Model, puzzles: Puzzles, tmp_path: Path) -> Ask:
    return asking(model, puzzles, tmp_path)
