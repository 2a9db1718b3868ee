"""The runtime that runs the models in a browser: ONNX Runtime Web, from npm. Nothing of it is in this repository."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from trm.errors import BadInput, TrmError
from trm.files import short

NAME, VERSION = "onnxruntime-web", "1.30.0"
INTEGRITY = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="  # SHA-512
PATIENCE = 300  # seconds for the download
MODULES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs")
BINARY = "ort-wasm-simd-threaded.wasm"


class Runtime(NamedTuple):
    modules: dict[str, bytes]  # JavaScript, by the name of the file
    binary: bytes  # WebAssembly


def load_runtime(file: Path | None = None) -> Runtime:
    """The runtime from npm, or from `file`, which `npm pack` wrote.

    Raises:
        BadInput: no such file, or one with another content than was published.
        TrmError: npm is not installed, or it could not fetch the package.
    """
    if file is None:
        with TemporaryDirectory() as folder:
            return unpacked(download(Path(folder)).read_bytes(), f"what npm fetched as {NAME} {VERSION}")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {short(file)}: {error.strerror}") from None
    return unpacked(content, short(file))


def download(folder: Path) -> Path:
    """Let npm write the package into the folder. -> the file. Raises TrmError."""
    npm = shutil.which("npm")
    if npm is None:
        raise TrmError(f"npm is not installed, which fetches {NAME}: install Node.js, or give --runtime FILE.tgz")
    command = [npm, "pack", f"{NAME}@{VERSION}", "--pack-destination", str(folder), "--loglevel", "error"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise TrmError(f"npm did not fetch {NAME} {VERSION} in {PATIENCE} seconds; try again later") from None
    found = list(folder.glob("*.tgz"))
    if done.returncode or len(found) != 1:
        reason = explained(done.stderr) or f"exit code {done.returncode}"
        raise TrmError(f"npm could not fetch {NAME} {VERSION} ({reason}); --runtime FILE.tgz takes it from elsewhere")
    return found[0]


def explained(errors: str) -> str:
    """The first line of npm's messages that says what went wrong."""
    lines = [re.sub(r"^npm (?:error|ERR!)\s*", "", line).strip() for line in errors.splitlines()]
    return next((line for line in lines if line and not re.match(r"(?:code|errno|syscall) ", line)), "")


def unpacked(content: bytes, name: str) -> Runtime:
    """The files needed of the package. Raises BadInput, with `name`, unless it is the one that was published."""
    if base64.b64encode(hashlib.sha512(content).digest()).decode() != INTEGRITY:
        raise BadInput(f"{name} is not {NAME} {VERSION}: its content is not what was published (npm pack writes it)")
    with tarfile.open(fileobj=BytesIO(content)) as package:

        def read(file: str) -> bytes:
            member = package.extractfile(f"package/dist/{file}")
            assert member is not None
            return member.read()

        return Runtime({file: read(file) for file in MODULES}, read(BINARY))
