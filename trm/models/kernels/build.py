"""The library of C kernels (the C files of this folder): compiled on first use, cached, called with ctypes.

There are two, from the same source. In one the factors of matrix products are float32, in the other they are rounded
to bfloat16, for processors that multiply it: with the dot products of AVX512-BF16 or ARM, or with the tiles of AMX.
Everything else is float32 in both; the gate of the second is as exact as its products need.

:func:`available` says whether the kernels can be used, and if not, why. ``TRM_FUSED=0`` in the environment turns them
off, ``TRM_BFLOAT16=0`` those with bfloat16 products, ``TRM_TILES=0`` the use of AMX.
"""

from __future__ import annotations

import contextlib
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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from trm.files import write_text

__all__ = ["Availability", "Factors", "available", "library", "processor_multiplies_bfloat16", "remembered"]

Factors = Literal["float32", "bfloat16"]  # of the matrix products
_FILES = ("fused.c", "groups.c", "local.c", "canvas.c", "fused.h", "products.h")
_SOURCES = tuple(Path(__file__).with_name(name) for name in _FILES)
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
_loaded: dict[Factors, ctypes.CDLL | _Unavailable] = {}  # what was tried


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


def _bfloat16_flags() -> list[list[str]]:
    """The compiler's options for bfloat16 products, the fastest first. Raises _Unavailable where there are none."""
    if turned_off("TRM_BFLOAT16"):
        raise _Unavailable("turned off by TRM_BFLOAT16=0")
    if not processor_multiplies_bfloat16():
        raise _Unavailable("the processor has no bfloat16 products")
    dots = ["-DTRM_BFLOAT16", "-DTRM_NO_TILES"]
    return [dots] if turned_off("TRM_TILES") or "amx_bf16" not in _cpu_flags() else [["-DTRM_BFLOAT16"], dots]


def _cpu_flags() -> set[str]:
    """The names of the processor's instruction sets, as Linux gives them; elsewhere none."""
    return {flag for line in _cpu().lower().splitlines() for flag in line.partition(":")[2].split()}


def processor_multiplies_bfloat16() -> bool:
    """Whether the processor has products of bfloat16 (AVX512-BF16, AMX, ARM's BF16), and they are not turned off."""
    return not turned_off("TRM_BFLOAT16") and bool(_cpu_flags() & {"avx512_bf16", "amx_bf16", "bf16"})


def turned_off(variable: str) -> bool:
    """Whether this variable of the environment is 0."""
    return os.environ.get(variable, "").strip() == "0"


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


