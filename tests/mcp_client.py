"""For the tests of `trm mcp`: sessions with a server, and a server on HTTP."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import anyio
from mcp import Client
from mcp_types import CallToolResult, TextContent

COMMAND = [sys.executable, "-m", "trm", "mcp"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def ask(server: Any, session: Callable[[Client], Awaitable[None]]) -> None:
    """Hold a session with a server: a URL, a command, or a server in this process."""

    async def main() -> None:
        with anyio.fail_after(300):
            async with Client(server) as client:
                await session(client)

    anyio.run(main)


def text(result: CallToolResult) -> str:
    [content] = result.content
    assert isinstance(content, TextContent)
    return content.text


@contextmanager
def serving(*arguments: str, command: Sequence[str] = COMMAND) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server on HTTP: its URL and its process."""
    command, pipe = [*command, "--http", "--port", "0", *arguments], subprocess.PIPE
    with subprocess.Popen(command, stderr=pipe, stdout=pipe, env=ENVIRONMENT, text=True) as server:
        try:
            assert server.stderr is not None
            found = re.search(r"http://127\.0\.0\.\d:\d+/mcp", server.stderr.readline())
            assert found
            yield found[0], server
        finally:
            server.kill()
