"""What can go wrong, as one clear line each. The command line turns these into exit codes."""

from __future__ import annotations


class TrmError(Exception):
    """The work could not be done; the message is one line that says what, where and how to mend it. Exit code 1."""

    exit_code = 1


class BadInput(TrmError):
    """The user's input (a puzzle, a file, an option) is wrong. Exit code 2."""

    exit_code = 2