def _compile(compiler: list[str], flags: list[str], target: Path) -> None:
    """Compile the sources to the shared library ``target``, for the CPU of this machine if the compiler can."""
    units = [str(path) for path in _SOURCES if path.suffix == ".c"]
    failure: _Unavailable | None = None
    for native, openmp in itertools.product(_NATIVE, _OPENMP if _has_libgomp() else ("",)):
        try:
            _run([*compiler, *_FLAGS, *flags, *filter(None, [native, openmp]), *units, "-o", str(target), "-lm"])
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
        "trm_canvas": (integer, [pointer] * 6 + [size] * 5 + [real, integer]),
        "trm_canvas_grad": (integer, [pointer] * 10 + [size] * 5 + [integer]),
        "trm_gate": (None, [pointer] * 2 + [size] * 2 + [integer]),
        "trm_gate_grad": (None, [pointer] * 4 + [size] * 2 + [integer]),
        "trm_add_norm": (None, [pointer] * 5 + [size] * 3 + [real, integer]),
        "trm_add_norm_grad": (None, [pointer] * 5 + [size] * 3 + [integer]),
        "trm_ready": (integer, []),
    }
    try:
        loaded = ctypes.CDLL(str(library))
        for name, (result, arguments) in signatures.items():
            function = getattr(loaded, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise _Unavailable(f"the compiled kernels do not load: {error}") from None
    if not loaded.trm_ready():
        raise _Unavailable("the operating system does not permit the tiles of AMX")
    return loaded


def _build(factors: Factors) -> ctypes.CDLL:
    """The library from the cache, with the fastest instructions that work here."""
    if sys.platform == "win32":
        raise _Unavailable("the C kernels are not supported on Windows")
    compiler, failure = _compiler(), None
    for flags in [[]] if factors == "float32" else _bfloat16_flags():
        try:
            return _build_with(compiler, flags)
        except _Unavailable as error:
            failure = failure or error
    assert failure is not None
    raise failure


def _build_with(compiler: list[str], flags: list[str]) -> ctypes.CDLL:
    """The library for these options of the compiler. It is compiled first if it is missing or damaged."""
    try:
        source = b"".join(path.read_bytes() for path in _SOURCES)
    except OSError as error:
        raise _Unavailable(f"the kernels' source is missing: {error}") from None
    parts = [*compiler, _run([*compiler, "--version"]), *_FLAGS, *flags, *_NATIVE, str(_has_libgomp()), _cpu()]
    key = _digest(source + "\0".join(parts).encode())[:32]
    folder = _cache_folder()
    try:
        if folder is None:  # compile for this process alone
            with tempfile.TemporaryDirectory(prefix="trm-") as scratch:
                library = Path(scratch) / "fused.so"
                _compile(compiler, flags, library)
                return _open(library)
        library, record = folder / f"fused-{key}.so", folder / f"fused-{key}.sha256"
        if _intact(library, record):
            return _open(library)
        # Other processes may do the same, so each builds in a folder of its own and moves the result into place. If the
        # two files come from different processes, the digest does not match and the next process builds again.
        with tempfile.TemporaryDirectory(prefix="build-", dir=folder) as scratch:
            built, note = Path(scratch) / "fused.so", Path(scratch) / "fused.sha256"
            _compile(compiler, flags, built)
            note.write_text(_digest(built.read_bytes()), encoding="ascii")
            built.replace(library)
            note.replace(record)
            return _open(library)
    except OSError as error:
        raise _Unavailable(f"the kernels cannot be compiled: {error}") from None


def remembered(name: str, about: str, measure: Callable[[], str]) -> str:
    """What `measure` returns, which is kept in the folder of the libraries: processes on one machine agree.

    Args:
        name: of the measurement.
        about: everything that it depends on besides the sources of the kernels and the processor.
        measure: makes the measurement.
    """
    folder = _cache_folder()
    if folder is None:
        return measure()
    source = b"".join(path.read_bytes() for path in _SOURCES)
    path = folder / f"{name}-{_digest(source + f'{_cpu()}{about}'.encode())[:32]}.txt"
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        found = measure()
    with contextlib.suppress(OSError):  # a full disk: measured again next time
        write_text(path, found)
    return found


def _load(factors: Factors) -> ctypes.CDLL | _Unavailable:
    """The library, or why there is none. A process tries only once."""
    if factors not in _loaded:
        with _lock:
            if factors not in _loaded:
                try:
                    _loaded[factors] = _build(factors)
                except _Unavailable as error:
                    _loaded[factors] = error
    return _loaded[factors]


def available(factors: Factors = "float32") -> Availability:
    """Whether the C kernels can be used here, and if not, why. The first call may compile them, in a few seconds."""
    if turned_off("TRM_FUSED"):
        return Availability(False, "turned off by TRM_FUSED=0")
    state = _load(factors)
    if isinstance(state, _Unavailable):
        return Availability(False, str(state))
    return Availability(True, f"compiled C kernels with {factors} products")


def library(*tensors: Tensor) -> ctypes.CDLL | None:
    """The library if its kernels can compute with these tensors, else None. Under autocast: that for its dtype."""
    if torch.compiler.is_compiling():
        return None
    factors: Factors = "float32"
    if torch.is_autocast_enabled("cpu"):
        if torch.get_autocast_dtype("cpu") != torch.bfloat16:
            return None
        factors = "bfloat16"
    for x in tensors:
        if type(x) is not Tensor and type(x) is not torch.nn.Parameter:
            return None  # a subclass may redefine the operations
        if x.device.type != "cpu" or x.dtype != torch.float32 or x.layout != torch.strided or x.is_neg():
            return None
    if not available(factors):
        return None
    state = _load(factors)
    return state if isinstance(state, ctypes.CDLL) else None
