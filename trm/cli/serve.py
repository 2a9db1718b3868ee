"""`trm serve`: a web page that shows models at work, and a JSON API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from trm.cli.app import ServedWeightsOption, ThreadsOption, app, set_threads
from trm.errors import BadInput, TrmError


def by_name(examples: Sequence[str]) -> dict[str, str]:
    """The files of `NAME=FILE`. Raises BadInput."""
    from trm.tasks.text import quoted

    found = {}
    for one in examples:
        name, separator, file = one.partition("=")
        if not (name and separator and file):
            raise BadInput(f"--examples {quoted(one)}: write NAME=FILE, such as latin=latin/test.npz")
        found[name] = file
    return found


@app.command(
    examples=[
        "trm serve",
        "trm serve --port 9000 --workers 4",
        "trm serve --weights runs/latin --examples latin=latin/test.npz",
    ]
)
def serve(
    host: Annotated[str, typer.Option("--host", help="Address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to listen on; 0: any free one", min=0, max=65535)] = 8000,
    weights: ServedWeightsOption = None,
    examples: Annotated[
        list[str] | None,
        typer.Option(
            "--examples",
            metavar="NAME=FILE",
            help="Puzzles to show of a task of your own, by the name of its model; may be given several times "
            "[default: those it was trained on]",
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", help="Puzzles to solve at the same time; others wait", min=1, max=64)
    ] = 2,
    threads: ThreadsOption = 1,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host", help="Another host name under which the server is reached; may be given several times"
        ),
    ] = None,
) -> None:
    """Serve a web page that shows models at work, and a JSON API. Ctrl-C stops the server."""
    try:
        from trm.serve import Limits, create_app, listen, load_solvers, one_heap, server
    except ImportError:
        raise TrmError("trm serve needs FastAPI and uvicorn: pip install 'trm[serve]'") from None
    one_heap()
    set_threads(threads)
    with listen(host, port) as socket:  # before the weights are read, so that a port in use is reported at once
        hosts = [host, *(allow_host or ())]
        served = create_app(load_solvers(weights or ()), Limits(workers=workers), hosts, by_name(examples or ()))
        name = f"[{host}]" if ":" in host else host
        print(f"http://{name}:{socket.getsockname()[1]}/ (Ctrl-C stops it)", flush=True)
        server(served).run([socket])
