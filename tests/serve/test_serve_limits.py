"""`trm serve`: malformed bodies, other websites, limits, the OpenAPI document, and the command."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import numpy as np
import pytest
import schemathesis
from anyio.from_thread import start_blocking_portal
from conftest import Call
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.config import ChecksConfig
from serving import ASKING, EASY, MAZE, PATIENCE, Pathfinder, Served, serving

import trm
from trm.serve import Limits, create_app
from trm.serve.checking import answer_faults
from trm.tasks.sudoku.task import BLANK, FIRST, Sudoku


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving({"sudoku": trm.Solver("sudoku"), "maze": Pathfinder()}) as running:
        yield running


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    """One connection, for tests that send many requests."""
    with httpx.Client(base_url=served.url, **ASKING) as client:
        yield client


# Malformed bodies


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "task is missing; name one of those that are: "),
        ({"task": "nope", "puzzle": "1"}, "task 'nope' is not served; name one of those that are: 'sudoku'"),
        ({"task": "chess", "puzzle": ""}, "chess"),
        ({"task": "sudoku"}, "puzzle: Field required"),
        ({"task": "sudoku", "puzzle": EASY, "step": 3}, "step: Extra inputs are not permitted"),
        ({"task": "sudoku", "puzzle": EASY, "steps": 257}, "steps: Input should be less than or equal to 256"),
        ({"task": "sudoku", "puzzle": EASY, "steps": "3"}, "steps: Input should be a valid integer"),
        ({"task": "sudoku", "puzzle": EASY, "seconds": 31}, "seconds: Input should be less than or equal to 30"),
        ({"task": "sudoku", "puzzle": EASY, "restarts": 256}, "restarts: Input should be less than or equal to 255"),
        ({"task": "sudoku", "puzzle": EASY, "until": "soon"}, "until: Input should be 'valid'"),
        ({"task": "sudoku", "puzzle": 5}, "puzzle: Input should be a valid string"),
        ({"task": "sudoku", "puzzle": {}}, "a Sudoku is text, lines of text, or rows of digits"),
        ({"task": "sudoku", "puzzle": [[0] * 17]}, "puzzle, row 1: List should have at most 16 items"),
        ({"task": "maze", "puzzle": [[0]]}, "puzzle, row 1: Input should be a valid string"),
        ({"task": "arc", "puzzle": []}, "an ARC task is an object with train and test"),
        ([], "Input should be"),
    ],
)
def test_bodies_that_are_not_as_described(served: Served, body: Any, message: str) -> None:
    for path in ("check", "solve", "watch"):
        answer = served.post(path, body)
        assert answer.status_code == 400
        assert message in answer.json()["message"]


def test_a_body_that_is_no_text(client: httpx.Client) -> None:
    body = b'{"task": "sudoku", "puzzle": "\xff"}'
    answer = client.post("/api/solve", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["message"]) == (400, "the body cannot be read: send JSON in UTF-8")


def test_a_number_that_is_no_digit_is_found(served: Served) -> None:
    answer = served.post("solve", {"task": "sudoku", "puzzle": [[0, 0, 0, 0], [0, 0, 17, 0], [0] * 4, [0] * 4]})
    assert answer.json()["message"] == "puzzle, row 2, column 3: Input should be less than or equal to 16"
    assert answer.status_code == 400
    assert [(fault["row"], fault["column"]) for fault in answer.json()["faults"]] == [(2, 3)]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def no_seed(value: object) -> bool:
    """To JSON Schema 3.0 is an integer, so it is a seed."""
    whole = type(value) is int or (type(value) is float and value.is_integer())
    return not whole or not 0 <= value < 2**32  # type: ignore[operator]


MALFORMED = st.binary(max_size=60) | st.one_of(
    VALUES,
    st.fixed_dictionaries({"task": st.sampled_from(["sudoku", "maze", "arc"]), "puzzle": VALUES}),
    st.fixed_dictionaries({"task": VALUES, "puzzle": st.just(EASY)}),
    st.fixed_dictionaries({"task": st.just("sudoku"), "puzzle": st.just(EASY), "seed": VALUES.filter(no_seed)}),
).map(lambda value: json.dumps(value).encode())


@pytest.fixture(scope="module")
def ask() -> Iterator[Callable[[str, bytes, str], tuple[int, Any]]]:
    """The application without a server, for tests with many requests: path, body, media type -> status, JSON."""
    app = create_app({"maze": Pathfinder()})

    async def asked(path: str, body: bytes, kind: str) -> tuple[int, Any]:
        messages = [{"type": "http.disconnect"}, {"type": "http.request", "body": body}]
        sent: list[Any] = []

        async def receive() -> Any:
            if not messages:
                await anyio.sleep_forever()
            return messages.pop()

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"host", b"localhost"), (b"content-type", kind.encode())]
        scope = {"type": "http", "method": "POST", "path": f"/api/{path}", "query_string": b"", "headers": headers}
        await app(scope, receive, send)
        return sent[0]["status"], json.loads(b"".join(message.get("body", b"") for message in sent))

    with start_blocking_portal() as portal:
        yield lambda *asking: portal.call(asked, *asking)


@given(MALFORMED, st.sampled_from(["application/json", "text/plain", "x"]))
@settings(max_examples=340, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_malformed_bodies_are_refused(ask: Any, body: bytes, kind: str) -> None:
    """1,020 requests."""
    for path in ("check", "solve", "watch"):
        status, answer = ask(path, body, kind)
        if path == "check" and status == 200:
            assert answer["ok"] is False
            continue
        assert status in (400, 422)
        assert answer.keys() == {"message", "faults"}
        assert "\n" not in answer["message"]


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b"[" * 900 + b"]" * 900, b'{"task":' * 5000, b"9" * 5000, b'"\\ud800"', b"\xff\xfe"]
)
def test_json_that_is_meant_to_hurt(client: httpx.Client, body: bytes) -> None:
    wrapped = b'{"task": "arc", "puzzle": {"train": ' + body + b', "test": []}}'
    text = json.dumps({"task": "arc", "puzzle": body.decode("latin-1")}).encode()
    for content in (body, wrapped, text):
        answer = client.post("/api/solve", content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422), answer.text
        assert answer.json()["message"]


# Limits


def raw(port: int, sent: bytes) -> str:
    """The response to these bytes, after which nothing more is sent."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as line:
        line.sendall(sent)
        return b"".join(iter(lambda: line.recv(65536), b"")).decode()


