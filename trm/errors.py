"""Errors with a message of one clear line. The command line turns them into exit codes."""

from __future__ import annotations


class TrmError(Exception):
    """The work failed. The message is one line: what is wrong, where, and how to fix it. Exit code 1."""

    exit_code = 1


class BadInput(TrmError):
    """The user's input is wrong: a puzzle, a file or an option. Exit code 2."""

    exit_code = 2


class UnknownArgument(BadInput, TypeError):
    """A keyword argument that a function does not have."""
