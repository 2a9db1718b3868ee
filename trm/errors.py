"""Errors with a message of one clear line. The command line turns them into exit codes."""

from __future__ import annotations

NO_TORCH = "this needs torch: install it (docs/quickstart.md), or solve with the onnx backend, which has one start"


class TrmError(Exception):
    """The work failed. The message is one line: what is wrong, where, and how to fix it. Exit code 1."""

    exit_code = 1


class BadInput(TrmError):
    """The user's input is wrong: a puzzle, a file or an option. Exit code 2."""

    exit_code = 2


def in_one_line(error: BaseException | str) -> str:
    """The first line of what another program says, cut where it is long, and safe to print."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    line = line if line.isprintable() else ascii(line)[1:-1]
    return line if len(line) <= 300 else f"{line[:297]}..."


class UnknownArgument(BadInput, TypeError):
    """A keyword argument that a function does not have."""
