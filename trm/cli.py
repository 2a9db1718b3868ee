"""The command line. Imports of torch and everything built on it wait until a command needs them."""

from __future__ import annotations

import os
import sys

from trm.commands import app
from trm.errors import TrmError


def main() -> None:
    """Entry point of the `trm` command: every expected failure is one line on standard error and an exit code."""
    # Read when torch loads OpenMP, whose threads would else spin between two torch operations, on the cores that the
    # threads of our kernels need: two of them were no faster than one (docs/log.md). Training has a process a core.
    if sys.argv[1:2] != ["train"]:
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        try:
            app(prog_name="trm")  # `python -m trm` too
        finally:
            sys.stdout.flush()  # here, where a reader that has left can still be dealt with, and not at exit
    except TrmError as error:
        print("trm:", " ".join(str(error).splitlines()), file=sys.stderr)  # a file's name may hold anything
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader (head, less) has left; Python would complain about the rest of the output at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
