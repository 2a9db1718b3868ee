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
COMMANDS = "train describe solve models adapt serve evaluate eval_arc eval_llm compare history mcp files data"
for name in COMMANDS.split():
    import_module(f"trm.cli.{name}")

ALONE = 10.0  # seconds after which a process that nobody has stopped is the only one that failed


def main() -> None:
    """Entry point of the `trm` command: every expected failure is one line on standard error and an exit code."""
    try:
        try:
            app(prog_name="trm")  # `python -m trm` too
        finally:
            sys.stdout.flush()  # here, where a reader that has left can still be dealt with, and not at exit
    except TrmError as error:
        if int(os.environ.get("RANK", "0")) > 0:
            # Every process of a run finds the same mistake. The first one tells it, and its end stops the others here.
            time.sleep(ALONE)
        print("trm:", " ".join(str(error).splitlines()), file=sys.stderr)  # a file's name may hold anything
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        # Python would complain about the rest of the output at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # else the reader (head, less) has left, and wants no more
            where = f"{error.filename}: " if error.filename else ""
            print(f"trm: {where}{error.strerror or error}", file=sys.stderr)
        sys.exit(1)
