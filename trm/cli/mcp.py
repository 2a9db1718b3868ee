"""`trm mcp`: tools for language models over the Model Context Protocol."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from trm.cli.app import ServedWeightsOption, ThreadsOption, app, set_threads
from trm.cli.streams import check_open
from trm.errors import BadInput, TrmError


@app.command(examples=["trm mcp --weights runs/latin", "trm mcp --http --port 8765", "trm mcp --schemas --responses"])
def mcp(
    http: Annotated[
        bool, typer.Option("--http", help="Serve streamable HTTP instead of standard input and output")
    ] = False,
    host: Annotated[str, typer.Option("--host", help="With --http: address to listen on")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", help="With --http: port to listen on; 0: any free one", min=0, max=65535)
    ] = 8765,
    weights: ServedWeightsOption = None,
    schemas: Annotated[
        bool,
        typer.Option("--schemas", help="Print the tools as OpenAI functions, for chat completions, and exit"),
    ] = False,
    responses: Annotated[
        bool, typer.Option("--responses", help="With --schemas: for the Responses API, which wants another form")
    ] = False,
    threads: ThreadsOption = 1,
) -> None:
    """Serve tools for language models over the Model Context Protocol: they solve puzzles and check answers."""
    if responses and not schemas:
        raise BadInput("--responses is for --schemas: give --schemas too")
    from trm import tools

    for name in weights or []:
        tools.use_weights(name)
    if schemas:
        print(json.dumps(tools.schemas("responses" if responses else "chat"), indent=1))
        return
    if threads:
        set_threads(threads)
    try:
        from trm.tools import mcp as mcp_server
    except ImportError:
        raise TrmError("trm mcp needs the MCP SDK: pip install 'trm[mcp]'") from None
    if http:
        mcp_server.run_http(host, port)
    else:
        check_open()
        mcp_server.run_stdio()
