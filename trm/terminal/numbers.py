"""Numbers as short texts."""

from __future__ import annotations

NONE = "-"  # for what is not known


def quantity(value: float, unit: str) -> str:
    """Three significant digits and an SI prefix: 1.47 GB. A long unit stands apart: 2.5 k updates."""
    for power, prefix in ((18, "E"), (15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if value >= 10**power:
            gap = "" if len(unit) < 5 else " "
            return f"{value / 10**power:.3g} {prefix}{gap}{unit}"
    return f"{value:.3g} {unit}"


def count(value: float | None) -> str:
    """25.7k, 6.83M"""
    return NONE if value is None else quantity(value, "").replace(" ", "").strip()


def percent(value: float) -> str:
    """A share as a percentage, without the sign."""
    return f"{100 * value:.1f}"


def span(low: float, high: float) -> str:
    """Two shares as percentages: 19.5-31.4"""
    return f"{percent(low)}-{percent(high)}"


def p_value(p: float) -> str:
    return "<0.0001" if p < 1e-4 else f"{p:.4f}" if p < 0.01 else f"{p:.2f}"


def duration(seconds: float) -> str:
    """Three significant digits in the largest suitable unit, from milliseconds to years."""
    for size, name in ((86400.0 * 365, "years"), (86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "s")):
        if seconds >= size:
            return f"{seconds / size:.3g} {name}"
    return f"{seconds * 1000:.3g} ms"


def rough_duration(seconds: float | None) -> str:
    """One decimal, for a narrow column: 8.0 min"""
    if seconds is None:
        return NONE
    for size, name in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.0f} s"
