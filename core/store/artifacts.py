"""Artifacts: files kept with a task, stored once under their own sha256."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from pathlib import Path

from sqlmodel import col, select

from core.model.artifact import Artifact
from core.model.errors import NotFoundError, PermanentError, TransientError
from core.store.tables import ArtifactRow
from core.store.unit_of_work import Tx


class ArtifactFiles:
    """The bytes, under ``<root>/ab/cdef…``; writing the same bytes twice is one file."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def write(self, content: bytes) -> str:
        """Store `content` durably and return its sha256."""
        return await asyncio.to_thread(self._write, content)

    async def read(self, sha256: str) -> bytes:
        """The bytes named `sha256`; raises when they are gone or are not what they were."""
        return await asyncio.to_thread(self._read, sha256)

    def _path(self, sha256: str) -> Path:
        return self._root / sha256[:2] / sha256[2:]

    def _write(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        path = self._path(sha256)
        try:
            if path.exists():
                return sha256
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).replace(path)
        except OSError as error:
            raise TransientError(
                "artifact_not_written", f"{path}: {error.strerror}", "Free some disk space or mend its rights."
            ) from error
        return sha256

    def _read(self, sha256: str) -> bytes:
        try:
            content = self._path(sha256).read_bytes()
        except FileNotFoundError as error:
            raise NotFoundError(
                "artifact_gone", f"the file {sha256[:12]} is not in the home", "Restore it from a backup."
            ) from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise PermanentError(
                "artifact_changed", f"the file {sha256[:12]} was changed on disk", "Restore it from a backup."
            )
        return content


async def record(tx: Tx, row: ArtifactRow) -> None:
    """Note that an artifact belongs to a revision; a later one of the same name takes its place."""
    await tx.session.merge(row)
    await tx.session.flush()


async def of_task(tx: Tx, number: int) -> tuple[Artifact, ...]:
    """All artifacts of a task, by revision and name."""
    rows = await tx.session.exec(
        select(ArtifactRow)
        .where(ArtifactRow.number == number)
        .order_by(col(ArtifactRow.revision), col(ArtifactRow.name))
    )
    return tuple(Artifact(r.name, r.sha256, r.size_bytes, r.revision) for r in rows)


async def find(tx: Tx, number: int, revision: int, name: str) -> Artifact | None:
    """The artifact called `name` of one revision, or None."""
    row = await tx.session.get(ArtifactRow, (number, revision, name))
    return Artifact(row.name, row.sha256, row.size_bytes, row.revision) if row else None
