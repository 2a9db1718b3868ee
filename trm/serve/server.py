"""The HTTP server around the application."""

from __future__ import annotations

import ctypes
import socket

import uvicorn
from fastapi import FastAPI

from trm.errors import BadInput, TrmError

MAX_CONNECTIONS = 512  # at once; further ones are answered with 503
ARENA_MAX = -8  # number of heaps, as glibc's mallopt names the setting


def one_heap() -> None:
    """Let all threads of this process share one heap. glibc would give each thread a heap of its own.

    Under load, separate heaps take one and a half times the memory: what is freed in one is not used by another.
    """
    try:
        ctypes.CDLL(None).mallopt(ARENA_MAX, 1)
    except (AttributeError, OSError, TypeError):
        return  # a C library other than glibc


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises TrmError if it cannot listen there, BadInput if there is no such host."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    except (OSError, UnicodeError) as error:  # UnicodeError: a part of the name is empty or too long
        why = error.strerror if isinstance(error, OSError) else "this is not a host name"
        raise BadInput(f"cannot listen at {host}:{port}: {why}; try another --host") from None
    try:
        return socket.create_server((host, port), family=family, backlog=MAX_CONNECTIONS)
    except OSError as error:
        raise TrmError(f"cannot listen at {host}:{port}: {error.strerror}; try another --port or --host") from None


def server(app: FastAPI) -> uvicorn.Server:
    """A server for the application; call its `run([socket])`. It logs only warnings and errors."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=5,  # without it the server would wait for all work to finish
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
        )
    )
