"""What every request has to pass before it is looked at, and what every response carries.

A page of another website can make a browser send requests to this server, and by DNS rebinding can do so under a name
of its own. So the server answers only to names it knows, and only to its own page. Other programs send no Origin.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping, Sequence
from urllib.parse import urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trm.serve.limits import Limits
from trm.serve.schemas import Fault, Problem
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
DRAIN = 16  # times the limit that is read of a body that is too large, so that the client gets to read why


class Guard:
    """ASGI middleware: names and origins (403), size (413) and slowness (408) of the body, security headers."""

    def __init__(self, app: ASGIApp, hosts: Collection[str], limits: Limits) -> None:
        self.app, self.hosts, self.limits = app, frozenset(host.lower() for host in hosts), limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        why = self.stranger(scope["path"], Headers(scope=scope))
        body: bytes | JSONResponse = problem(403, why) if why else await self.body(receive)
        if isinstance(body, JSONResponse):
            await body(scope, receive, send_more)
            return
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive_whole() -> Message:
            return messages.pop() if messages else await receive()

        await self.app(scope, receive_whole, send_more)

    def stranger(self, path: str, headers: Headers) -> str | None:
        """Why nobody who sends these headers gets an answer; None if all is well."""
        host = headers.get("host", "")
        if not self.known(host):
            name = quoted(host.rpartition(":")[0] or host)
            return f"this server does not go by the name {name}; start trm serve with --allow-host NAME"
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        foreign = origin is not None and origin.partition("://")[2] != host
        if foreign or (path.startswith("/api") and site not in ("none", "same-origin")):
            return "requests from other websites are refused"
        return None

    def known(self, host: str) -> bool:
        """Addresses are safe, since rebinding needs a name; so is localhost."""
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

    async def body(self, receive: Receive) -> bytes | JSONResponse:
        """The whole body, or what to say instead."""
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
            return problem(413, f"a request may have at most {most} bytes")
        if clock.cancelled_caught:
            return problem(408, f"the request did not arrive within {self.limits.body_seconds:g} seconds")
        return bytes(body)


def problem(
    status: int, message: str, headers: Mapping[str, str] | None = None, faults: Sequence[Fault] = ()
) -> JSONResponse:
    """The one form that every refusal has."""
    return JSONResponse(Problem(message=message, faults=list(faults)).model_dump(), status, headers)
