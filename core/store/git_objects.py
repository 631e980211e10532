"""Bringing the objects of a staged change into this host's store, wherever they were made."""

from __future__ import annotations

from core.ports import Repository
from core.store import artifacts
from core.store.artifacts import ArtifactFiles
from core.store.database import Database

PACK = "change.pack"


async def bring_objects(
    database: Database,
    files: ArtifactFiles,
    repository: Repository,
    number: int,
    revision: int,
    base: str,
    tree: str,
) -> None:
    """Have `base` and `tree` of a revision here: from the remote, and from the pack kept with the revision."""
    if not await repository.has(base):
        await repository.fetch_base()
    if await repository.has(tree):
        return
    kept = await database.read(lambda tx: artifacts.find(tx, number, revision, PACK))
    if kept is not None:
        await repository.unpack(await files.read(kept.sha256))
