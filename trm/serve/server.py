"""The HTTP server around the application."""

from __future__ import annotations

import ctypes
import socket

import uvicorn
from fastapi import FastAPI

from trm.errors import BadInput, TrmError

CONNECTIONS = 512  # at once; more are answered with 503
ARENA_MAX = -8  # glibc's name for mallopt's setting


def one_heap() -> None:
    """Let all threads of this process share one heap, where glibc would give each one of its own.

    Those are never full and never empty: under load they take half as much memory again.
    """
    try:
        ctypes.CDLL(None).mallopt(ARENA_MAX, 1)
    except (AttributeError, OSError, TypeError):
        return  # another C library


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises TrmError where that cannot be, BadInput where there is no such host."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    except (OSError, UnicodeError) as error:  # names of DNS have parts of 1 to 63 characters
        why = error.strerror if isinstance(error, OSError) else "this is no name of a host"
        raise BadInput(f"cannot listen at {host}:{port}: {why}; try another --host") from None
    try:
        return socket.create_server((host, port), family=family, backlog=CONNECTIONS)
    except OSError as error:
        raise TrmError(f"cannot listen at {host}:{port}: {error.strerror}; try another --port or --host") from None


def server(app: FastAPI) -> uvicorn.Server:
    """Ready to `run([socket])`. It says nothing but warnings and errors."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=5,  # thinking that somebody watches would go on till its end
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
        )
    )
