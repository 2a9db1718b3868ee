"""The page of `trm serve` as a folder of files for any web server, or for GitHub Pages.

The page and its modules are those of the server, byte for byte; only `api.js` is another one (`static/local.js`). It
solves in a Web Worker, with the runtime for ONNX that `trm.site.runtime` gets from npm.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from trm.errors import BadInput
from trm.files import path_fault, short
from trm.inference.defaults import usual_thinking
from trm.inference.loop import Thinking
from trm.serve.examples import examples
from trm.serve.limits import MAX_SECONDS, Limits
from trm.serve.offers import load_solvers, offer
from trm.serve.schemas import Served
from trm.site.models import SIDES, Pack, export_models, packed
from trm.site.recording import record
from trm.site.runtime import load_runtime
from trm.version import __version__

if TYPE_CHECKING:
    from importlib.abc import Traversable

MARK = "site.json"  # tells a folder of ours from others
MAKER = "trm site"
EFFORT = 6  # of packing: more takes much longer, and saves little
PLACE = 'const SITE = { version: "", files: [] };'  # in offline.js
REPLAYED = (
    "This page has no server, so no networks are trained here: Solve shows the work on the examples that was recorded "
    "when the page was built"
)
WHERE = "Everything runs in this browser, and nothing leaves it"
NOT_RECORDED = "This page was built without recorded work on ARC tasks, and it has no server to do any"

Files = dict[str, bytes]  # by path in the folder


class Site(NamedTuple):
    """What was written."""

    files: int
    size: int  # bytes
    version: str  # of the content


def build_site(out: Path, runtime: Path | None = None, arc_seconds: float = 20.0, effort: int = EFFORT) -> Site:
    """Write the site to the folder `out`. It is complete, or not there: it is written beside and then renamed.

    Args:
        out: the folder; an earlier site in it is replaced.
        runtime: the package of the runtime as a file [default: npm fetches it].
        arc_seconds: processor time to spend on each ARC task that is recorded; 0: none is.
        effort: of packing, 0 to 9.

    Raises:
        BadInput: `out` is something else than a site, or `runtime` is not the package.
        TrmError: npm or a package that export needs is missing, or an ARC task could not be solved for lack of memory
            or time.
    """
    check_out(out)
    loaded, pack = load_runtime(runtime), export_models()
    content: Files = static_files()
    content |= {f"runtime/{name}": module for name, module in loaded.modules.items()}
    content |= {"runtime/runtime.bin": packed(loaded.binary, effort), "data/models.bin": packed(pack.content, effort)}
    content |= data_files(pack, len(loaded.binary), arc_seconds)
    version = digest_of(content)
    content["offline.js"] = offline(content["offline.js"], version, content)
    mark = {"made_by": MAKER, "trm": __version__, "version": version}
    content[MARK] = json.dumps(mark, indent=1).encode()
    replace(out, content)
    return Site(len(content), sum(map(len, content.values())), version)


def check_out(out: Path) -> None:
    """Raise BadInput unless a site can be written to `out`."""
    if fault := path_fault(out):
        raise BadInput(f"cannot write {short(out)}: {fault}; name another folder")
    if not out.exists():
        if out.is_symlink():
            raise BadInput(f"{short(out)} is a link to nothing; name a folder")
        return
    if not out.is_dir():
        raise BadInput(f"{short(out)} is a file; name a folder")
    if any(out.iterdir()) and not is_site(out):
        raise BadInput(f"{short(out)} is not a folder that trm site wrote; name a new or an empty one")


def is_site(folder: Path) -> bool:
    try:
        mark = json.loads((folder / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(mark, dict) and mark.get("made_by") == MAKER


# What is in it


def static_files() -> Files:
    """The page of the server with this package's modules, and its `local.js` for `api.js`."""
    found = read_folder(files("trm.serve").joinpath("static"))
    found |= read_folder(files("trm.site").joinpath("static"))
    found["api.js"] = found.pop("local.js")
    return found


def read_folder(folder: Traversable, prefix: str = "") -> Files:
    """All files in a folder, by their paths in it."""
    found: Files = {}
    for one in folder.iterdir():
        if one.is_dir():
            found |= read_folder(one, f"{prefix}{one.name}/")
        else:
            found[prefix + one.name] = one.read_bytes()
    return found


def data_files(pack: Pack, runtime_size: int, arc_seconds: float) -> Files:
    """What the page asks of the server, and what the worker needs to know."""
    chosen = examples()
    recordings = record(chosen, arc_seconds) if arc_seconds else []
    sizes = {(one["height"], one["width"]) for one in pack.models if one["family"] == "sudoku"}
    worker = {
        "runtime": {"file": "runtime/runtime.bin", "size": runtime_size},
        "pack": {"file": "data/models.bin", "size": len(pack.content)},
        "side": max(SIDES),
        "thinking": {family: thinking(family) for family in ("sudoku", "maze")},
        "models": pack.models,
    }
    shown = [one.model_dump() for one in chosen if one.task != "arc" or recordings]
    shown = [one for one in shown if one["task"] != "sudoku" or (len(one["puzzle"]),) * 2 in sizes]
    offered = {**tasks(sizes, bool(recordings)).model_dump(), "where": WHERE}
    contents = {"models": worker, "tasks": offered, "examples": shown, "arc": recordings}
    return {f"data/{name}.json": json.dumps(one, separators=(",", ":")).encode() for name, one in contents.items()}


def thinking(family: str) -> dict[str, Any]:
    """How long to think about a puzzle of this family, unless the page says otherwise."""
    return asdict(Thinking(**usual_thinking(family, {"seconds": MAX_SECONDS})))


def tasks(sizes: set[tuple[int, int]], replays: bool) -> Served:
    """What a server would offer, less what the page cannot do: `sizes` of Sudokus."""
    served = offer(load_solvers(), Limits(side=max(SIDES)))
    for task in served.tasks:
        if task.name == "sudoku":
            task.sizes = sorted(sizes)
        if task.name == "arc":
            task.solves, task.why = replays, REPLAYED if replays else NOT_RECORDED
    return served


def digest_of(content: Mapping[str, bytes]) -> str:
    whole = hashlib.sha256()
    for name in sorted(content):
        whole.update(f"{name}\0{len(content[name])}\0".encode() + content[name])
    return whole.hexdigest()[:16]


def offline(script: bytes, version: str, content: Mapping[str, bytes]) -> bytes:
    """The service worker with the version and the names of all files but its own; `./` is index.html."""
    names = ["./", *sorted(name for name in content if name != "offline.js")]
    text = script.decode()
    assert PLACE in text
    return text.replace(PLACE, f"const SITE = {json.dumps({'version': version, 'files': names})};").encode()


# Writing


def replace(out: Path, content: Mapping[str, bytes]) -> None:
    """Write the files into a folder beside `out`, and put it in its place."""
    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{out.name[:60]}.", dir=out.parent))
    new, old = made / "new", made / "old"
    try:
        for name, data in content.items():
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        if out.exists():
            os.replace(out, old)
        try:
            os.replace(new, out)
        except OSError:
            if old.exists():
                os.replace(old, out)
            raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
