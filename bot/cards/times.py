"""Durations and times in words."""

from __future__ import annotations

from datetime import datetime


def duration(seconds: float) -> str:
    """A duration in one unit, rounded: ``45 s``, ``12 min``, ``4 h``, ``13 days``; a negative one counts as zero."""
    positive = max(0.0, seconds)
    if positive < 60:
        return f"{int(positive)} s"
    if positive < 59.5 * 60:
        return f"{positive / 60:.0f} min"
    if positive < 47.5 * 3600:
        return f"{positive / 3600:.0f} h"
    return f"{positive / 86400:.0f} days"


def parse_time(value: object) -> datetime | None:
    """The RFC 3339 time of a document, or None if it has none."""
    return datetime.fromisoformat(value) if isinstance(value, str) else None


def ago(value: object, now: datetime) -> str:
    """How long ago a document's time was: ``just now``, ``2 min ago``; empty if it has none."""
    time = parse_time(value)
    if time is None:
        return ""
    elapsed = (now - time).total_seconds()
    return f"{duration(elapsed)} ago" if elapsed >= 5 else "just now"


def until(value: object, now: datetime) -> str:
    """How far away a document's time is: ``in 4 h``, or ``4 h ago`` if it has passed; empty if it has none."""
    time = parse_time(value)
    if time is None:
        return ""
    remaining = (time - now).total_seconds()
    return f"in {duration(remaining)}" if remaining > 0 else f"{duration(-remaining)} ago"
