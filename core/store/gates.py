"""Gates: which jobs may run now, as a condition in the claim's statement, and which are to be parked and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from core.model.job import JobKind, JobState
from core.model.limits import COUNTED_WHEN_RUNNING, USES_MODELS, Limit, LimitScope, QueueKeys
from core.model.parking import Gate, GateKind
from core.model.person import People
from core.store.tables import JobRow
from core.store.turns import has_state, is_claimable
from core.store.unit_of_work import Tx

_COLUMN = {LimitScope.PERSON: "person", LimitScope.LANE: "lane", LimitScope.REPOSITORY: "repository"}


@dataclass(frozen=True, slots=True)
class Gates:
    """What may keep ready jobs from being claimed: limits of what runs at once, and what is `closed` for now.

    `closed` are pauses, and limits of a day that are used up.
    """

    limits: tuple[Limit, ...]
    people: People
    closed: frozenset[Gate] = frozenset()

    @property
    def counts_running(self) -> bool:
        """Whether a claim depends on what runs, and so must see every claim before it."""
        return any(limit.running is not None for limit in self.limits)

    def condition(self) -> Callable[[Any], ColumnElement[bool]] | None:
        """The condition on a row with the columns of a job that it may run now; None if every job may."""
        if not self.closed and not self.counts_running:
            return None
        return lambda job: and_(*self._conditions(job))

    def blocking(self, about: QueueKeys, kind: str, running: Counter[tuple[str, str]]) -> Gate | None:
        """The first gate that keeps a job of this kind from running; `running` is what `running_now` returned."""
        for gate in sorted(self.closed, key=str):
            if kind in _kinds_of(gate.kind) and gate.key in self._keys(gate, about):
                return gate
        for limit in self.limits:
            if limit.running is None or kind not in COUNTED_WHEN_RUNNING:
                continue
            for key in limit.keys_of(about, self.people):
                if running[limit.name, key] >= limit.running:
                    return Gate(GateKind.RUNNING, limit.name, key)
        return None

    def free(self, gate: Gate, running: Counter[tuple[str, str]], most: int) -> int:
        """How many jobs that are parked for this gate may go on, at most `most`."""
        if gate in self.closed:
            return 0
        limits = [limit for limit in self.limits if limit.name == gate.limit and limit.running is not None]
        if gate.kind is not GateKind.RUNNING or not limits:
            return most
        limit = limits[0]
        return min(most, max(0, (limit.running or 0) - running[limit.name, gate.key]))

    async def running_now(self, tx: Tx) -> Counter[tuple[str, str]]:
        """How many jobs run now, by limit and key."""
        counted: Counter[tuple[str, str]] = Counter()
        rows = await tx.session.execute(
            select(JobRow.person, JobRow.lane, JobRow.repository).where(
                has_state(JobState.RUNNING), col(JobRow.kind).in_(COUNTED_WHEN_RUNNING)
            )
        )
        for person, lane, repository in rows:
            for limit in self.limits:
                for key in limit.keys_of(QueueKeys(person, lane, repository), self.people):
                    counted[limit.name, key] += 1
        return counted

    def _keys(self, gate: Gate, about: QueueKeys) -> Iterable[str]:
        if gate.kind is GateKind.PAUSE:
            return [key for key in (about.lane if gate.limit == "lane" else about.repository,) if key]
        return [key for limit in self.limits if limit.name == gate.limit for key in limit.keys_of(about, self.people)]

    def _conditions(self, job: Any) -> Iterable[ColumnElement[bool]]:
        for limit in self.limits:
            if limit.running is not None:
                uncounted = job.kind.not_in(COUNTED_WHEN_RUNNING)
                yield from (or_(uncounted, has_room) for has_room in self._room(job, limit, limit.running))
        for gate in self.closed:
            others = job.kind.not_in(_kinds_of(gate.kind))
            yield or_(others, self._is_of_other_key(job, gate))

    def _room(self, job: Any, limit: Limit, most: int) -> Iterable[ColumnElement[bool]]:
        """For each column that the limit counts by: that the job is not of it, or fewer than `most` run."""
        other = aliased(JobRow)
        running = select(func.count()).where(
            has_state(JobState.RUNNING, of=other), col(other.kind).in_(COUNTED_WHEN_RUNNING)
        )
        for members in limit.teams(self.people).values():
            count = running.where(col(other.person).in_(members)).scalar_subquery()
            yield or_(job.person.not_in(members), count < most)
        for names in limit.repositories(self.people).values():
            count = running.where(col(other.repository).in_(names)).scalar_subquery()
            yield or_(job.repository.is_(None), job.repository.not_in(names), count < most)
        if limit.scope is not LimitScope.TEAM:
            mine = getattr(job, _COLUMN[limit.scope])
            count = running.where(col(getattr(other, _COLUMN[limit.scope])) == mine).scalar_subquery()
            is_other = [mine.is_(None)] if limit.keys is None else [mine.is_(None), mine.not_in(sorted(limit.keys))]
            yield or_(*is_other, count < most)

    def _is_of_other_key(self, job: Any, gate: Gate) -> ColumnElement[bool]:
        if gate.kind is GateKind.PAUSE:
            column = job.lane if gate.limit == "lane" else job.repository
            return or_(column.is_(None), column != gate.key)
        for limit in self.limits:
            if limit.name == gate.limit and (names := limit.repositories(self.people).get(gate.key)) is not None:
                return or_(job.repository.is_(None), job.repository.not_in(names))
            if limit.name == gate.limit and limit.scope is LimitScope.TEAM:
                return and_(job.person.not_in(limit.teams(self.people).get(gate.key, ())))
            if limit.name == gate.limit:
                column = getattr(job, _COLUMN[limit.scope])
                return or_(column.is_(None), column != gate.key)
        return func.coalesce(job.kind, "") != ""  # the limit was removed meanwhile


async def parked_gates(tx: Tx, limit: int) -> list[Gate]:
    """The gates for which jobs are parked now, at most `limit`; the cost does not depend on the number of jobs."""
    parked, is_parked = col(JobRow.parked), (has_state(JobState.READY), col(JobRow.parked).is_not(None))
    steps = select(func.min(parked).label("parked")).where(*is_parked).cte("steps", recursive=True)
    following = select(func.min(parked)).where(*is_parked, parked > steps.c.parked).scalar_subquery()
    steps = steps.union_all(select(following).where(steps.c.parked.is_not(None)))
    rows: Any = await tx.session.execute(select(steps.c.parked).where(steps.c.parked.is_not(None)).limit(limit))
    return [gate for row in rows if (gate := Gate.parse(str(row[0]))) is not None]


async def first_blocked(
    tx: Tx, gates: Gates, keys: Collection[str], running: Counter[tuple[str, str]], limit: int
) -> tuple[Mapping[Gate, list[str]], int]:
    """Of the first `limit` jobs by rank, those that may not run now, by gate; and how many were looked at."""
    blocked: dict[Gate, list[str]] = {}
    looked = 0
    for key in keys:
        rows = await tx.session.execute(
            select(  # type: ignore[call-overload]  # SQLModel's overloads end at four columns
                col(JobRow.id), col(JobRow.kind), col(JobRow.person), col(JobRow.lane), col(JobRow.repository)
            )
            .where(*is_claimable(), JobRow.capabilities == key)
            .order_by(col(JobRow.rank_ms), col(JobRow.id))
            .limit(limit)
        )
        for job_id, kind, person, lane, repository in rows:
            looked += 1
            gate = gates.blocking(QueueKeys(person, lane, repository), kind, running)
            if gate is not None:
                blocked.setdefault(gate, []).append(job_id)
    return blocked, looked


def _kinds_of(kind: GateKind) -> tuple[str, ...]:
    """The kinds of jobs that a gate of this kind is for; a pause is for all of them."""
    if kind is GateKind.PAUSE:
        return tuple(JobKind)
    return USES_MODELS if kind is GateKind.DAY else COUNTED_WHEN_RUNNING
