"""Recurrences: parses phrases such as "weekday 09:00" into triggers, and normalizes the phrase."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.interval import IntervalTrigger

from bot.schedule.wall_trigger import WallTrigger
from core.model.errors import UsageError
from core.model.schedule import zone_named

LEAST_S: Final = 300
"""Minimum seconds between two requests."""
MOST_S: Final = 366 * 24 * 3600
UNDERSTOOD: Final = (
    "daily 09:00",
    "weekday 09:00",
    "monday 8:30",
    "mon,thu 09:00",
    "monthly 1 09:00",
    "hourly",
    "every 2h",
    "a cron line such as 30 8 * * 1-5",
)

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FULL: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SHORT: Final = {"tues": "tue", "wednes": "wed", "thur": "thu", "thurs": "thu", "satur": "sat"}
_DAY_OF: Final = {
    **{name: name for name in _DAYS},
    **{full: full[:3] for full in _FULL},
    **{f"{full}s": full[:3] for full in _FULL},
    **_SHORT,
}
_TIME: Final = re.compile(r"(?P<h>[0-9]{1,2})(?:[:.h](?P<m>[0-9]{2}))?\s?(?P<half>am|pm)?")
_SPAN: Final = re.compile(
    r"(?:every )?(?P<n>[0-9]{1,5})? ?(?P<unit>m|mins?|minutes?|h|hours?|d|days?|w|weeks?)", re.ASCII
)
_UNITS: Final = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_MONTHLY: Final = re.compile(r"monthly(?: (?:on )?(?:the )?(?P<day>[0-9]{1,2}|last)(?:st|nd|rd|th)?)?")
_CRON_FIELD: Final = re.compile(r"[0-9a-z*/,-]{1,64}", re.IGNORECASE | re.ASCII)
_CRON_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_PROBED: Final = 130
"""Firings that are checked for the shortest gap: at most 60 an hour, so these cover more than two hours."""
_SOME_MONDAY: Final = datetime(2026, 1, 5, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Recurrence:
    """How often: the normalized `phrase`, and either the `fields` of a calendar or an interval of `every_s` seconds."""

    phrase: str
    fields: tuple[tuple[str, str], ...] = ()
    every_s: int = 0

    def trigger(self, zone: str, since_ms: int) -> BaseTrigger:
        """APScheduler's trigger in an IANA `zone`; intervals are elapsed time, counted from `since_ms`."""
        if not self.every_s:
            return WallTrigger(dict(self.fields), zone_named(zone))
        start = datetime.fromtimestamp(since_ms / 1000, UTC)
        return IntervalTrigger(seconds=self.every_s, start_date=start, timezone=UTC)

    def after(self, at_ms: int, zone: str, since_ms: int) -> int | None:
        """The first time after `at_ms`, both in UTC milliseconds; None if there is none."""
        trigger = self.trigger(zone, since_ms)
        begin = datetime.fromtimestamp((at_ms + 1) / 1000, UTC)
        moment = trigger.get_next_fire_time(None, begin)
        return round(moment.timestamp() * 1000) if moment is not None else None


def read_recurrence(text: str) -> Recurrence:
    """Parse a phrase; raises `UsageError` that lists the forms it understands."""
    if len(text) > 200:
        raise _unread(text)
    words = " ".join(text.lower().replace(", ", ",").split())
    recurrence = _cron(text.split()) or _span(words) or _calendar(words)
    if recurrence is None:
        raise _unread(text)
    _check(recurrence)
    return recurrence


def _unread(text: str) -> UsageError:
    quote = " ".join(text.split())[:60]
    return UsageError("bad_when", f"“{quote}” is not a recurrence", f"Understood: {'; '.join(UNDERSTOOD)}.")


def _span(words: str) -> Recurrence | None:
    if words in ("hourly", "every hour"):
        return Recurrence("hourly", _fields(minute="0", hour="*"))
    span = _SPAN.fullmatch(words)
    if span is None or (span["n"] is None and not words.startswith("every ")) or words in ("every day", "every week"):
        return None
    unit = span["unit"][0]
    seconds = int(span["n"] or 1) * _UNITS[unit]
    if not LEAST_S <= seconds <= MOST_S:
        raise (
            _too_often()
            if seconds < LEAST_S
            else UsageError("too_seldom", "That is more than a year", "Choose a shorter interval.")
        )
    interval = next((f"{seconds // size}{name}" for name, size in reversed(_UNITS.items()) if seconds % size == 0), "")
    return Recurrence(f"every {interval}", every_s=seconds)


