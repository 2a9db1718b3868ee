"""The command line. Imports of torch and everything built on it wait until a command needs them."""

from __future__ import annotations

import re
import sys
import time
from importlib import import_module
from typing import Any, NoReturn

from typer import Abort, BadParameter

from trm.cli import streams
from trm.cli.app import app
from trm.errors import NO_TORCH, TrmError
from trm.files import FAULTS, short
from trm.launch import others_print_first
from trm.remarks import one_line

__all__ = ["app", "main"]

# In the order of the help. Importing a command registers it.
COMMANDS = (
    "train describe solve models adapt serve site evaluate eval_arc eval_llm compare history mcp convert turns data "
    "inspect"
)
for name in COMMANDS.split():
    import_module(f"trm.cli.{name}")

# Where all processes fail with the same error, rank 0 prints it, and its exit ends the others meanwhile.
UsageError: Any = BadParameter.__base__  # which typer does not export
DASHES = re.compile(r"(?!-[0-9.]*$)-[-0-9A-Ga-g.\s|]{15,}")  # a Sudoku, and no option or number
ALONE = 10.0  # seconds that they wait before they print their own error
OUT_OF_MEMORY = re.compile(r"not enough memory|can.t allocate memory|out of memory|Storage size calculation overflowed")


def main() -> None:
    """Entry point of the `trm` command: every expected failure is one line on standard error and an exit code."""
    streams.prepare()
    code: object = None
    try:
        try:
            # `python -m trm` too. Otherwise typer prints errors itself, in boxes.
            code = app(arguments(sys.argv[1:]), prog_name="trm", standalone_mode=False)
        finally:
            sys.stdout.flush()  # here and not at exit, so that a closed pipe is handled below
    except TrmError as error:
        if others_print_first():
            time.sleep(ALONE)
        fail(str(error), error.exit_code)
    except UsageError as error:
        if not error.format_message().strip():  # no command was given, and the help has been printed
            sys.exit(2)
        fail(usage_fault(error), 2)
    except (KeyboardInterrupt, Abort):
        sys.exit(130)
    except OSError as error:
        streams.discard_output()
        if isinstance(error, BrokenPipeError):  # no error: head or less has quit
            sys.exit(1)
        where = f"{short(error.filename)}: " if error.filename else ""
        fail(f"{where}{error.strerror or error}", 2 if error.filename and error.errno in FAULTS else 1)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        fail(NO_TORCH, 1)
    except (MemoryError, RuntimeError) as error:  # torch has RuntimeErrors for it
        if isinstance(error, RuntimeError) and not OUT_OF_MEMORY.search(str(error)):
            raise
        fail("not enough memory; choose smaller sizes, a smaller batch or fewer rows", 1)
    sys.exit(code if isinstance(code, int) else 0)


def usage_fault(error: Any) -> str:
    """What is wrong with a command line, the form of the command, and where to read more."""
    message = error.format_message().strip().rstrip(".")
    message = f"{message[:1].lower()}{message[1:]}"
    if error.ctx is None:
        return f"{message}; see trm --help"
    usage = error.ctx.command.get_usage(error.ctx).removeprefix("Usage: ")
    usage = " ".join(usage.translate(str.maketrans("", "", "{}")).split())
    return f"{message}; usage: {usage}; see {error.ctx.command_path} --help"


def arguments(given: list[str]) -> list[str]:
    """The arguments, with a puzzle that looks like an option last, behind the two dashes that end the options."""
    puzzles = [one for one in given if DASHES.fullmatch(one)] if given[:1] == ["solve"] and "--" not in given else []
    return [*(one for one in given if one not in puzzles), *(["--", *puzzles] if puzzles else [])]


def fail(message: str, code: int) -> NoReturn:
    """Print an error in one line, whatever the names in it hold, and exit."""
    print("trm:", one_line(message), file=sys.stderr)
    sys.exit(code)
