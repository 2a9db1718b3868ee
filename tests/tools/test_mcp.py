"""The Model Context Protocol server, tested with the SDK's own client: over pipes, over HTTP, and in this process."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import jsonschema
import pytest
from conftest import Call
from mcp import Client, MCPError, StdioServerParameters
from mcp_client import COMMAND, ENVIRONMENT, ask, serving, text

from trm.tools import Result, calls
from trm.tools import mcp as mcp_server
from trm.tools.results import Tell

ARC = {  # the answer is a copy of the question
    "train": [{"input": [[1, 2], [colour, 0]], "output": [[1, 2], [colour, 0]]} for colour in (0, 3, 4)],
    "test": [{"input": [[5, 1], [0, 2]]}],
}
EASY = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
DONE = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"
IMPOSSIBLE = "123............4"


async def refused(client: Client, name: str, arguments: dict[str, Any], words: str) -> None:
    result = await client.call_tool(name, arguments)
    assert result.is_error
    assert words in text(result)
    assert "\n" not in text(result)
    assert result.structured_content is None


async def good_and_bad(client: Client) -> None:
    """What every transport must do. Nothing here imports torch."""
    listed = (await client.list_tools()).tools
    assert [tool.name for tool in listed] == ["solve_sudoku", "solve_maze", "solve_arc", "check_answer"]
    for tool in listed:
        jsonschema.Draft202012Validator.check_schema(tool.input_schema)
        assert tool.input_schema["additionalProperties"] is False
        assert tool.description
        assert tool.title == calls.TITLES[tool.name]
        assert tool.annotations is not None
        hints = tool.annotations
        assert (hints.read_only_hint, hints.idempotent_hint, hints.open_world_hint) == (True, True, False)
        assert (hints.title, hints.destructive_hint) == (tool.title, False)
    arguments = {"task": "sudoku", "puzzle": EASY, "answer": DONE}
    result = await client.call_tool("check_answer", arguments)
    assert not result.is_error
    assert result.structured_content == {"solved": True, "valid": True, "message": text(result)}
    result = await client.call_tool("check_answer", {**arguments, "answer": "4" + DONE[1:]})
    assert not result.is_error
    assert result.structured_content["valid"] is False
    assert "Wrong: two" in text(result)
    result = await client.call_tool("solve_sudoku", {"puzzle": IMPOSSIBLE})
    assert result.structured_content["solutions"] == "none"
    assert "no solution" in text(result)
    await refused(client, "solve_sudoku", {"puzzle": "55" + EASY[2:]}, "two 5s in row 1: r1c1 and r1c2")
    await refused(client, "solve_sudoku", {"puzzle": 5}, "1 cells instead of 81")
    await refused(client, "solve_sudoku", {"puzzle": True}, "puzzle: Input should be a valid string")
    await refused(client, "solve_maze", {"puzzle": "x", "size": 3}, "solve_maze has no argument size")
    rows = {"task": "sudoku", "puzzle": [EASY[at : at + 9] for at in range(0, 81, 9)], "answer": f"```\n{DONE}\n```"}
    assert (await client.call_tool("check_answer", rows)).structured_content["solved"] is True
    await refused(client, "solve_sudoku", {}, "puzzle: Field required")
    await refused(client, "solve_maze", {"puzzle": "S#\n#G"}, "no path leads from S to G")
    await refused(client, "solve_arc", {"task": "{}"}, "task: no task found: the object is empty")
    await refused(client, "solve_nothing", {}, "there is no tool 'solve_nothing'")


def test_over_pipes() -> None:
    async def session(client: Client) -> None:
        assert client.server_info is not None
        assert client.server_info.name == "trm"
        await good_and_bad(client)
        result = await client.call_tool("solve_sudoku", {"puzzle": EASY})
        found = result.structured_content
        assert (found["solved"], found["valid"], found["solutions"]) == (True, True, "one")
        assert found["answer"].replace("\n", "") == DONE
        assert 0 < found["confidence"] <= 1
        assert found["steps"] > 0
        assert text(result) == f"{found['message']}\n\n{found['answer']}"
        result = await client.call_tool("solve_arc", {"task": json.dumps(ARC), "seconds": 4})
        found = result.structured_content
        assert (found["solved"], len(found["attempts"])) == (False, 1)
        assert 0 < found["seconds"] < 6
        assert text(result).startswith(found["message"])

    text_of_docs = (Path(__file__).parents[2] / "docs" / "tools.md").read_text(encoding="utf-8")
    about = json.loads(re.findall(r"```json\n(.*?)```", text_of_docs, re.DOTALL)[0])["mcpServers"]["trm"]
    command = Path(sys.executable).parent / about["command"]
    ask(StdioServerParameters(command=str(command), args=about["args"], env=ENVIRONMENT), session)


def test_standard_output_holds_messages_and_nothing_else() -> None:
    about = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "0"}}
    puzzle = {"name": "solve_sudoku", "arguments": {"puzzle": IMPOSSIBLE}}
    lines = [
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": about}),
        json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        "this is no message",
        '{"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": 7}}',
        json.dumps({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": puzzle}),
    ]
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write("".join(line + "\n" for line in lines))
        server.stdin.flush()
        replies: dict[Any, Any] = {}
        while 3 not in replies:
            message = json.loads(server.stdout.readline())
            replies[message.get("id")] = message
        server.stdin.close()
        assert server.stdout.read() == ""
        assert server.wait(60) == 0
    assert replies[1]["result"]["serverInfo"]["name"] == "trm"
    assert "error" in replies[2]
    assert replies[3]["result"]["structuredContent"]["solved"] is False


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving() as (address, server):
        yield address
        server.terminate()
        assert server.stdout is not None
        assert server.stderr is not None
        assert server.stdout.read() == ""
        assert "Traceback" not in server.stderr.read()


def test_over_http(url: str) -> None:
    ask(url, good_and_bad)


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Host": "evil.example"}, b"{}", 421),  # a name that a page could have bound to this address
        ({"Origin": "http://evil.example"}, b"{}", 403),
        ({}, b"{", 400),
        ({"Content-Length": str((1 << 20) + 1)}, b"", 413),
    ],
)
def test_what_http_refuses(url: str, headers: dict[str, str], body: bytes, status: int) -> None:
    assert posted(url, headers, body) == status


def posted(url: str, headers: dict[str, str], body: bytes) -> int:
    """The status code of the response."""
    connection = http.client.HTTPConnection(url.split("/")[2], timeout=60)
    kinds = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    connection.request("POST", "/mcp", body, {**kinds, **headers})
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.1 alone is loopback")
def test_all_of_loopback_is_guarded() -> None:
    with serving("--host", "127.0.0.2") as (url, server):
        port = url.split(":")[2].split("/")[0]
        for host, status in (("127.0.0.2", 400), ("localhost", 400), ("evil.example", 421)):
            assert posted(url, {"Host": f"{host}:{port}"}, b"{") == status
        assert posted(url, {"Origin": f"http://127.0.0.2:{port}"}, b"{") == 400
        assert posted(url, {"Origin": "http://evil.example"}, b"{") == 403
        server.terminate()
        assert server.stderr is not None
        assert "anyone" not in server.stderr.read()


def test_names_that_are_guarded() -> None:
    found = mcp_server.allow_only("My-Host", "::2")
    names = ["127.0.0.1", "[::1]", "[::2]", "localhost", "my-host"]
    assert found.enable_dns_rebinding_protection
    assert sorted(found.allowed_hosts) == [f"{name}:*" for name in names]
    assert sorted(found.allowed_origins) == [f"http://{name}:*" for name in names]


def test_a_port_in_use(url: str, call: Call) -> None:
    port = url.split(":")[2].split("/")[0]
    done = call("mcp", "--http", "--port", port)
    assert done.code == 2
    assert f"port {port}: Address already in use; choose another --host or --port" in done.err


def test_wrong_options(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    for host in ("no.such.host.invalid", "a..b", "a" * 64 + ".example", "a\0\nb"):
        done = call("mcp", "--http", "--host", host, "--port", "0")
        fault = "trm: --host holds a NUL character" if "\0" in host else "trm: cannot listen"
        assert (done.code, done.err.count("\n"), done.err[: len(fault)]) == (2, 1, fault)
    done = call("mcp", "--weights", "nothing")
    assert (done.code, done.out) == (2, "")
    assert "no model 'nothing'" in done.err
    monkeypatch.delitem(sys.modules, "trm.tools.mcp")
    monkeypatch.delattr("trm.tools.mcp")
    monkeypatch.setitem(sys.modules, "mcp", None)
    monkeypatch.setitem(sys.modules, "mcp.server.lowlevel", None)
    done = call("mcp")
    assert (done.code, done.out) == (1, "")
    assert "pip install 'trm[mcp]'" in done.err


# `trm mcp` with a tool that works until it is stopped, and reports both.
AT_WORK = """
import sys
from trm.cli import main as cli
from trm.tools import Stopped, calls

