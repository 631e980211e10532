"""The produced objects beside git's store: kept as a pack, so that another host, or this one after a loss, has them."""

from __future__ import annotations

from core.job import Job
from core.ports import Repository
from core.store import artifacts
from core.work.workshop import Workshop

PACK = "change.pack"


async def keep_objects(shop: Workshop, job: Job, repository: Repository, base: str, tree: str) -> None:
    """Store what `tree` has and `base` lacks as an artifact of the job's revision."""
    await shop.keep_artifact(job, PACK, await repository.pack(base, tree))


async def have_objects(
    shop: Workshop, repository: Repository, number: int, revision: int, base: str, tree: str
) -> None:
    """Bring `base` and `tree` of a revision into this host's store, wherever they were made."""
    if not await repository.has(base):
        await repository.fetch_base()
    if await repository.has(tree):
        return
    kept = await shop.database.read(lambda session: artifacts.find(session, number, revision, PACK))
    if kept is not None:
        await repository.unpack(await shop.files.read(kept.sha256))
