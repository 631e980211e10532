"""When people say that something is to be done, and when that is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.schedule.recurrence import LEAST_S, UNDERSTOOD, read_recurrence
from bot.schedule.wall_trigger import WallTrigger
from core.model.errors import UsageError

pytestmark = pytest.mark.surfaces

ZURICH = "Europe/Zurich"
FROM, TO = (datetime(year, 1, 2, tzinfo=UTC).replace(tzinfo=None) for year in (2010, 2030))


def ms(text: str, zone: str = "UTC") -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def times(phrase: str, zone: str, begin: str, count: int) -> list[str]:
    """The next times after `begin`, all in UTC."""
    when, at = read_recurrence(phrase), ms(begin)
    found = []
    for _ in range(count):
        following = when.after(at, zone, 0)
        assert following is not None
        at = following
        found.append(f"{datetime.fromtimestamp(at / 1000, UTC):%m-%d %H:%M}")
    return found


@pytest.mark.parametrize(
    ("said", "phrase"),
    [
        ("daily 09:00", "daily 09:00"),
        ("every day at 9am", "daily 09:00"),
        ("Daily 9:30 PM", "daily 21:30"),
        ("every day at noon", "daily 12:00"),
        ("daily 12am", "daily 00:00"),
        ("weekday 9:00", "weekday 09:00"),
        ("weekdays at 09:00", "weekday 09:00"),
        ("weekends 10:00", "sat,sun 10:00"),
        ("monday 8:30", "monday 08:30"),
        ("on mondays at 8:30", "monday 08:30"),
        ("every tue 8.30", "tuesday 08:30"),
        ("thu, mon 09:00", "mon,thu 09:00"),
        ("mon and thu 09:00", "mon,thu 09:00"),
        ("monthly 1 09:00", "monthly 1 09:00"),
        ("monthly on the 3rd 09:00", "monthly 3 09:00"),
        ("monthly last 09:00", "monthly last 09:00"),
        ("monthly 09:00", "monthly 1 09:00"),
        ("hourly", "hourly"),
        ("every hour", "hourly"),
        ("every 2h", "every 2h"),
        ("every 2 hours", "every 2h"),
        ("90m", "every 90m"),
        ("every 24h", "every 1d"),
        ("every 14 days", "every 2w"),
        ("every 5m", "every 5m"),
        ("30 8 * * 1-5", "30 8 * * 1-5"),
        ("*/15 8-18 * * MON-FRI", "*/15 8-18 * * mon-fri"),
    ],
)
def test_a_phrase_has_one_form(said, phrase):
    assert read_recurrence(said).phrase == phrase
    assert read_recurrence(phrase) == read_recurrence(said)


@pytest.mark.parametrize("phrase", UNDERSTOOD[:-1])
def test_what_is_said_to_be_understood_is(phrase):
    assert read_recurrence(phrase).phrase


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("", "bad_when"),
        ("soon", "bad_when"),
        ("daily", "bad_when"),
        ("daily 9", "bad_when"),
        ("daily 25:00", "bad_when"),
        ("daily 13pm", "bad_when"),
        ("moonday 09:00", "bad_when"),
        ("monthly 32 09:00", "bad_when"),
        ("monthly 0 09:00", "bad_when"),
        ("x" * 300, "bad_when"),
        ("every 4m", "too_often"),
        ("every 0h", "too_often"),
        ("every 400 days", "too_seldom"),
        ("* * * * *", "too_often"),
        ("0,4 * * * *", "too_often"),
        ("58,2 * * * *", "too_often"),
        ("59,1 0,23 * * *", "too_often"),
        ("61 * * * *", "bad_when"),
        ("0 0 * * 8", "bad_when"),
        ("0 0 * * */2", "bad_when"),
        ("0 0 1 * 1", "bad_when"),
        ("0 0 30 2 *", "never"),
        ("0 0 * * mon-", "bad_when"),
        ("a b c d e", "bad_when"),
    ],
)
def test_what_is_no_time_or_too_often_is_refused(said, code):
    with pytest.raises(UsageError) as caught:
        read_recurrence(said)
    assert caught.value.problem.code == code
    assert caught.value.problem.mend


@given(st.text(max_size=60) | st.text("0123456789*/,- aelmnotuydhw:", max_size=40))
def test_any_text_is_a_time_or_refused(text):
    try:
        found = read_recurrence(text)
    except UsageError:
        return
    assert read_recurrence(found.phrase) == found
    first = found.after(0, "UTC", 0)
    assert first is None or first > 0


def test_crons_days_of_the_week_begin_with_sunday():
    assert times("0 12 * * 0", "UTC", "2026-05-04", 1) == ["05-10 12:00"]
    assert times("0 12 * * 7", "UTC", "2026-05-04", 1) == ["05-10 12:00"]
    assert times("0 12 * * 5-7", "UTC", "2026-05-04", 3) == ["05-08 12:00", "05-09 12:00", "05-10 12:00"]
    assert times("0 12 * * fri-sun", "UTC", "2026-05-04", 1) == ["05-08 12:00"]


def test_days_follow_the_zone():
    assert times("weekday 09:00", ZURICH, "2026-05-08T08:00", 2) == ["05-11 07:00", "05-12 07:00"]
    assert times("monday 00:30", "Pacific/Auckland", "2026-05-08", 1) == ["05-10 12:30"]
    assert times("monthly 31 12:00", "UTC", "2026-04-01", 2) == ["05-31 12:00", "07-31 12:00"]
    assert times("monthly last 12:00", "UTC", "2026-01-31T13:00", 2) == ["02-28 12:00", "03-31 12:00"]
    assert times("0 0 29 2 *", "UTC", "2096-03-01", 1) == ["02-29 00:00"]  # 2100 is no leap year


def test_a_time_that_the_clock_skips_comes_once_and_as_much_later():
    # Zurich, 2026-03-29: 02:00 becomes 03:00
    assert times("daily 02:30", ZURICH, "2026-03-27T12:00", 3) == ["03-28 01:30", "03-29 01:30", "03-30 00:30"]
    assert times("daily 02:00", ZURICH, "2026-03-27T12:00", 3) == ["03-28 01:00", "03-29 01:00", "03-30 00:00"]
    assert times("daily 03:00", ZURICH, "2026-03-27T12:00", 3) == ["03-28 02:00", "03-29 01:00", "03-30 01:00"]
    # both of these are 01:00 UTC that day, which is one time and not two
    assert times("0 2,3 * * *", ZURICH, "2026-03-28T12:00", 3) == ["03-29 01:00", "03-30 00:00", "03-30 01:00"]


def test_a_time_that_the_clock_shows_twice_comes_once():
    # Zurich, 2026-10-25: 03:00 becomes 02:00
    assert times("daily 02:30", ZURICH, "2026-10-23T12:00", 3) == ["10-24 00:30", "10-25 00:30", "10-26 01:30"]


def test_hours_are_real_hours_whatever_the_clock_does():
    assert times("hourly", ZURICH, "2026-10-24T23:30", 4) == [
        "10-25 00:00",
        "10-25 01:00",
        "10-25 02:00",
        "10-25 03:00",
    ]
    assert times("hourly", ZURICH, "2026-03-28T23:30", 4) == [
        "03-29 00:00",
        "03-29 01:00",
        "03-29 02:00",
        "03-29 03:00",
    ]
    assert times("*/30 * * * *", ZURICH, "2026-10-25T00:15", 3) == ["10-25 00:30", "10-25 01:00", "10-25 01:30"]
    assert times("every 6h", ZURICH, "2026-10-24T23:30", 2) == ["10-25 00:00", "10-25 06:00"]


def test_a_whole_day_may_be_left_out():
    # Samoa went from 2011-12-29 to 2011-12-31
    assert times("daily 09:00", "Pacific/Apia", "2011-12-28T20:00", 3) == ["12-29 19:00", "12-30 19:00", "12-31 19:00"]


def test_a_time_is_never_its_own_next_one():
    when = read_recurrence("daily 09:00")
    nine = ms("2026-05-04T09:00")
    for past_ms in (0, 1, 400, 999, 1000):
        assert when.after(nine + past_ms, "UTC", 0) == nine + 86_400_000
    assert when.after(nine - 1, "UTC", 0) == nine


def test_spans_are_counted_from_the_beginning():
    when = read_recurrence("every 2h")
    assert when.after(10_000, "UTC", 10_000) == 10_000 + 7_200_000
    assert when.after(10_000 + 7_200_000, "UTC", 10_000) == 10_000 + 2 * 7_200_000


@given(
    st.sampled_from([ZURICH, "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca", "UTC"]),
    st.integers(0, 23),
    st.sampled_from([0, 15, 30, 45]),
    st.datetimes(FROM, TO),
)
def test_a_daily_time_comes_once_on_each_day_of_the_calendar(zone, hour, minute, begin):
    """Against the plain reading: each wall day has one time, the moment that Python's own zones give it."""
    trigger = WallTrigger({"hour": str(hour), "minute": str(minute), "day": "*", "month": "*", "day_of_week": "*"},
                          ZoneInfo(zone))  # fmt: skip
    at = begin.replace(tzinfo=UTC)
    days = {(begin + timedelta(days=n)).date() for n in range(-3, 9)}
    moments = {
        datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZoneInfo(zone)).astimezone(UTC) for day in days
    }
    expected = sorted(moment for moment in moments if moment > at)[:5]
    found = []
    for _ in range(5):
        following = trigger.get_next_fire_time(at, at)
        assert following is not None
        assert following > at
        at = following
        found.append(following)
    assert found == expected


@given(st.integers(0, 2**41), st.integers(LEAST_S, 100_000).map(lambda s: s // 60))
def test_a_span_is_always_in_the_future(at_ms, minutes):
    when = read_recurrence(f"every {minutes}m")
    found = when.after(at_ms, "UTC", 12_345)
    assert found is not None
    assert found > at_ms
    assert (found - 12_345) % (minutes * 60_000) == 0
