"""Describes when a recurring request is made next."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from bot.cards.safe import one_line
from core.model.schedule import PAUSED, Schedule


def next_words(schedule: Schedule) -> str:
    """When it is made next, in its own time zone: ``next Mon 2026-01-05 09:00 UTC``."""
    if schedule.next_ms is None:
        why = f": {one_line(schedule.problem, 120)}" if schedule.problem else ""
        return f"paused{why}" if schedule.state == PAUSED else "never again"
    at = datetime.fromtimestamp(schedule.next_ms / 1000, UTC).astimezone(ZoneInfo(schedule.zone))
    return f"next {at:%a %Y-%m-%d %H:%M} {schedule.zone}"
