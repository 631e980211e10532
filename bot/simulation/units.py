"""Figures as people read them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Seconds in the unit that fits: ``4.2 s``, ``95 s``, ``12 min``, ``3.5 h``, ``4.0 d``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 600:
        return f"{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} d"


def percent(share: float) -> str:
    """A share as ``12.3%``, or ``100%``."""
    return f"{100 * share:.0f}%" if share >= 0.9995 or share == 0 else f"{100 * share:.1f}%"
