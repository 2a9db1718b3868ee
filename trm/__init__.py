"""Tiny Recursive Models: small networks that solve hard structured puzzles by revising their own answer."""

from trm.version import __version__

__all__ = ["__version__"]
