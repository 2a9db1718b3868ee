"""Standard streams that are closed, or that cannot encode what is printed."""

from __future__ import annotations

import codecs
import errno
import io
import os
import re
import sys
from typing import Any

from trm.errors import BadInput

HANDLER = "trm"  # name of the codec error handler below
# Plain characters, each with those that it stands for where the output's encoding lacks them. Any other is written as
# an escape sequence, such as \xe9 or \u2603.
STAND_INS = {
    "-": "─━–—",
    "=": "═",
    "|": "│┃║",
    "+": "┌┐└┘├┤┬┴┼╭╮╯╰╔╗╚╝╠╣╦╩╬",
    "'": "‘’",
    '"': "“”",
    "*": "•",
    ".": "·…",
    "x": "×",
}
SIZE = re.compile(r"[1-9][0-9]{0,3}")  # of a terminal, in characters
PLAIN = {character: stand_in for stand_in, characters in STAND_INS.items() for character in characters}


def prepare() -> None:
    """Make the standard streams fit to print to: see `open_closed`, `encode_all` and `forget_sizes`."""
    open_closed()
    encode_all()
    forget_sizes()


class ClosedInput(io.RawIOBase):
    """Stands for a standard input that is closed: reading is an error of the user's."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        raise BadInput("standard input is closed; give the puzzle itself or a file")


class ClosedOutput(io.RawIOBase):
    """Stands for a standard output that is closed: writing fails, as it does on a full disk.

    It fails once, and the command ends. Python 3.13 would report a second failure, when it throws the stream away.
    """

    failed = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self.failed:
            return len(data)
        self.failed = True
        raise OSError(errno.EBADF, "standard output is closed")


def check_open() -> None:
    """Raise BadInput if standard input or standard output is closed, for a command that talks over them."""
    for name, stream, stand_in in (("input", sys.stdin, ClosedInput), ("output", sys.stdout, ClosedOutput)):
        if isinstance(getattr(getattr(stream, "buffer", None), "raw", None), stand_in):
            raise BadInput(f"standard {name} is closed; this command reads requests from one and answers to the other")


def open_closed() -> None:
    """Put something in the place of standard streams that are closed, which Python shows as None.

    Their numbers are taken, too, or the next file that is opened would get one and be printed into. What goes to a
    closed standard error is lost.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(ClosedInput()), encoding="utf-8")
    if sys.stdout is None:
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(ClosedOutput()), encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 -- for as long as the process lives


def encode_all() -> None:
    """Let standard output and standard error write every character, a plain one where the encoding lacks it.

    An error handler that the user has chosen (PYTHONIOENCODING=ascii:replace) stays.
    """
    codecs.register_error(HANDLER, plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape", "backslashreplace"):
            stream.reconfigure(errors=HANDLER)


def forget_sizes() -> None:
    """Take variables out of the environment that are no size of a terminal, such as 0, x or ².

    rich and typer fail with them, or print nothing.
    """
    for name in ("COLUMNS", "LINES", "TERMINAL_WIDTH"):
        if not SIZE.fullmatch(os.environ.get(name, "1")):
            del os.environ[name]


def plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """A codec error handler: plain characters for those of frames, an escape sequence for any other."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    first = error.object[error.start]
    if first in PLAIN:
        return PLAIN[first], error.start + 1
    if first.isascii():  # cp864 has no %
        return "?", error.start + 1
    return first.encode("ascii", "backslashreplace").decode("ascii"), error.start + 1


def discard_output() -> None:
    """Drop what standard output still holds, or Python reports its failure once more at exit."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # closed
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