def _calendar(words: str) -> Recurrence | None:
    """Parse days and a time, such as "mon,thu 09:00"."""
    days, time = _split(words)
    clock = _clock(time)
    if clock is None:
        return None
    hour, minute = clock
    at = {"minute": str(minute), "hour": str(hour)}
    clock_time = f"{hour:02}:{minute:02}"
    if days in ("daily", "day"):
        return Recurrence(f"daily {clock_time}", _fields(**at))
    if days in ("weekday", "weekdays"):
        return Recurrence(f"weekday {clock_time}", _fields(**at, day_of_week="mon-fri"))
    if days in ("weekend", "weekends"):
        return Recurrence(f"sat,sun {clock_time}", _fields(**at, day_of_week="sat,sun"))
    monthly = _MONTHLY.fullmatch(days)
    if monthly is not None:
        day = monthly["day"] or "1"
        if day != "last" and not 1 <= int(day) <= 31:
            return None
        day = day if day == "last" else str(int(day))
        return Recurrence(f"monthly {day} {clock_time}", _fields(**at, day=day))
    names = [_DAY_OF.get(name) for name in days.replace(" and ", ",").replace("&", ",").split(",")]
    if any(name is None for name in names):
        return None
    day_names = ",".join(day for day in _DAYS if day in names)
    full = _FULL[_DAYS.index(day_names)] if day_names in _DAYS else day_names
    return Recurrence(f"{full} {clock_time}", _fields(**at, day_of_week=day_names))


def _split(words: str) -> tuple[str, str]:
    parts = words.removeprefix("every ").removeprefix("on ").split(" ")
    count = 2 if parts[-1] in ("am", "pm") else 1
    days, time = parts[:-count], parts[-count:]
    if days and days[-1] == "at":
        days.pop()
    return " ".join(days), " ".join(time)


def _clock(time: str) -> tuple[int, int] | None:
    if time in ("noon", "midnight"):
        return (12, 0) if time == "noon" else (0, 0)
    match = _TIME.fullmatch(time)
    if match is None or (match["m"] is None and match["half"] is None):
        return None
    hour, minute = int(match["h"]), int(match["m"] or 0)
    if match["half"] is not None:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if match["half"] == "pm" else 0)
    return (hour, minute) if hour < 24 and minute < 60 else None


def _cron(words: list[str]) -> Recurrence | None:
    """Parse a cron line of five fields; the days of the week 0 and 7 are Sunday."""
    if len(words) != 5 or not all(_CRON_FIELD.fullmatch(word) for word in words):
        return None
    minute, hour, day, month, week = (word.lower() for word in words)
    if "*" not in (day[0], week[0]):
        mend = "Give only one of them; cron would run on days that match either."
        raise UsageError("bad_when", "The day of the month and the day of the week are both given", mend)
    try:
        when = Recurrence(
            f"{minute} {hour} {day} {month} {week}",
            _fields(minute=minute, hour=hour, day=day, month=month, day_of_week=_week(week)),
        )
        WallTrigger(dict(when.fields), ZoneInfo("UTC"))
    except ValueError as error:
        raise UsageError("bad_when", f"The cron line is not valid: {error}", "See man 5 crontab.") from error
    return when


def _week(field: str) -> str:
    """cron's days of the week as names, because APScheduler numbers them from Monday."""
    if field.startswith("*"):
        if field == "*":
            return field
        raise ValueError("steps of the week are not supported; name the days")
    day_names: set[str] = set()
    for part in field.split(","):
        first, dash, last = part.partition("-")
        begin, end = _cron_day(first), _cron_day(last if dash else first)
        if end < begin and end == 0:
            end = 7
        if dash and end < begin:
            raise ValueError(f"{part} runs backwards")
        day_names.update(_CRON_DAYS[n] for n in range(begin, end + 1))
    return ",".join(day for day in _DAYS if day in day_names)


def _cron_day(text: str) -> int:
    if text in _CRON_DAYS:
        return _CRON_DAYS.index(text)
    if not re.fullmatch(r"[0-7]", text, re.ASCII):
        raise ValueError(f"{text!r} is not a day of the week")
    return int(text)


def _fields(**values: str) -> tuple[tuple[str, str], ...]:
    return tuple({"day": "*", "month": "*", "day_of_week": "*", **values}.items())


def _check(when: Recurrence) -> None:
    """Raise `UsageError` for a recurrence that would fire too often, or never."""
    if when.every_s:
        return
    trigger = WallTrigger(dict(when.fields), ZoneInfo("UTC"))
    at = trigger.get_next_fire_time(None, _SOME_MONDAY)
    if at is None:
        raise UsageError("never", "This day never occurs", "Give a day that exists.")
    for _ in range(_PROBED):
        following = trigger.get_next_fire_time(at, at)
        if following is None or following - at > timedelta(days=7):
            return
        if (following - at).total_seconds() < LEAST_S:
            raise _too_often()
        at = following


def _too_often() -> UsageError:
    return UsageError(
        "too_often", f"A request can be made every {LEAST_S // 60} minutes at most", "Choose a longer interval."
    )
