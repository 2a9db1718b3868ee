"""Tiny Recursive Models: small networks that solve hard structured puzzles by revising their own answer."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from trm.version import __version__

if TYPE_CHECKING:
    from trm import plot
    from trm.api import Answer, Solver, Step
    from trm.store.stored import Stored

__all__ = ["Answer", "Solver", "Step", "__version__", "load", "plot"]

HOMES = {"Answer": "trm.api", "Solver": "trm.api", "Step": "trm.api", "plot": "trm.plot"}

if not TYPE_CHECKING:  # or any name at all would be one to a type checker

    def __getattr__(name: str) -> object:
        """Public names are imported when they are first used: torch takes a second to import."""
        if name not in HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = import_module(HOMES[name])
        return module if module.__name__ == f"trm.{name}" else getattr(module, name)


def load(name: str) -> Stored:
    """A model in evaluation mode: `.model`, `.spec` (its task's board), `.name` and `.about` (where it comes from).

    Args:
        name: a shipped model's name, the folder of a model or of a training run, or OWNER/NAME of a model on the
            Hugging Face hub.

    Raises:
        trm.errors.BadInput: no such model, a damaged file, or tensors of the wrong shape (each named).
        trm.errors.TrmError: a model of the hub cannot be downloaded.
    """
    from trm import store  # torch takes a second to import, so not before it is needed

    return store.load(name)
