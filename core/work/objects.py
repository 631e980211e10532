"""The produced objects beside git's store: kept as a pack, so that another host, or this one after a loss, has them."""

from __future__ import annotations

from core.job import Job
from core.objects import PACK, bring_objects
from core.ports import Repository
from core.work.workshop import Workshop


async def keep_objects(shop: Workshop, job: Job, repository: Repository, base: str, tree: str) -> None:
    """Store what `tree` has and `base` lacks as an artifact of the job's revision."""
    await shop.keep_artifact(job, PACK, await repository.pack(base, tree))


async def have_objects(
    shop: Workshop, repository: Repository, number: int, revision: int, base: str, tree: str
) -> None:
    """Bring `base` and `tree` of a revision into this host's store, wherever they were made."""
    await bring_objects(shop.database, shop.files, repository, number, revision, base, tree)
