"""`trm mcp`: the tools of `trm.tools` over the Model Context Protocol, on standard input and output or over HTTP."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from typing import Any

import anyio
import anyio.to_thread
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)

from trm.errors import BadInput, TrmError
from trm.tools import calls
from trm.tools.results import Progress, Result
from trm.version import __version__

MAX_RUNNING, MAX_WAITING = 2, 16  # calls at work, and calls in the queue
MAX_BODY = 1 << 20  # bytes of an HTTP request
MAX_SESSIONS = 1000  # of HTTP clients
WAITING = Progress("waiting for other calls to end", 0.0)
INTERVAL = 1.0  # seconds between two notifications of progress
GONE = (anyio.ClosedResourceError, anyio.BrokenResourceError)  # raised when something is sent to a client that has left


def tool_list() -> list[Tool]:
    """The tools as the protocol describes them. None of them changes anything or accesses anything outside."""
    return [
        Tool(
            name=name,
            title=calls.TITLES[name],
            description=calls.description(name),
            input_schema=calls.arguments_of(name).model_json_schema(),
            output_schema=calls.result_of(name).model_json_schema(),
            annotations=ToolAnnotations(
                title=calls.TITLES[name],
                read_only_hint=True,
                destructive_hint=False,
                idempotent_hint=True,
                open_world_hint=False,
            ),
        )
        for name in calls.TOOLS
    ]


def error_result(message: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=message)], is_error=True)


def make_server() -> Server[Any]:
    """A server for any number of connections."""
    limiter, inside = anyio.CapacityLimiter(MAX_RUNNING), 0  # calls at work or waiting

    async def list_tools(context: Any, params: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=tool_list())

    async def call_tool(context: Any, params: CallToolRequestParams) -> CallToolResult:
        nonlocal inside
        if inside >= MAX_RUNNING + MAX_WAITING:
            return error_result(f"busy: {MAX_RUNNING + MAX_WAITING} calls are at work or waiting; try again later")
        meter = Meter(context.session)
        work = partial(calls.call, params.name, params.arguments or {}, tell=meter.note)
        inside += 1
        try:
            result = await stoppable(work, limiter, meter.report)
        except TrmError as error:
            return error_result(" ".join(str(error).split()))
        finally:
            inside -= 1
        return CallToolResult(content=[TextContent(text=result.text)], structured_content=result.model_dump())

    return Server(
        "trm",
        version=__version__,
        instructions="Tiny recursive networks solve puzzles. An answer with solved true was checked: trust it.",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


@dataclass
class Meter:
    """Tells a client how far a call has come: for how long it has waited, of how long it may take, and for what.

    The thread that works may be busy with one step for long, or loading a model. So another one tells.
    """

    session: Any  # which sends nothing if the client has not asked for progress
    latest: Progress = WAITING
    began: float = field(default_factory=time.monotonic)

    def note(self, progress: Progress) -> None:
        self.latest = progress

    async def report(self) -> None:
        """Send a notification every INTERVAL, for ever. The protocol wants each value to be larger than the last."""
        while True:
            await anyio.sleep(INTERVAL)
            seconds = round(time.monotonic() - self.began, 1)
            total = self.latest.limit if self.latest.limit > seconds else None
            with suppress(*GONE):
                await self.session.report_progress(seconds, total, self.latest.doing)


async def stoppable(
    work: Callable[[Event], Result], limiter: anyio.CapacityLimiter, meanwhile: Callable[[], Coroutine[Any, Any, None]]
) -> Result:
    """Run `work` in a thread that the limiter grants, and `meanwhile` beside it. On cancellation, ask the work to stop
    and wait until it has.
    """
    stop = Event()

    async def stop_on_cancel() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            stop.set()

    outcome: Result | Exception
    async with anyio.create_task_group() as group:
        group.start_soon(stop_on_cancel)
        group.start_soon(meanwhile)
        try:
            outcome = await anyio.to_thread.run_sync(work, stop, limiter=limiter)
        except Exception as error:  # raised below: the task group would wrap it in an exception group
            outcome = error
        group.cancel_scope.cancel()
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


async def serve_stdio() -> None:
    """Serve one client until it closes standard input. The SDK keeps other output off standard output."""
    server = make_server()
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


def run_stdio() -> None:
    anyio.run(serve_stdio)


def run_http(host: str, port: int) -> None:
    """Serve streamable HTTP at `/mcp` until Ctrl-C or SIGTERM.

    Args:
        host: the name or address to listen at.
        port: 0: any free port.

    Raises:
        BadInput: the server cannot listen there.
    """
    import uvicorn

    shown = host if host.isprintable() else ascii(host)
    try:
        socket.getaddrinfo(host or None, port)  # for a wrong name the next line would leave an open socket behind
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
        raise BadInput(f"cannot listen at {shown}, port {port}: {reason}; choose another --host or --port") from None
    except UnicodeError:
        raise BadInput(f"cannot listen at {shown}: this is not a host name; choose another --host") from None
    address, port = listening.getsockname()[:2]
    print(f"trm mcp: http://{bracketed(host)}:{port}/mcp", file=sys.stderr, flush=True)
    security = None
    if is_loopback(address):  # the address decides, not the name
        security = allow_only(host, address)
    else:
        print(
            "trm mcp: anyone who can reach this address can use the tools; there is no log-in",
            file=sys.stderr,
            flush=True,
        )
    app = make_server().streamable_http_app(
        host=host, transport_security=security, max_request_body_size=MAX_BODY, max_sessions=MAX_SESSIONS
    )
    with listening:
        # Without a timeout the server would wait for all work to finish.
        uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5)).run(sockets=[listening])


def bracketed(host: str) -> str:
    """A host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


def allow_only(*hosts: str) -> TransportSecuritySettings:
    """Refuse requests to any other host name than these and those of loopback, and requests from other websites.

    This prevents DNS rebinding: a website could bind a name of its own to this address.
    """
    names = sorted({"127.0.0.1", "localhost", "[::1]", *(bracketed(host.lower()) for host in hosts)})
    return TransportSecuritySettings(
        allowed_hosts=[f"{name}:*" for name in names], allowed_origins=[f"http://{name}:*" for name in names]
    )


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
