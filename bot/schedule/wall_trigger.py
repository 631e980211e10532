"""An APScheduler trigger for local times that is correct on days with a clock change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger

HORIZON: timedelta = timedelta(days=366 * 9)
"""How far ahead to look for the next time: more than the longest gap between two 29ths of February."""
_SHIFT: timedelta = timedelta(hours=26)
"""More than the largest clock change of any zone (Samoa skipped a whole day in 2011)."""
_INSTANT: timedelta = timedelta(microseconds=1)


class WallTrigger(BaseTrigger):  # type: ignore[misc] # APScheduler 3 ships no types
    """Fires when the wall clock of `zone` shows one of `fields` (those of `CronTrigger`).

    APScheduler's own arithmetic may fire such a time twice, or late, on days with a clock change. This class computes
    the calendar in UTC, which has no clock changes, and then interprets the results as wall times:

    - a skipped time is interpreted with the offset before the change, so it fires later by the size of the change;
    - a repeated time fires the first time only; both rules are those of RFC 5545, section 3.3.5;
    - with `each_hour` (an hour field of ``*``) the trigger fires in every elapsed hour: a skipped time does not fire,
      and a repeated time fires twice.
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
        # elapsed and wall order differ only around a clock change: there, compare everything near the first result
        at, until = wall - _SHIFT if self._changes_near(wall) else wall, wall + HORIZON
        while (wall_time := self._next_wall_time(at)) is not None and wall_time <= until:
            moments = [moment for moment in self._moments(wall_time) if moment > after]
            if moments and not candidates:
                until = min(until, wall_time + _SHIFT if self._changes_near(wall_time) else wall_time)
            candidates += moments
            at = wall_time + timedelta(seconds=1)
        return min(candidates, default=None)

    def _next_wall_time(self, at: datetime) -> datetime | None:
        self.calendar.end_date = at + HORIZON + 2 * _SHIFT  # without an end it would search up to the year 9999
        wall_time = self.calendar.get_next_fire_time(None, at)
        return wall_time if isinstance(wall_time, datetime) else None

    def _moments(self, wall_time: datetime) -> list[datetime]:
        """The moments in UTC at which a wall time fires."""
        local = wall_time.replace(tzinfo=self.zone, fold=0)
        first, second = (local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
        if not self.each_hour or first == second:
            return [first]
        return [first, second] if first < second else []

    def _changes_near(self, wall_time: datetime) -> bool:
        local = wall_time.replace(tzinfo=self.zone)
        return (local - _SHIFT).utcoffset() != (local + _SHIFT).utcoffset()
