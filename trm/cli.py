"""The command line. Imports of torch and everything built on it wait until a command needs them."""

from __future__ import annotations

import os
import sys

from trm.commands import app
from trm.errors import TrmError


def main() -> None:
    """Entry point of the `trm` command: every expected failure is one line on standard error and an exit code."""
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
