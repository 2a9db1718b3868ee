"""Writing files atomically: after a crash there is either the old file or the new one."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from trm.errors import BadInput

LONGEST = 400  # characters of a path in a message
IMPOSSIBLE = {errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES}  # errors of a path, whatever is there
FAULTS = {*IMPOSSIBLE, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EPERM, errno.EROFS}  # of a path


def write_atomic(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Call `write(file)` on a temporary file beside `path`, sync it to disk, and rename it to `path`.

    A link is followed. A pipe or a device is written to directly.
    """
    path = path.resolve()
    if special(path):
        with path.open("wb") as pipe:
            write(pipe)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:60]}.", dir=path.parent)  # the whole may be too long
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def write_text(path: Path, text: str) -> None:
    """Write `text` (UTF-8) to `path` atomically."""
    write_atomic(path, lambda file: file.write(text.encode()))


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises OSError; ValueError, which names the file, for anything else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path.name} is damaged: it is not JSON ({error})") from None
    if not isinstance(content, dict):
        kinds = {list: "a list", str: "text", bool: "true or false", type(None): "null"}
        raise ValueError(f"{path.name} holds {kinds.get(type(content), 'a number')}, and should hold an object {{...}}")
    return content


def digest(path: Path) -> str:
    """SHA-256 of a file, read in pieces: a model with puzzle embeddings may have several gigabytes."""
    whole = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            whole.update(piece)
    return whole.hexdigest()


def special(path: Path) -> bool:
    """Whether `path` is a pipe or a device, which must not be replaced by a file."""
    return path.exists() and not path.is_file() and not path.is_dir()


def check_writable(path: Path) -> None:
    """Check before long work that `write_atomic` can write `path` after it. Makes the folder. Raises BadInput."""
    if fault := path_fault(path):
        raise BadInput(f"cannot write {short(path)}: {fault}; name another file")
    if path.is_dir():
        raise BadInput(f"{path} is a folder; name a file")
    goal = path.resolve()
    if special(goal):
        return
    try:
        goal.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=goal.parent).close()
    except FileExistsError:
        raise BadInput(f"cannot write {path}: {path.parent} is a file") from None
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}") from None


def path_fault(path: str | Path) -> str | None:
    """Why no file can ever have this path, in words: it is too long, a loop of links, holds a NUL, or lies in a folder
    that is closed to the user. None if one can, whether it exists or not.
    """
    try:
        os.stat(path)
    except ValueError:
        return "it holds a NUL character"
    except OSError as error:
        return error.strerror if error.errno in IMPOSSIBLE else None
    return None


def short(path: str | Path) -> str:
    """A path for a message, cut in the middle where it is very long."""
    text = str(path)
    return text if len(text) <= LONGEST else f"{text[:60]}...{text[-15:]}"


def check_outside(out: Path, data: str | Path) -> None:
    """Raise BadInput if `out` lies in the folder `data`, since its files would be read as data."""
    if Path(data).is_dir() and out.resolve().is_relative_to(Path(data).resolve()):
        raise BadInput(f"{out} lies in the folder of the data, {data}; choose another --out")
