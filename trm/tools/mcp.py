"""`trm mcp`: the tools of `trm.tools` over the Model Context Protocol, on standard input and output or on HTTP."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from collections.abc import Callable
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
from trm.tools import functions as tools
from trm.version import __version__

AT_ONCE, WAITING = 2, 16  # calls being worked on, and calls in the queue, at most
BODY = 1 << 20  # bytes of an HTTP request, at most
SESSIONS = 1000  # of HTTP clients, at most


def listed() -> list[Tool]:
    """The tools as the protocol describes them. None of them changes anything or looks anywhere."""
    return [
        Tool(
            name=name,
            description=tools.description(name),
            input_schema=tools.arguments_of(name).model_json_schema(),
            output_schema=tools.returned(name).model_json_schema(),
            annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
        )
        for name in tools.TOOLS
    ]


def failed(message: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=message)], is_error=True)


def make_server() -> Server[Any]:
    """A server for any number of connections."""
    limiter, calls = anyio.CapacityLimiter(AT_ONCE), 0

    async def list_tools(context: Any, params: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=listed())

    async def call_tool(context: Any, params: CallToolRequestParams) -> CallToolResult:
        nonlocal calls
        if calls >= AT_ONCE + WAITING:
            return failed(f"busy: {AT_ONCE + WAITING} calls are being worked on or waiting; try again later")
        work = partial(tools.call, params.name, params.arguments or {})
        calls += 1
        try:
            result = await stoppable(work, limiter)
        except TrmError as error:
            return failed(" ".join(str(error).split()))
        finally:
            calls -= 1
        return CallToolResult(content=[TextContent(text=result.text)], structured_content=result.model_dump())

    return Server(
        "trm",
        version=__version__,
        instructions="Puzzles solved by tiny recursive networks. An answer with solved true was checked: trust it.",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def stoppable(work: Callable[[Event], tools.Result], limiter: anyio.CapacityLimiter) -> tools.Result:
    """Do work in a thread, in a place of the limiter. Cancelled, it tells the work to stop and waits until it has."""
    stop = Event()

    async def tell() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            stop.set()

    outcome: tools.Result | Exception
    async with anyio.create_task_group() as group:
        group.start_soon(tell)
        try:
            outcome = await anyio.to_thread.run_sync(work, stop, limiter=limiter)
        except Exception as error:  # raised below: the group would make a group of it
            outcome = error
        group.cancel_scope.cancel()
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


async def serve_stdio() -> None:
    """Serve one client until it closes standard input. The SDK keeps everything else off standard output."""
    server = make_server()
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


def run_stdio() -> None:
    anyio.run(serve_stdio)


def run_http(host: str, port: int) -> None:
    """Serve streamable HTTP at `/mcp` until Ctrl-C or SIGTERM. Port 0: any that is free. Raises BadInput."""
    import uvicorn

    shown = host if host.isprintable() else ascii(host)
    try:
        socket.getaddrinfo(host or None, port)  # where a name is none, the next line would leave an open socket behind
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
        raise BadInput(f"cannot listen at {shown}, port {port}: {reason}; choose another --host or --port") from None
    except UnicodeError:
        raise BadInput(f"cannot listen at {shown}: no host has such a name; choose another --host") from None
    address, port = listening.getsockname()[:2]
    print(f"trm mcp: http://{bracketed(host)}:{port}/mcp", file=sys.stderr, flush=True)
    security = None
    if loopback(address):  # whatever its name
        security = only_from(host, address)
    else:
        print("trm mcp: anyone who can reach this address can use it; there is no log-in", file=sys.stderr, flush=True)
    app = make_server().streamable_http_app(
        host=host, transport_security=security, max_request_body_size=BODY, max_sessions=SESSIONS
    )
    with listening:
        # Work that somebody waits for would go on till its end.
        uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5)).run(sockets=[listening])


def bracketed(host: str) -> str:
    """As a URL has it."""
    return f"[{host}]" if ":" in host else host


def only_from(*hosts: str) -> TransportSecuritySettings:
    """Refuse requests that come in under another name than these and the usual ones of loopback, which the SDK itself
    allows, or from a page of another website: a page could have bound a name of its own to the address.
    """
    names = sorted({"127.0.0.1", "localhost", "[::1]", *(bracketed(host.lower()) for host in hosts)})
    return TransportSecuritySettings(
        allowed_hosts=[f"{name}:*" for name in names], allowed_origins=[f"http://{name}:*" for name in names]
    )


def loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
