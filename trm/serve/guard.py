"""Checks that every request must pass first, and security headers for every response.

A page of another website can make a browser send requests to this server and, by DNS rebinding, do so under a host name
of its own. So the server answers only requests to host names it knows, and only those of its own page. Programs other
than browsers send no Origin header and pass.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trm.serve.limits import Limits
from trm.serve.refusals import refusal
from trm.tasks.text import quoted

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
DRAIN = 16  # a body that is too large is read up to this many times the limit, or clients would miss the refusal


class Guard:
    """ASGI middleware: checks the host name and origin (403), the size (413) and the speed (408) of the body; adds
    security headers.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], limits: Limits) -> None:
        self.app, self.hosts, self.limits = app, frozenset(host.lower() for host in hosts), limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        why = self.forbidden(scope["path"], Headers(scope=scope))
        body = refusal(403, why) if why else await self.read_body(receive)
        if isinstance(body, JSONResponse):
            await body(scope, receive, send_secured)
            return
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive_body() -> Message:
            return messages.pop() if messages else await receive()

        await self.app(scope, receive_body, send_secured)

    def forbidden(self, path: str, headers: Headers) -> str | None:
        """Why a request with these headers is refused; None if it is not."""
        host = headers.get("host", "")
        if not self.is_known(host):
            name = quoted(host.rpartition(":")[0] or host)
            return f"this server does not answer to the name {name}; start trm serve with --allow-host NAME"
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        foreign = origin is not None and origin.partition("://")[2] != host
        if foreign or (path.startswith("/api") and site not in ("none", "same-origin")):
            return "requests from other websites are refused"
        return None

    def is_known(self, host: str) -> bool:
        """Whether the server answers to a host name. Addresses and localhost are safe, since rebinding needs a name."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self.hosts or name == "localhost":
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    async def read_body(self, receive: Receive) -> bytes | JSONResponse:
        """The whole body, or a refusal."""
        body, most = bytearray(), self.limits.body
        size = 0
        with anyio.move_on_after(self.limits.body_seconds) as clock:
            more = True
            while more and size <= DRAIN * most:
                message = await receive()
                if message["type"] == "http.disconnect":
                    break
                chunk = message.get("body", b"")
                size += len(chunk)
                if size <= most:
                    body += chunk
                more = message.get("more_body", False)
        if size > most:
            return refusal(413, f"a request may have at most {most} bytes")
        if clock.cancelled_caught:
            return refusal(408, f"the request did not arrive within {self.limits.body_seconds:g} seconds")
        return bytes(body)
