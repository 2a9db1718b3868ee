"""For the tests of the page without a server: node, the runtime from npm, and running JavaScript with them.

The package of the runtime is kept in TRM_TEST_CACHE, by default `trm-tests` in the user's cache. Tests that need it are
skipped where node or npm is missing, or npm cannot fetch it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from filelock import FileLock

from trm.errors import TrmError
from trm.serve.schemas import ArcPuzzle, Example
from trm.site import build, runtime
from trm.site.build import build_site, static_files
from trm.site.models import export_models

NODE = shutil.which("node")
DRIVER = Path(__file__).parent / "site" / "driver.mjs"
PATIENCE = 300.0  # seconds; only a failure takes so long, even on a busy machine


class Script(NamedTuple):
    """What JavaScript needs to run in node."""

    modules: Path  # folder of the site's modules
    runtime: Path  # folder of the runtime

    def run(self, do: str, **job: Any) -> Any:
        """The result of a job of driver.mjs, or the message of its `problem`."""
        assert NODE is not None
        command = [NODE, str(DRIVER), str(self.modules), str(self.runtime)]
        done = subprocess.run(
            command, input=json.dumps({"do": do, **job}), capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        return found["result"] if "result" in found else found["problem"]


def cache_folder() -> Path:
    named = os.environ.get("TRM_TEST_CACHE")
    folder = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trm-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@cache
def kept_package() -> Path | str:
    """The package of the runtime, or why there is none."""
    kept = cache_folder() / f"{runtime.NAME}-{runtime.VERSION}.tgz"
    with FileLock(f"{kept}.lock"):
        if kept.is_file() and is_package(kept):
            return kept
        os.environ.setdefault("npm_config_fetch_retries", "0")
        try:
            with tempfile.TemporaryDirectory() as folder:
                shutil.copy(runtime.download(Path(folder)), kept)
        except TrmError as error:
            return str(error)
    return kept


def is_package(path: Path) -> bool:
    return base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode() == runtime.INTEGRITY


def package_or_skip() -> Path:
    found = kept_package()
    if isinstance(found, str):
        pytest.skip(found)
    return found


def write_modules(folder: Path) -> Path:
    """The modules of the site in a folder, in which node takes them for what they are."""
    for name, content in static_files().items():
        if name.endswith(".js"):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


@pytest.fixture(scope="session")
def package() -> Path:
    """The package of the runtime."""
    return package_or_skip()


@pytest.fixture(scope="session")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Script:
    """The modules without the runtime."""
    if NODE is None:
        pytest.skip("no node found: install Node.js")
    folder = tmp_path_factory.mktemp("modules")
    return Script(write_modules(folder), folder)


@pytest.fixture(scope="session")
def script(rules: Script, package: Path, tmp_path_factory: pytest.TempPathFactory) -> Script:
    """The modules and the runtime."""
    folder = tmp_path_factory.mktemp("runtime")
    loaded = runtime.load_runtime(package)
    for name, content in (*loaded.modules.items(), (runtime.BINARY, loaded.binary)):
        (folder / name).write_bytes(content)
    return Script(rules.modules, folder)


@pytest.fixture(scope="session")
def site(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with few models, all of which ship, packed in a hurry, and with short recordings that were made up."""
    out = tmp_path_factory.mktemp("site") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "export_models", lambda: export_models(("sudoku",), (30,)))
        patch.setattr(build, "record", recordings)
        build_site(out, package, 1, effort=0)
    return out


def recordings(examples: list[Example], seconds: float) -> list[dict[str, Any]]:
    """As `trm.site.recording.record` makes them."""
    answer = {
        "solved": False, "valid": True, "message": "Not checked.", "models": 1, "models_that_know": 1, "seconds": 3.0,
        "attempts": [[{"grid": [[1, 2]], "confidence": 0.5}]],
    }  # fmt: skip
    events = [
        {"milliseconds": 0, "name": "progress", "data": {"share": 0.5, "doing": "training", "attempts": None}},
        {"milliseconds": 9, "name": "answer", "data": answer},
    ]
    puzzles = [one.puzzle for one in examples if isinstance(one.puzzle, ArcPuzzle)]
    return [{"puzzle": puzzle.model_dump(), "events": events} for puzzle in puzzles]
