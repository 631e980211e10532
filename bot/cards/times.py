"""Spans of time, as people say them."""

from __future__ import annotations

from datetime import datetime


def duration(seconds: float) -> str:
    """A span in one unit, rounded, e.g. ``45 s``, ``12 min``, ``4 h``, ``13 days``; a negative one counts as none."""
    whole = max(0.0, seconds)
    if whole < 60:
        return f"{int(whole)} s"
    if whole < 59.5 * 60:
        return f"{whole / 60:.0f} min"
    if whole < 47.5 * 3600:
        return f"{whole / 3600:.0f} h"
    return f"{whole / 86400:.0f} days"


def parse_time(value: object) -> datetime | None:
    """The RFC 3339 time that a document carries, or None where it has none."""
    return datetime.fromisoformat(value) if isinstance(value, str) else None


def ago(value: object, now: datetime) -> str:
    """How long ago a document's time was: ``just now``, ``2 min ago``; empty where it has none."""
    at = parse_time(value)
    if at is None:
        return ""
    passed = (now - at).total_seconds()
    return f"{duration(passed)} ago" if passed >= 5 else "just now"


def until(value: object, now: datetime) -> str:
    """How far away a document's time is: ``in 4 h``, or ``4 h ago`` once it has passed; empty where it has none."""
    at = parse_time(value)
    if at is None:
        return ""
    left = (at - now).total_seconds()
    return f"in {duration(left)}" if left > 0 else f"{duration(-left)} ago"
