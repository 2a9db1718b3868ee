"""Tiny Recursive Models: small networks that solve hard structured puzzles by revising their own answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trm.lazy import late
from trm.version import __version__

if TYPE_CHECKING:
    from trm import plot
    from trm.inference.solver import Answer, Solver, Step
    from trm.store.stored import Stored

__all__ = ["Answer", "Solver", "Step", "__version__", "load", "plot"]

if not TYPE_CHECKING:  # or any name at all would be one to a type checker
    __getattr__ = late(__name__, {"inference.solver": "Answer Solver Step", "plot": ""})


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
