"""Insight into the past: a worker counts each day once, and the page reads only those sums."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Final, TypeVar

from core.model.insight import DAY_MS, Figure, Measure, quantile
from core.model.turn import SYSTEM, Actor
from core.rules.visibility import visibility_of
from core.settings import SettingsSource
from core.store import events, insight, insight_count
from core.store.database import Database
from core.store.unit_of_work import Tx, from_ms, reads, writes

HORIZON_DAYS: Final = 90
"""How far back days are counted, and shown."""
MAX_MADE: Final = 64
"""Figures of how many teams and periods are cached."""
SETTLED_MS: Final = 10 * 60 * 1000
"""A day is final once it is over for so long; what was written at its end is committed by then."""
K = TypeVar("K", str, int)


@dataclass(frozen=True, slots=True)
class TimeFigures:
    """How often something took a time, and how long, in seconds, as quantiles."""

    count: int
    p50_s: float
    p95_s: float


@dataclass(frozen=True, slots=True)
class InsightFigures:
    """The figures of the last days, oldest first.

    `sums` are (count, total) by measure, name and position of the day; `times` are by measure and name,
    `times_by_day` by measure and the position of the day. `counted_at` is when today was counted last; `missing` are
    the days that no worker has counted yet.
    """

    days: tuple[date, ...]
    sums: Mapping[Measure, Mapping[str, Mapping[int, tuple[int, float]]]]
    times: Mapping[Measure, Mapping[str, TimeFigures]]
    times_by_day: Mapping[Measure, Mapping[int, TimeFigures]]
    counted_at: datetime | None
    missing: int


@dataclass(frozen=True, slots=True)
class Insight:
    """Counts days, and reads what was counted; what was read is cached until it is counted anew."""

    database: Database
    settings: SettingsSource
    recount_ms: int = 60_000
    _made: dict[tuple[int, tuple[str, ...] | None], tuple[object, InsightFigures | None]] = field(default_factory=dict)
    _cache: dict[int, tuple[tuple[int, ...], Sequence[Figure]]] = field(default_factory=dict)

    async def count_next(self) -> bool:
        """Count one day that was not counted yet, or today again if anything happened since; whether one was.

        Today is counted again after `recount_ms` at the earliest.
        """
        day_ms = await self._next_day()
        if day_ms is None:
            return False
        await self._store(day_ms, await self._counted(day_ms))
        return True

    @reads
    async def _next_day(self, tx: Tx) -> int | None:
        today_ms = tx.now_ms - tx.now_ms % DAY_MS
        since_ms = today_ms - (HORIZON_DAYS - 1) * DAY_MS
        counted = await insight.counted_days(tx, since_ms)
        for day_ms in await _days(tx, since_ms, today_ms):
            if day_ms not in counted:
                return day_ms
            if counted[day_ms][1] < day_ms + DAY_MS + SETTLED_MS <= tx.now_ms:
                return day_ms  # it was counted before it was over
        newest, (last, at_ms) = await events.newest_id(tx), counted.get(today_ms, (0, 0))
        return today_ms if newest != last and at_ms + self.recount_ms <= tx.now_ms else None

    @reads
    async def _counted(self, tx: Tx, day_ms: int) -> list[Figure]:
        newest = await events.newest_id(tx)  # before the rest: what happens meanwhile is counted again
        figures = await insight_count.between(tx, day_ms, day_ms + DAY_MS)
        return [Figure(Measure.COUNTED, "", newest, float(tx.now_ms)), *figures]

    @writes
    async def _store(self, tx: Tx, day_ms: int, figures: Sequence[Figure]) -> None:
        await insight.replace_day(tx, day_ms, figures)

    @reads
    async def figures(self, tx: Tx, days: int, actor: Actor = SYSTEM) -> InsightFigures:
        """The figures of the last `days` days, at most `HORIZON_DAYS`, today included.

        An actor of some teams gets those of their repositories; loads of models are of no repository.
        """
        names = visibility_of(self.settings(), actor).repositories.names
        today_ms = tx.now_ms - tx.now_ms % DAY_MS
        since_ms = today_ms - (min(days, HORIZON_DAYS) - 1) * DAY_MS
        shown = range(since_ms, today_ms + 1, DAY_MS)
        existing = await _days(tx, since_ms, today_ms)
        counted = await insight.counted_days(tx, since_ms)
        made_for = len(shown), names
        key, (known, made) = (since_ms, tuple(counted.items())), self._made.get(made_for, ((), None))
        if made is not None and known == key:
            return replace(made, missing=sum(day_ms not in counted for day_ms in existing))
        rows = [row for row in await self._rows(tx, counted) if names is None or row[1].repository in names]
        sums: dict[Measure, dict[str, dict[int, tuple[int, float]]]] = defaultdict(lambda: defaultdict(dict))
        for day_ms, figure in rows:
            by_day, day = sums[figure.measure][figure.name], (day_ms - since_ms) // DAY_MS
            count, total = by_day.get(day, (0, 0.0))
            by_day[day] = count + figure.count, total + figure.total
        timed = [((day_ms - since_ms) // DAY_MS, figure) for day_ms, figure in rows if figure.bins]
        last = counted.get(today_ms)
        made = InsightFigures(
            days=tuple(datetime.fromtimestamp(day_ms / 1000, UTC).date() for day_ms in shown),
            sums=sums,
            times=_times((figure.measure, figure.name, figure) for _, figure in timed),
            times_by_day=_times((figure.measure, day, figure) for day, figure in timed),
            counted_at=from_ms(last[1]) if last is not None else None,
            missing=sum(day_ms not in counted for day_ms in existing),
        )
        self._made[made_for] = (key, made)
        if len(self._made) > MAX_MADE:
            del self._made[next(iter(self._made))]
        return made

    async def _rows(self, tx: Tx, counted: Mapping[int, tuple[int, int]]) -> list[tuple[int, Figure]]:
        """The figures of the days that were counted; only those counted anew since the last call are read."""
        stale = [day_ms for day_ms, marker in counted.items() if self._cache.get(day_ms, ((), ()))[0] != marker]
        if stale:
            fresh: dict[int, list[Figure]] = {day_ms: [] for day_ms in counted if day_ms >= min(stale)}
            for day_ms, figure in await insight.since(tx, min(stale)):
                fresh.setdefault(day_ms, []).append(figure)
            for day_ms, figures in fresh.items():
                self._cache[day_ms] = (counted.get(day_ms, ()), figures)
        for day_ms in [day_ms for day_ms in self._cache if day_ms < min(counted, default=0) - HORIZON_DAYS * DAY_MS]:
            del self._cache[day_ms]
        return [(day_ms, figure) for day_ms in sorted(counted) for figure in self._cache[day_ms][1]]


async def _days(tx: Tx, since_ms: int, today_ms: int) -> Sequence[int]:
    """The days before today, from the first task on."""
    first = await insight.first_task_ms(tx, since_ms)
    return range(first - first % DAY_MS, today_ms, DAY_MS) if first is not None else ()


def _times(rows: Iterable[tuple[Measure, K, Figure]]) -> Mapping[Measure, Mapping[K, TimeFigures]]:
    """The quantiles of all figures of a measure with the same key."""
    bins: dict[tuple[Measure, K], dict[int, int]] = defaultdict(dict)
    for measure, key, figure in rows:
        merged = bins[measure, key]
        for each, count in figure.bins.items():
            merged[each] = merged.get(each, 0) + count
    times: dict[Measure, dict[K, TimeFigures]] = defaultdict(dict)
    for (measure, key), counts in bins.items():
        half, most = quantile(counts, 0.5) or 0.0, quantile(counts, 0.95) or 0.0
        times[measure][key] = TimeFigures(sum(counts.values()), half, most)
    return times