def test_a_body_that_is_too_large(served: Served) -> None:
    large = {"task": "arc", "puzzle": "x" * 300_000}
    answer = served.post("check", large)
    assert (answer.status_code, answer.json()["message"]) == (413, "a request may have at most 262144 bytes")
    chunked = httpx.post(f"{served.url}/api/solve", content=iter([b"x" * 200_000] * 2), **ASKING)
    assert chunked.status_code == 413
    assert served.post("check", {"task": "arc", "puzzle": "x" * 200_000}).status_code == 200


def test_a_body_that_does_not_come() -> None:
    head = b"POST /api/check HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 99\r\n\r\n{"
    with serving({}, Limits(body_seconds=0.2)) as served:
        answer = raw(served.port, head)
    assert answer.startswith("HTTP/1.1 408")
    assert "the request did not arrive within 0.2 seconds" in answer


@pytest.mark.parametrize("puzzle", ["\n".join(["x" * 500] * 500), "SS\n" * 60_000, "S\nGG\n" * 35_000])
def test_faults_of_a_maze_that_is_too_large_are_not_counted(served: Served, puzzle: str) -> None:
    found = served.post("check", {"task": "maze", "puzzle": puzzle}).json()
    assert (found["ok"], found["faults"], found["grid"]) == (False, [], None)
    assert 0 < len(found["message"]) < 200


