"""Tasks that a user's data and structure file define."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trm.lazy import late

if TYPE_CHECKING:
    from trm.tasks.custom.inspection import Inspection, inspect, leaks
    from trm.tasks.custom.structure import Structure, read_structure
    from trm.tasks.custom.task import Custom

__all__ = [
    "Custom",
    "Inspection",
    "Structure",
    "inspect",
    "leaks",
    "read_structure",
]

if not TYPE_CHECKING:  # a type checker would otherwise accept any name
    __getattr__ = late(
        __name__,
        {
            "inspection": "Inspection inspect leaks",
            "structure": "Structure read_structure",
            "task": "Custom",
        },
    )
