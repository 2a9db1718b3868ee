"""The models that ship with the package. Imports no torch."""

from __future__ import annotations

from pathlib import Path

SHIPPED = Path(__file__).parents[1] / "weights"


def shipped_names() -> list[str]:
    return sorted(path.parent.name for path in SHIPPED.glob("*/config.json"))
