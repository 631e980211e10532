"""Brings the git objects of a staged change into this host's store, whichever host made them."""

from __future__ import annotations

from core.ports.repository import Repository
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
    """Bring `base` from the remote and `tree` from the pack that is stored with the revision, if they are missing."""
    if not await repository.has(base):
        await repository.fetch_base()
    if await repository.has(tree):
        return
    pack = await database.read(lambda tx: artifacts.find(tx, number, revision, PACK))
    if pack is not None:
        await repository.unpack(await files.read(pack.sha256))
