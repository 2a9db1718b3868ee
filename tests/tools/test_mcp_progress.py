"""Notifications of progress while a tool of `trm mcp` is at work."""

from __future__ import annotations

import inspect
import itertools
import json
import subprocess
import sys
import threading
import time
from typing import Any, NamedTuple

import pytest
from mcp import Client, StdioServerParameters
from mcp_client import ENVIRONMENT, ask, serving, text
from mcp_types import CallToolResult

from trm.tools import Progress, Result, calls
from trm.tools import mcp as mcp_server
from trm.tools.results import Tell


class Told(NamedTuple):
    progress: float
    total: float | None
    message: str | None
    when: float


def slow(name: str, arguments: Any, stop: threading.Event, tell: Tell) -> Result:
    """A tool that works for half a second after it has said so, and then says nothing for two seconds."""
    tell(Progress("thinking", 30.0))
    time.sleep(0.5)
    tell(Progress("step 7", 30.0))
    time.sleep(2.0)
    return Result(solved=True, valid=True, message="done")


async def watched(client: Client, told: list[Told]) -> CallToolResult:
    async def tell(progress: float, total: float | None, message: str | None) -> None:
        told.append(Told(progress, total, message, time.monotonic()))

    return await client.call_tool("check_answer", {}, progress_callback=tell)


# `trm mcp` with this tool.
SLOW = f"""
from __future__ import annotations
import sys, time
from trm.cli import main as cli
from trm.tools import Progress, Result, calls
{inspect.getsource(slow)}
calls.call = slow
sys.argv[0] = "trm"
cli.main()
"""


@pytest.mark.parametrize("transport", ["memory", "pipes", "http"])
def test_progress_is_told_while_a_tool_is_at_work(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told, began = list[Told](), time.monotonic()

    async def session(client: Client) -> None:
        nonlocal began
        began = time.monotonic()
        assert text(await watched(client, told)) == "done"

    command = [sys.executable, "-c", SLOW, "mcp"]
    if transport == "memory":
        monkeypatch.setattr(calls, "call", slow)
        ask(mcp_server.make_server(), session)
    elif transport == "pipes":
        ask(StdioServerParameters(command=command[0], args=command[1:], env=ENVIRONMENT), session)
    else:
        with serving(command=command) as (url, _):
            ask(url, session)
    assert [one.message for one in told] == ["step 7"] * len(told)
    assert [one.total for one in told] == [30.0] * len(told)
    assert len(told) >= 2
    assert all(before.progress < after.progress for before, after in itertools.pairwise(told))
    times = [began, *(one.when for one in told)]
    assert all(after - before < 2 for before, after in itertools.pairwise(times))


def test_a_client_that_asks_for_no_progress_gets_none() -> None:
    about = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "0"}}
    messages = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": about},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "solve_arc"}},
        {
            "jsonrpc": "2.0",
            "id": 3,
            "method": "tools/call",
            "params": {"name": "solve_arc", "_meta": {"progressToken": 9}},
        },
    ]
    command, pipe = [sys.executable, "-c", SLOW, "mcp"], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=ENVIRONMENT, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        for message in messages:
            server.stdin.write(json.dumps(message) + "\n")
        server.stdin.flush()
        replies = list[Any]()
        while {2, 3} - {reply.get("id") for reply in replies}:
            replies.append(json.loads(server.stdout.readline()))
        server.stdin.close()
        server.wait(60)
    told = [reply["params"] for reply in replies if reply.get("method") == "notifications/progress"]
    assert len(told) >= 2
    assert {one["progressToken"] for one in told} == {9}
