"""`trm serve`: a page to watch models at work, and a JSON API."""

from __future__ import annotations

from typing import Annotated

import typer

from trm.cli.app import ThreadsOption, app, set_threads
from trm.errors import TrmError


@app.command()
def serve(
    host: Annotated[str, typer.Option("--host", help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="0: any that is free.", min=0, max=65535)] = 8000,
    weights: Annotated[
        list[str] | None,
        typer.Option("--weights", help="A shipped model's name or a run's folder, once a task; else what ships."),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", help="Puzzles thought about at once.", min=1, max=64)] = 2,
    threads: ThreadsOption = 1,
    allow_host: Annotated[
        list[str] | None, typer.Option("--allow-host", help="Another name that the server goes by; may be repeated.")
    ] = None,
) -> None:
    """A page to watch models at work, and a JSON API. Ctrl-C stops it."""
    try:
        from trm.serve import Limits, create_app, listen, load_solvers, one_heap, server
    except ImportError:
        raise TrmError("trm serve needs FastAPI and uvicorn: pip install 'trm[serve]'") from None
    one_heap()
    set_threads(threads)
    with listen(host, port) as socket:  # before the weights are read: a port that is taken is told at once
        served = create_app(load_solvers(weights or ()), Limits(workers=workers), [host, *(allow_host or ())])
        name = f"[{host}]" if ":" in host else host
        print(f"http://{name}:{socket.getsockname()[1]}/ (Ctrl-C stops it)", flush=True)
        server(served).run([socket])
