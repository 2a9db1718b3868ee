"""`trm site`: the page of `trm serve` as a folder of files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from trm.cli.app import app
from trm.errors import TrmError


@app.command(examples=["trm site --out page"])
def site(
    out: Annotated[Path, typer.Option("--out", help="Folder to write; an earlier site in it is replaced")],
    runtime: Annotated[
        Path | None,
        typer.Option("--runtime", help="The package onnxruntime-web as npm pack writes it [default: npm fetches it]"),
    ] = None,
    arc_seconds: Annotated[
        float,
        typer.Option(
            "--arc-seconds", help="Processor time to spend on each ARC task that is recorded; 0: none", min=0, max=240
        ),
    ] = 20.0,
) -> None:
    """Write the page of trm serve as a folder of files, which any web server can serve.

    The page solves Sudokus and mazes in the browser, also without a connection, and sends nothing.
    """
    try:
        import onnx  # noqa: F401 - at once, not after the download
        import onnxscript  # noqa: F401

        from trm.site import build_site
    except ModuleNotFoundError as error:
        raise TrmError(f"trm site needs {error.name}: pip install 'trm[serve,onnx]'") from None
    made = build_site(out, runtime, arc_seconds)
    print(f"wrote {out}: {made.files} files, {made.size / 1e6:.1f} MB, version {made.version}", file=sys.stderr)
    print(f"try it: python -m http.server --directory {out}", file=sys.stderr)
