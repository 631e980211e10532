"""The produced objects beside git's store: kept as a pack, so that another host, or this one after a loss, has them."""

from __future__ import annotations

from core.jobs.job_context import JobContext
from core.model.job import Job
from core.ports.repository import Repository
from core.store.git_objects import PACK, bring_objects


async def keep_objects(context: JobContext, job: Job, repository: Repository, base: str, tree: str) -> None:
    """Store what `tree` has and `base` lacks as an artifact of the job's revision."""
    await context.keep_artifact(job, PACK, await repository.pack(base, tree))


async def have_objects(
    context: JobContext, repository: Repository, number: int, revision: int, base: str, tree: str
) -> None:
    """Bring `base` and `tree` of a revision into this host's store, wherever they were made."""
    await bring_objects(context.database, context.files, repository, number, revision, base, tree)
