"""The command line. Imports of torch and everything built on it wait until a command needs them."""

from __future__ import annotations

import os
import sys
import time
from importlib import import_module

from trm.cli.app import app
from trm.errors import TrmError

__all__ = ["app", "main"]

# In the order of the help. Importing a command registers it.
COMMANDS = "train describe solve models adapt serve evaluate eval_arc eval_llm compare history mcp convert turns data"
for name in COMMANDS.split():
    import_module(f"trm.cli.{name}")

ALONE = 10.0  # seconds that ranks other than 0 wait before they print their own error


def main() -> None:
    """Entry point of the `trm` command: every expected failure is one line on standard error and an exit code."""
    try:
        try:
            app(prog_name="trm")  # `python -m trm` too
        finally:
            sys.stdout.flush()  # here and not at exit, so that a closed pipe is handled below
    except TrmError as error:
        if int(os.environ.get("RANK", "0")) > 0:
            # All processes usually fail with the same error. Rank 0 prints it, and its exit ends the others meanwhile.
            time.sleep(ALONE)
        print("trm:", " ".join(str(error).splitlines()), file=sys.stderr)  # a file's name may hold anything
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        # Discard buffered output, or Python reports the error once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # a broken pipe is no error: head or less has quit
            where = f"{error.filename}: " if error.filename else ""
            print(f"trm: {where}{error.strerror or error}", file=sys.stderr)
        sys.exit(1)
