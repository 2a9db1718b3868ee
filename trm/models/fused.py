"""Fused CPU kernels for the small dense blocks a recursive model applies to every row of its state.

Three operations, each with the same meaning on every device and dtype:

* :func:`swiglu_norm` - SwiGLU with residual and normalisation,
* :func:`gated` - the bare gated unit,
* :func:`add_norm` - a sum with normalisation.

On a CPU, in float32, they run in C (``fused.c``, next to this file), which is compiled once on first use with the C
compiler found on the machine and kept in the user's cache folder. Everywhere else - other devices and dtypes,
autocast, ``torch.compile``, widths that are not multiples of 8, no compiler - they run as ordinary torch operations
(the functions named ``plain_*``). :func:`available` says which, and why. Setting the environment variable
``TRM_FUSED=0`` turns the C kernels off.

The kernels are deterministic: equal inputs and equal ``torch.get_num_threads()`` give equal bits. They agree with the
plain functions up to float32 rounding, not bit for bit. They can be differentiated once, and only backwards.
"""

from __future__ import annotations

import ctypes
import hashlib
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
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["Availability", "add_norm", "available", "gated", "plain_add_norm", "plain_gated", "plain_swiglu_norm"]
__all__ += ["swiglu_norm"]

EPS = 1e-5
_SOURCE = Path(__file__).with_name("fused.c")
_FLAGS = ("-std=gnu11", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fPIC", "-shared", "-pthread")
_NATIVE = ("-march=native", "-mcpu=native", "")  # the first one the compiler accepts: x86, then some ARM compilers
_TIMEOUT = 120  # seconds for one run of the compiler


# ---------------------------------------------------------------------------------------------------------- plain torch


def _rms_norm(u: Tensor, eps: float) -> Tensor:
    return u * torch.rsqrt(u.square().mean(-1, keepdim=True) + eps)


def plain_gated(h: Tensor, w: Tensor) -> Tensor:
    """:func:`gated` in torch operations."""
    gate, up = F.linear(h, w).chunk(2, -1)
    return F.silu(gate) * up


def plain_swiglu_norm(h: Tensor, w_in: Tensor, w_out: Tensor, eps: float = EPS) -> Tensor:
    """:func:`swiglu_norm` in torch operations."""
    return _rms_norm(h + F.linear(plain_gated(h, w_in), w_out), eps)


def plain_add_norm(a: Tensor, b: Tensor, c: Tensor | None = None, eps: float = EPS) -> Tensor:
    """:func:`add_norm` in torch operations."""
    return _rms_norm(a + b if c is None else a + b + c, eps)


# ----------------------------------------------------------------------------------------------- building the C library


@dataclass(frozen=True)
class Availability:
    """Whether the C kernels can be used in this process; true in a condition when they can."""

    usable: bool
    reason: str

    def __bool__(self) -> bool:
        return self.usable


class _Unavailable(Exception):
    """Why the C kernels cannot be used."""


_lock = threading.Lock()
_state: ctypes.CDLL | _Unavailable | None = None  # None: not tried yet


def _compiler() -> list[str]:
    """The C compiler's command: ``$CC`` when set, else the first of cc, gcc and clang."""
    wanted = os.environ.get("CC", "").strip()
    for command in [shlex.split(wanted)] if wanted else [["cc"], ["gcc"], ["clang"]]:
        path = shutil.which(command[0])
        if path:
            return [path, *command[1:]]
    raise _Unavailable(f"no C compiler: {f'CC={wanted}' if wanted else 'none of cc, gcc, clang'} found on the PATH")


def _cpu() -> str:
    """Text that differs between CPUs with different instruction sets, since the library is built for this one."""
    text = f"{platform.machine()} {platform.processor()}"
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return text
    keys = ("model name", "flags", "features", "cpu part", "isa")
    return "\n".join([text, *sorted({line for line in lines if line.lower().startswith(keys)})])


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


def _compile(compiler: list[str], source: bytes, target: Path) -> None:
    """Compile ``source`` to the shared library ``target``, for this machine's CPU where the compiler can."""
    unit = target.with_suffix(".c")
    unit.write_bytes(source)
    failure: _Unavailable | None = None
    for native in _NATIVE:
        try:
            _run([*compiler, *_FLAGS, *filter(None, [native]), str(unit), "-o", str(target), "-lm"])
            return
        except _Unavailable as error:
            failure = failure or error
    assert failure is not None
    raise failure


def _cache_folder() -> Path | None:
    """A folder that only this user can write to, or None."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        folder = (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "trm"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except (OSError, RuntimeError):  # RuntimeError: no home folder
        return None
    # A library someone else could have put there is code we must not run.
    return folder if status.st_uid == os.getuid() and not status.st_mode & 0o022 else None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _intact(library: Path, record: Path) -> bool:
    """Whether the library is the one whose digest was recorded: loading a damaged one could crash the process."""
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
        "trm_add_norm": (None, [pointer] * 5 + [size] * 3 + [real]),
        "trm_add_norm_grad": (None, [pointer] * 5 + [size] * 3),
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
    """The library from the cache, compiled first when it is not there or damaged."""
    if sys.platform == "win32":
        raise _Unavailable("the C kernels are not supported on Windows")
    compiler = _compiler()
    try:
        source = _SOURCE.read_bytes()
    except OSError as error:
        raise _Unavailable(f"the kernels' source is missing: {error}") from None
    parts = [*compiler, _run([*compiler, "--version"]), *_FLAGS, *_NATIVE, _cpu()]
    key = _digest(source + "\0".join(parts).encode())[:32]
    folder = _cache_folder()
    try:
        if folder is None:  # nowhere to keep it: compile for this process alone
            with tempfile.TemporaryDirectory(prefix="trm-") as scratch:
                library = Path(scratch) / "fused.so"
                _compile(compiler, source, library)
                return _open(library)
        library, record = folder / f"fused-{key}.so", folder / f"fused-{key}.sha256"
        if _intact(library, record):
            return _open(library)
        # Another process may be doing the same: each builds in a folder of its own and moves the result into place.
        # Should the two files come from different processes, the digest tells and the next start builds again.
        with tempfile.TemporaryDirectory(prefix="build-", dir=folder) as scratch:
            built, note = Path(scratch) / "fused.so", Path(scratch) / "fused.sha256"
            _compile(compiler, source, built)
            note.write_text(_digest(built.read_bytes()), encoding="ascii")
            loaded = _open(built)
            built.replace(library)
            note.replace(record)
            return loaded
    except OSError as error:
        raise _Unavailable(f"the kernels cannot be compiled: {error}") from None


def _load() -> ctypes.CDLL | _Unavailable:
    """The library, or why there is none; tried once in a process."""
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
    """Whether the C kernels can be used here, and why not. The first call may compile them (about a second)."""
    if os.environ.get("TRM_FUSED", "").strip() == "0":
        return Availability(False, "turned off by TRM_FUSED=0")
    state = _load()
    if isinstance(state, _Unavailable):
        return Availability(False, str(state))
    return Availability(True, "compiled C kernels for CPU float32")


def _library(*tensors: Tensor) -> ctypes.CDLL | None:
    """The library if it can compute on these tensors, else None."""
    if torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"):
        return None
    for x in tensors:
        if type(x) is not Tensor and type(x) is not torch.nn.Parameter:
            return None  # a subclass may give the operations another meaning
        if x.device.type != "cpu" or x.dtype != torch.float32 or x.layout != torch.strided or x.is_neg():
            return None
    if not available():
        return None
    state = _load()
    return state if isinstance(state, ctypes.CDLL) else None


# ------------------------------------------------------------------------------------------------------- gated products


def _address(x: Tensor | None) -> int | None:
    return None if x is None else x.data_ptr()


def _succeed(failed: int) -> None:
    if failed:
        raise MemoryError("the fused kernels could not allocate their scratch memory")


def _block(
    lib: ctypes.CDLL, h: Tensor, w_in: Tensor, w_out: Tensor | None, eps: float, keep: bool
) -> tuple[Tensor, Tensor | None]:
    """Forward pass on contiguous tensors: the output, and with ``keep`` each row's inverse rms, shape [rows]."""
    width, hidden = h.shape[-1], w_in.shape[0] // 2
    rows = h.numel() // width
    out = h.new_empty(*h.shape[:-1], hidden if w_out is None else width)
    rinv = h.new_empty(rows) if keep and w_out is not None else None
    pointers = map(_address, (h, w_in, w_out, out, rinv))
    _succeed(lib.trm_block(*pointers, rows, width, hidden, eps, torch.get_num_threads()))
    return out, rinv


class _Block(torch.autograd.Function):
    """``gated`` when ``w_out`` is None, else ``swiglu_norm``. Saves no hidden values: the way back recomputes them."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, w_in: Tensor, w_out: Tensor | None, eps: float, lib: ctypes.CDLL) -> Tensor:
        h, w_in = h.contiguous(), w_in.contiguous()
        w_out = None if w_out is None else w_out.contiguous()
        out, rinv = _block(lib, h, w_in, w_out, eps, keep=True)
        ctx.lib = lib
        ctx.save_for_backward(h, w_in, w_out, None if w_out is None else out, rinv)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        h, w_in, w_out, out, rinv = ctx.saved_tensors
        grad = grad.contiguous()
        width, hidden = h.shape[-1], w_in.shape[0] // 2
        grads = [
            torch.empty_like(x) if needed and x is not None else None
            for x, needed in zip((h, w_in, w_out), ctx.needs_input_grad[:3], strict=True)
        ]
        pointers = map(_address, (h, w_in, w_out, out, rinv, grad, *grads))
        threads = torch.get_num_threads()
        _succeed(ctx.lib.trm_block_grad(*pointers, h.numel() // width, width, hidden, threads))
        return (*grads, None, None)


def _wants_grad(*tensors: Tensor | None) -> bool:
    return torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in tensors)


def _apply_block(lib: ctypes.CDLL, h: Tensor, w_in: Tensor, w_out: Tensor | None, eps: float) -> Tensor:
    if _wants_grad(h, w_in, w_out):
        return cast(Tensor, _Block.apply(h, w_in, w_out, eps, lib))  # type: ignore[no-untyped-call]
    last = None if w_out is None else w_out.contiguous()
    return _block(lib, h.contiguous(), w_in.contiguous(), last, eps, keep=False)[0]


def gated(h: Tensor, w: Tensor) -> Tensor:
    """Gated unit ``silu(h @ w_gate.T) * (h @ w_up.T)``.

    Args:
        h: state, shape [..., C].
        w: weights in the layout of ``nn.Linear``, shape [2P, C]: first the P gate rows, then the P up rows.

    Returns:
        Tensor of shape [..., P].
    """
    if h.dim() and h.numel() and w.dim() == 2 and w.shape[0] and w.shape[0] % 16 == 0:
        fits = h.shape[-1] == w.shape[1] and w.shape[1] % 8 == 0
        lib = _library(h, w) if fits else None
        if lib is not None:
            return _apply_block(lib, h, w, None, 0.0)
    return plain_gated(h, w)


def swiglu_norm(h: Tensor, w_in: Tensor, w_out: Tensor, eps: float = EPS) -> Tensor:
    """SwiGLU with residual and normalisation: ``rms_norm(h + gated(h, w_in) @ w_out.T)``.

    ``rms_norm(u) = u / sqrt(mean(u ** 2) + eps)`` over the last axis, without gain.

    Args:
        h: state, shape [..., C].
        w_in: weights in the layout of ``nn.Linear``, shape [2H, C]: first the H gate rows, then the H up rows.
        w_out: weights, shape [C, H].
        eps: added to the mean square.

    Returns:
        Tensor of the shape of ``h``.
    """
    if h.dim() and h.numel() and w_in.dim() == w_out.dim() == 2 and w_in.shape[0] and w_in.shape[0] % 16 == 0:
        width, hidden = h.shape[-1], w_in.shape[0] // 2
        fits = width % 8 == 0 and w_in.shape[1] == width and w_out.shape == (width, hidden)
        lib = _library(h, w_in, w_out) if fits else None
        if lib is not None:
            return _apply_block(lib, h, w_in, w_out, eps)
    return plain_swiglu_norm(h, w_in, w_out, eps)


# ------------------------------------------------------------------------------------------------------------ add, norm


def _add_norm(
    lib: ctypes.CDLL, a: Tensor, b: Tensor, c: Tensor | None, eps: float, keep: bool
) -> tuple[Tensor, Tensor | None]:
    """Forward pass on contiguous tensors: the output, and with ``keep`` each row's inverse rms, shape [rows]."""
    width = a.shape[-1]
    rows = a.numel() // width
    out = torch.empty_like(a)
    rinv = a.new_empty(rows) if keep else None
    group = 1 if c is None else a.shape[-2]
    lib.trm_add_norm(*map(_address, (a, b, c, out, rinv)), rows, group, width, eps)
    return out, rinv


class _AddNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, c: Tensor | None, eps: float, lib: ctypes.CDLL) -> Tensor:
        third = None if c is None else c.contiguous()
        out, rinv = _add_norm(lib, a.contiguous(), b.contiguous(), third, eps, keep=True)
        ctx.lib = lib
        ctx.third_shape = None if c is None else c.shape
        ctx.save_for_backward(out, rinv)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        out, rinv = ctx.saved_tensors
        grad = grad.contiguous()
        width = out.shape[-1]
        need_a, need_b, need_c = ctx.needs_input_grad[:3]
        du = torch.empty_like(out)
        dc = out.new_empty(ctx.third_shape) if need_c else None
        group = 1 if dc is None else out.shape[-2]
        ctx.lib.trm_add_norm_grad(*map(_address, (out, rinv, grad, du, dc)), rinv.numel(), group, width)
        return (du if need_a else None, du if need_b else None, dc, None, None)


def add_norm(a: Tensor, b: Tensor, c: Tensor | None = None, eps: float = EPS) -> Tensor:
    """Sum with normalisation: ``rms_norm(a + b)``, or ``rms_norm(a + b + c)`` with ``c`` broadcast.

    Args:
        a: shape [..., S, C] (any leading axes; [..., C] without ``c``).
        b: the shape of ``a``.
        c: shape [..., 1, C], the same for the S symbols of a cell; or None.
        eps: added to the mean square.

    Returns:
        Tensor of the shape of ``a``.
    """
    if a.dim() and a.numel() and a.shape == b.shape and a.shape[-1] % 8 == 0:
        fits = c is None or (a.dim() > 1 and c.shape == (*a.shape[:-2], 1, a.shape[-1]))
        lib = _library(a, b, *(() if c is None else (c,))) if fits else None
        if lib is not None:
            if _wants_grad(a, b, c):
                return cast(Tensor, _AddNorm.apply(a, b, c, eps, lib))  # type: ignore[no-untyped-call]
            third = None if c is None else c.contiguous()
            return _add_norm(lib, a.contiguous(), b.contiguous(), third, eps, keep=False)[0]
    return plain_add_norm(a, b, c, eps)
