"""The library of C kernels (``fused.c``, ``groups.c``, ``local.c``): compiled on first use, cached, called with ctypes.

:func:`available` says whether the kernels can be used, and if not, why. ``TRM_FUSED=0`` in the environment turns them
off.
"""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

__all__ = ["Availability", "available", "library"]

_SOURCES = tuple(Path(__file__).with_name(name) for name in ("fused.c", "groups.c", "local.c", "fused.h"))
_FLAGS = ("-std=gnu11", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fPIC", "-shared", "-pthread")
_NATIVE = ("-march=native", "-mcpu=native", "")  # the first that the compiler accepts: x86, then some ARM compilers
_OPENMP = ("-fopenmp", "")
_TIMEOUT = 120  # time limit of one run of the compiler, in seconds


@dataclass(frozen=True)
class Availability:
    """Whether the C kernels can be used in this process, and why not. Its truth value is `usable`."""

    usable: bool
    reason: str

    def __bool__(self) -> bool:
        return self.usable


class _Unavailable(Exception):
    """The reason why the C kernels cannot be used."""


_lock = threading.Lock()
_state: ctypes.CDLL | _Unavailable | None = None  # None: not tried yet


def _compiler() -> list[str]:
    """The command of the C compiler: ``$CC`` if it is set, else the first of cc, gcc and clang that exists."""
    wanted = os.environ.get("CC", "").strip()
    try:
        commands = [shlex.split(wanted)] if wanted else [["cc"], ["gcc"], ["clang"]]
    except ValueError:  # a quotation mark without its other half
        commands = []
    for command in commands:
        path = shutil.which(command[0])
        if path:
            return [path, *command[1:]]
    raise _Unavailable(f"no C compiler: {f'CC={wanted}' if wanted else 'none of cc, gcc, clang'} found on the PATH")


def _cpu() -> str:
    """A text that is different for CPUs with different instruction sets. The library is compiled for one of them."""
    text = f"{platform.machine()} {platform.processor()}"
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return text
    keys = ("model name", "flags", "features", "cpu part", "isa")
    return "\n".join([text, *sorted({line for line in lines if line.lower().startswith(keys)})])


def _has_libgomp() -> bool:
    """Whether torch has loaded GCC's OpenMP.

    Its threads spin between two torch operations, on the cores that the kernels' own threads would need. A library
    built with -fopenmp finds the loaded OpenMP by its name and uses its threads.
    """
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return any(line.endswith("/libgomp.so.1") for line in maps.splitlines())


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise _Unavailable(f"the C compiler does not run: {error}") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        message = next((line for line in lines if "error" in line), lines[0])
        raise _Unavailable(f"the C compiler {command[0]} failed: {message.strip()}")
    return done.stdout


def _compile(compiler: list[str], target: Path) -> None:
    """Compile the sources to the shared library ``target``, for the CPU of this machine if the compiler can."""
    units = [str(path) for path in _SOURCES if path.suffix == ".c"]
    failure: _Unavailable | None = None
    for native, openmp in itertools.product(_NATIVE, _OPENMP if _has_libgomp() else ("",)):
        try:
            _run([*compiler, *_FLAGS, *filter(None, [native, openmp]), *units, "-o", str(target), "-lm"])
            return
        except _Unavailable as error:
            failure = failure or error
    assert failure is not None
    raise failure


def _cache_folder() -> Path | None:
    """A folder that only this user can write to, or None if there is none."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        folder = (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "trm"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except (OSError, RuntimeError):  # RuntimeError: no home folder
        return None
    # If other users can write there, they may have replaced the library, so it must not be loaded.
    return folder if status.st_uid == os.getuid() and not status.st_mode & 0o022 else None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _intact(library: Path, record: Path) -> bool:
    """Whether the library has the recorded digest. Loading a damaged library could crash the process."""
    try:
        return _digest(library.read_bytes()) == record.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return False


def _open(library: Path) -> ctypes.CDLL:
    """Load the library and declare its functions."""
    pointer, size, integer, real = ctypes.c_void_p, ctypes.c_long, ctypes.c_int, ctypes.c_float
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "trm_block": (integer, [pointer] * 5 + [size] * 3 + [real, integer]),
        "trm_block_grad": (integer, [pointer] * 9 + [size] * 3 + [integer]),
        "trm_mix": (integer, [pointer] * 9 + [size] * 5 + [real, integer]),
        "trm_mix_grad": (integer, [pointer] * 13 + [size] * 5 + [integer]),
        "trm_local": (integer, [pointer] * 5 + [size] * 4 + [real, integer]),
        "trm_local_grad": (integer, [pointer] * 9 + [size] * 4 + [integer]),
        "trm_gate": (None, [pointer] * 2 + [size] * 2 + [integer]),
        "trm_gate_grad": (None, [pointer] * 4 + [size] * 2 + [integer]),
        "trm_add_norm": (None, [pointer] * 5 + [size] * 3 + [real, integer]),
        "trm_add_norm_grad": (None, [pointer] * 5 + [size] * 3 + [integer]),
    }
    try:
        loaded = ctypes.CDLL(str(library))
        for name, (result, arguments) in signatures.items():
            function = getattr(loaded, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise _Unavailable(f"the compiled kernels do not load: {error}") from None
    return loaded


def _build() -> ctypes.CDLL:
    """The library from the cache. It is compiled first if it is missing or damaged."""
    if sys.platform == "win32":
        raise _Unavailable("the C kernels are not supported on Windows")
    compiler = _compiler()
    try:
        source = b"".join(path.read_bytes() for path in _SOURCES)
    except OSError as error:
        raise _Unavailable(f"the kernels' source is missing: {error}") from None
    parts = [*compiler, _run([*compiler, "--version"]), *_FLAGS, *_NATIVE, str(_has_libgomp()), _cpu()]
    key = _digest(source + "\0".join(parts).encode())[:32]
    folder = _cache_folder()
    try:
        if folder is None:  # compile for this process alone
            with tempfile.TemporaryDirectory(prefix="trm-") as scratch:
                library = Path(scratch) / "fused.so"
                _compile(compiler, library)
                return _open(library)
        library, record = folder / f"fused-{key}.so", folder / f"fused-{key}.sha256"
        if _intact(library, record):
            return _open(library)
        # Other processes may do the same, so each builds in a folder of its own and moves the result into place. If the
        # two files come from different processes, the digest does not match and the next process builds again.
        with tempfile.TemporaryDirectory(prefix="build-", dir=folder) as scratch:
            built, note = Path(scratch) / "fused.so", Path(scratch) / "fused.sha256"
            _compile(compiler, built)
            note.write_text(_digest(built.read_bytes()), encoding="ascii")
            loaded = _open(built)
            built.replace(library)
            note.replace(record)
            return loaded
    except OSError as error:
        raise _Unavailable(f"the kernels cannot be compiled: {error}") from None


def _load() -> ctypes.CDLL | _Unavailable:
    """The library, or why there is none. A process tries only once."""
    global _state
    if _state is None:
        with _lock:
            if _state is None:
                try:
                    _state = _build()
                except _Unavailable as error:
                    _state = error
    return _state


def available() -> Availability:
    """Whether the C kernels can be used here, and if not, why. The first call may compile them, in about a second."""
    if os.environ.get("TRM_FUSED", "").strip() == "0":
        return Availability(False, "turned off by TRM_FUSED=0")
    state = _load()
    if isinstance(state, _Unavailable):
        return Availability(False, str(state))
    return Availability(True, "compiled C kernels for CPU float32")


def library(*tensors: Tensor) -> ctypes.CDLL | None:
    """The library if its kernels can compute with these tensors, else None."""
    if torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"):
        return None
    for x in tensors:
        if type(x) is not Tensor and type(x) is not torch.nn.Parameter:
            return None  # a subclass may redefine the operations
        if x.device.type != "cpu" or x.dtype != torch.float32 or x.layout != torch.strided or x.is_neg():
            return None
    if not available():
        return None
    state = _load()
    return state if isinstance(state, ctypes.CDLL) else None
