"""Shared runs: jobs with the same inputs at the same time share one run of the executor.

`run_key` is the hash of these inputs. Of the unfinished jobs with one key, one runs and the others wait; when it has a
result, they get a copy of it with its artifacts, and when it ends without one, the next of them runs.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import text, update
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from core.model.change_result import ChangeResult
from core.model.errors import LostClaimError
from core.model.job import Job, JobState
from core.store import jobs, turns
from core.store.tables import ArtifactRow, JobRow
from core.store.unit_of_work import Tx

_LEADS = (JobState.READY.value, JobState.RUNNING.value)
"""States in which a job with a key runs or will run again; one that waits for it is `waiting`."""


async def join(tx: Tx, job: Job, key: str) -> tuple[int | None, bool]:
    """Enter a claimed job under `key`: (the task whose run it shares, whether that has its result already).

    (None, False) means that the job runs itself. Raises `LostClaimError` if the claim is lost.
    """
    await _lock(tx, key)
    await jobs.check_claim(tx, job)
    await tx.session.execute(update(JobRow).where(col(JobRow.id) == job.id).values(run_key=key))
    query = (
        select(JobRow)
        .where(JobRow.run_key == key, JobRow.id != job.id, col(JobRow.state).in_(_LEADS))
        .order_by(col(JobRow.result).is_(None), col(JobRow.created_ms), col(JobRow.id))
    )
    leader = (await tx.session.exec(query.limit(1))).first()
    if leader is None:
        return None, False
    if leader.result is not None:
        await _adopt(tx, leader, job.id, job.number, job.revision)
        return leader.number, True
    return leader.number, False


async def wait_for_run(tx: Tx, job: Job) -> None:
    """Return a claimed job to wait for the run that it shares; its next attempt begins when that is over."""
    values = {"state": JobState.WAITING.value, "owner": None, "after": None, "attempt": job.attempt + 1}
    result = await tx.session.execute(
        update(JobRow)
        .where(col(JobRow.id) == job.id, col(JobRow.fence) == job.fence, col(JobRow.owner) == job.owner)
        .values(**values)
    )
    if int(getattr(result, "rowcount", -1)) != 1:
        raise LostClaimError("lost_claim", f"job {job.id} was taken over or cancelled")


async def sharers(tx: Tx, job: Job) -> list[JobRow]:
    """The waiting jobs that share the run of `job`, locked."""
    own = (await tx.session.exec(select(JobRow.run_key).where(JobRow.id == job.id))).first()
    if own is None:
        return []
    await _lock(tx, own)
    query = select(JobRow).where(JobRow.run_key == own, JobRow.state == JobState.WAITING.value)
    return list(await tx.session.exec(query.order_by(col(JobRow.id)).with_for_update()))


async def give(tx: Tx, job: Job, followers: list[JobRow], result: ChangeResult) -> None:
    """Give the result of `job` to the jobs that share its run, and make them ready; a part of keeping the result."""
    for follower in followers:
        follower.result = _shared(result, job.number).to_json()
        await _copy_artifacts(tx, job.number, job.revision, follower.id, follower.number, follower.revision)
        tx.session.add(follower)
    await tx.session.flush()
    await turns.make_claimable(tx, [each.id for each in followers], ready_ms=tx.now_ms)


async def release_stranded(tx: Tx) -> int:
    """Make jobs ready that wait for a run which ended without a result for them; returns their number."""
    other = aliased(JobRow)
    leads = (
        select(other)
        .where(col(other.run_key) == col(JobRow.run_key), col(other.state).in_(_LEADS))
        .correlate(JobRow)
        .exists()
    )
    stranded = await tx.session.exec(
        select(JobRow.id).where(col(JobRow.run_key).is_not(None), turns.has_state(JobState.WAITING), ~leads)
    )
    return await turns.make_claimable(tx, list(stranded), ready_ms=tx.now_ms)


async def any_stranded(tx: Tx) -> bool:
    """Whether any job waits for a run that it shares; reads only."""
    query = select(JobRow.id).where(col(JobRow.run_key).is_not(None), turns.has_state(JobState.WAITING))
    return (await tx.session.exec(query.limit(1))).first() is not None


async def run_of(tx: Tx, job_id: str) -> int | None:
    """The task whose run a waiting job shares, or None."""
    key = (await tx.session.exec(select(JobRow.run_key).where(JobRow.id == job_id))).first()
    if key is None:
        return None
    query = select(JobRow.number).where(JobRow.run_key == key, col(JobRow.state).in_(_LEADS))
    return (await tx.session.exec(query.order_by(col(JobRow.created_ms)).limit(1))).first()


async def _lock(tx: Tx, key: str) -> None:
    """Let only one transaction at a time look at the jobs of a key; SQLite has one writer anyway."""
    if tx.session.get_bind().dialect.name == "postgresql":
        await tx.session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": int(key[:15], 16)})


def _shared(result: ChangeResult, number: int) -> ChangeResult:
    """The result as a task that shares the run of `number` gets it."""
    made_by = result.provenance.run_of or number
    return replace(result, provenance=replace(result.provenance, run_of=made_by))


async def _adopt(tx: Tx, leader: JobRow, job_id: str, number: int, revision: int) -> None:
    result = _shared(ChangeResult.from_json(leader.result or {}), leader.number)
    await tx.session.execute(update(JobRow).where(col(JobRow.id) == job_id).values(result=result.to_json()))
    await _copy_artifacts(tx, leader.number, leader.revision, job_id, number, revision)


async def _copy_artifacts(tx: Tx, from_: int, from_revision: int, job_id: str, to: int, to_revision: int) -> None:
    """Record the artifacts of one task's run for another task too; the files are stored once by their hash."""
    query = select(ArtifactRow).where(ArtifactRow.number == from_, ArtifactRow.revision == from_revision)
    for row in list(await tx.session.exec(query)):
        copy = ArtifactRow(**{**row.model_dump(), "number": to, "revision": to_revision, "job_id": job_id})
        await tx.session.merge(copy)