def test_of_many_faults_the_first_are_reported(served: Served) -> None:
    bad = {"task": "maze", "puzzle": ["x" * 50] * 50}
    found = served.post("check", bad).json()
    assert [(fault["row"], fault["column"]) for fault in found["faults"]] == [
        (1 + at // 50, 1 + at % 50) for at in range(100)
    ]
    assert found["grid"] == ["." * 50] * 50
    assert served.post("solve", bad).json()["faults"] == found["faults"]
    task = Sudoku(4, 4)
    ones = np.full(256, FIRST, np.uint8)
    assert len(answer_faults(task, np.full(256, BLANK, np.uint8), ones)) == 100


@pytest.mark.parametrize(
    ("demonstrations", "tests", "message"),
    [
        (30, 10, ""),
        (31, 10, "there are 31 demonstrations in this task; at most 30 are accepted"),
        (30, 11, "there are 11 tests in this task; at most 10 are accepted"),
    ],
)
def test_arc_tasks_of_many_pairs(served: Served, demonstrations: int, tests: int, message: str) -> None:
    pair = {"input": [[1]], "output": [[2]]}
    task = {"train": [pair] * demonstrations, "test": [pair] * tests}
    for puzzle in (task, json.dumps(task)):
        found = served.post("check", {"task": "arc", "puzzle": puzzle}).json()
        assert (found["ok"], found["message"]) == (not message, message)
        if message:
            refused = served.post("watch", {"task": "arc", "puzzle": puzzle})
            assert (refused.status_code, refused.json()["message"]) == (422, message)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "localhost:123"}, 200),
        ({"Host": "[::1]:8000"}, 200),
        ({"Host": "192.168.1.7:8000"}, 200),
        ({"Host": "shown.example"}, 200),
        ({"Host": "SHOWN.example:80"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "localhost.evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "127.0.0.1@evil.example"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "[::1"}, 403),
        ({"Host": "localhost:8000", "Origin": "http://localhost:8000"}, 200),
        ({"Host": "localhost:8000", "Origin": "http://localhost:9000"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_other_websites_are_refused(served: Served, headers: dict[str, str], status: int) -> None:
    answer = served.get("/api/tasks", headers=headers)
    assert answer.status_code == status
    assert "access-control-allow-origin" not in answer.headers
    if status == 403:
        assert answer.json()["message"]
        assert served.post("solve", {"task": "maze", "puzzle": MAZE}, headers=headers).status_code == 403


def test_a_link_from_another_website_opens_the_page(served: Served) -> None:
    assert served.get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


# The OpenAPI document, and the command


def test_the_description_is_kept(served: Served) -> None:
    """schemathesis makes requests that fit the OpenAPI document and requests that do not, and checks all responses."""
    # 422 is for a puzzle that has the described form but cannot be used.
    checks = ChecksConfig.from_dict({"positive_data_acceptance": {"expected-statuses": ["2xx", "422", "5xx"]}})
    schema = schemathesis.openapi.from_url(f"{served.url}/api/openapi.json")
    schema.config.checks = checks
    operations: list[Any] = [found.ok() for found in schema.get_all_operations()]  # type: ignore[union-attr]
    posts = [operation for operation in operations if operation.method == "post"]
    assert (len(operations), len(posts)) == (5, 3)
    assert {"Answer", "Step", "Progress", "Problem"} <= schema.raw_schema["components"]["schemas"].keys()
    fit, unfit = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
    for operation, mode in [(one, fit) for one in operations] + [(one, unfit) for one in posts]:

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        def answered(case: Any) -> None:
            case.call_and_validate()

        answered()


def test_the_command(call: Call, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "trm", "serve", "--port", "0", "--allow-host", "a.example"], cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as running:  # fmt: skip
        assert running.stdout is not None
        url = running.stdout.readline().split()[0]
        answer = httpx.post(f"{url}api/solve", json={"task": "sudoku", "puzzle": EASY}, **ASKING)
        assert answer.json()["solved"] is True
        taken = call("serve", "--port", url.rpartition(":")[2].strip("/"))
        assert (taken.code, taken.out) == (1, "")
        assert "try another --port or --host" in taken.err
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=60)
    assert (running.returncode, errors) == (130, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--weights", "nothing"], "no model 'nothing'"),
        (["--weights", "sudoku-mini", "--weights", "sudoku"], "two models for sudoku"),
    ],
)
def test_weights_that_cannot_be_served(call: Call, arguments: list[str], message: str) -> None:
    done = call("serve", "--port", "0", *arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


@pytest.mark.parametrize("host", ["a" * 64, "a..b"])
def test_hosts_that_are_none(call: Call, host: str) -> None:
    done = call("serve", "--host", host)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"trm: cannot listen at {host}:8000: this is not a host name; try another --host\n"


def test_packages_that_are_missing(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trm.serve", None)
    done = call("serve")
    assert (done.code, done.err) == (1, "trm: trm serve needs FastAPI and uvicorn: pip install 'trm[serve]'\n")