def call(name, arguments, stop, tell):
    sys.stderr.write(f"at work {name}\\n")  # at once: calls run side by side
    assert stop.wait(600)
    sys.stderr.write(f"stopped {name}\\n")
    raise Stopped("stopped")

calls.call = call
sys.argv[0] = "trm"
cli.main()
"""


def test_calls_end_when_they_are_cancelled_and_when_the_client_goes() -> None:
    about = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "0"}}
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", AT_WORK, "mcp"]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=ENVIRONMENT, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        assert server.stderr is not None

        def send(method: str, params: dict[str, Any], **more: int) -> None:
            assert server.stdin is not None
            server.stdin.write(json.dumps({"jsonrpc": "2.0", "method": method, "params": params, **more}) + "\n")
            server.stdin.flush()

        try:
            send("initialize", about, id=1)
            assert json.loads(server.stdout.readline())["id"] == 1
            send("notifications/initialized", {})
            for number in (2, 3, 4):  # one more than can run at once
                send("tools/call", {"name": f"call{number}", "arguments": {}}, id=number)
            assert {server.stderr.readline() for _ in range(2)} == {"at work call2\n", "at work call3\n"}
            send("notifications/cancelled", {"requestId": 2})
            assert [server.stderr.readline() for _ in range(2)] == ["stopped call2\n", "at work call4\n"]
            server.stdin.close()
            assert server.wait(300) == 0
            assert {"stopped call3", "stopped call4"} <= set(server.stderr.read().splitlines())
        finally:
            server.kill()


def test_calls_end_when_the_server_does() -> None:
    with serving(command=[sys.executable, "-c", AT_WORK, "mcp"]) as (url, server):
        assert server.stderr is not None
        said, errors = list[str](), server.stderr

        async def session(client: Client) -> None:
            async def one() -> None:
                with contextlib.suppress(Exception):  # the server is gone
                    await client.call_tool("solve_arc", {"task": "{}"})

            async with anyio.create_task_group() as group:
                group.start_soon(one)
                said.append(await anyio.to_thread.run_sync(errors.readline))
                server.send_signal(signal.SIGINT)  # SIGTERM would not wait for threads
                said.extend(await anyio.to_thread.run_sync(errors.readlines))
                group.cancel_scope.cancel()

        with contextlib.suppress(Exception):
            ask(url, session)
        assert said[0] == "at work solve_arc\n"
        assert "stopped solve_arc\n" in said
        assert server.wait(60)


def test_more_calls_than_can_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def slow(name: str, arguments: Any, stop: threading.Event, tell: Tell) -> Result:
        assert release.wait(20)
        return Result(solved=True, valid=True, message="done")

    monkeypatch.setattr(calls, "call", slow)
    most = mcp_server.MAX_RUNNING + mcp_server.MAX_WAITING
    said: list[str] = []

    async def session(client: Client) -> None:
        async def one() -> None:
            said.append(text(await client.call_tool("check_answer", {"task": "maze", "puzzle": "", "answer": ""})))
            if len(said) == 3:  # the refusals come while all other calls are still at work
                release.set()

        async with anyio.create_task_group() as group:
            for _ in range(most + 3):
                group.start_soon(one)

    ask(mcp_server.make_server(), session)
    assert [line.split(":")[0] for line in said[:3]] == ["busy"] * 3
    assert said[3:] == ["done"] * most


def test_a_fault_of_ours_is_an_error_and_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str, arguments: Any, stop: threading.Event, tell: Tell) -> Result:
        raise RuntimeError("a fault")

    async def session(client: Client) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(calls, "call", broken)
            with pytest.raises(MCPError):
                await client.call_tool("solve_arc", {"task": "{}"})
        await refused(client, "solve_arc", {"task": "{}"}, "task: no task found: the object is empty")

    ask(mcp_server.make_server(), session)


@pytest.mark.parametrize(
    ("host", "expected"), [("localhost", True), ("127.0.0.9", True), ("::1", True), ("0.0.0.0", False), ("x", False)]
)
def test_loopback(host: str, expected: bool) -> None:
    assert mcp_server.is_loopback(host) is expected
