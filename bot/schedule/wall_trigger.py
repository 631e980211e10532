"""A trigger for local times that is right on the days when the clock changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger

HORIZON: timedelta = timedelta(days=366 * 9)
"""How far ahead a next time is looked for: further than any two 29ths of February are apart."""
_SHIFT: timedelta = timedelta(hours=26)
"""More than any zone has ever jumped by (Samoa left a whole day out in 2011)."""
_INSTANT: timedelta = timedelta(microseconds=1)


class WallTrigger(BaseTrigger):  # type: ignore[misc] # APScheduler 3 ships no types
    """Fires when the wall clock of `zone` shows one of `fields` (those of `CronTrigger`).

    APScheduler's own arithmetic may fire such a time twice, or late, on the days of a change. Here the calendar is
    asked in UTC, where no clock changes, and its answers are then read as wall times:

    - a time that the clock skips is taken with the offset before the jump, so that it comes later by the jump;
    - a time that it shows twice counts the first time. Both as RFC 5545, section 3.3.5, has them.
    - with `each_hour` (an hour field of ``*``) it is real hours that are meant: what is skipped is left out, and what
      comes twice comes twice.
    """

    __slots__ = ("calendar", "each_hour", "fields", "zone")

    def __init__(self, fields: dict[str, str], zone: ZoneInfo) -> None:
        self.fields = fields
        self.zone = zone
        self.each_hour = fields["hour"].startswith("*")
        self.calendar = CronTrigger(second="0", timezone=UTC, **fields)

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """The first time after `previous_fire_time`, or at or after `now`; aware, in UTC."""
        after = previous_fire_time.astimezone(UTC) if previous_fire_time else now.astimezone(UTC) - _INSTANT
        wall = after.astimezone(self.zone).replace(tzinfo=UTC, fold=0)
        candidates: list[datetime] = []
        # real order and wall order differ only around a jump: there, everything near the first answer is looked at
        at, until = wall - _SHIFT if self._jumps_near(wall) else wall, wall + HORIZON
        while (shown := self._shown(at)) is not None and shown <= until:
            moments = [moment for moment in self._moments(shown) if moment > after]
            if moments and not candidates:
                until = min(until, shown + _SHIFT if self._jumps_near(shown) else shown)
            candidates += moments
            at = shown + timedelta(seconds=1)
        return min(candidates, default=None)

    def _shown(self, at: datetime) -> datetime | None:
        self.calendar.end_date = at + HORIZON + 2 * _SHIFT  # without an end it would count up to the year 9999
        shown = self.calendar.get_next_fire_time(None, at)
        return shown if isinstance(shown, datetime) else None

    def _moments(self, shown: datetime) -> list[datetime]:
        """The moments in UTC at which the wall clock shows a time, or is taken to."""
        local = shown.replace(tzinfo=self.zone, fold=0)
        first, second = (local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
        if not self.each_hour or first == second:
            return [first]
        return [first, second] if first < second else []

    def _jumps_near(self, shown: datetime) -> bool:
        local = shown.replace(tzinfo=self.zone)
        return (local - _SHIFT).utcoffset() != (local + _SHIFT).utcoffset()
