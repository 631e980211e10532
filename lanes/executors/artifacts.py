"""Artifacts of finished work, kept by their content, so that whoever adopts the work has them too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from core.model.errors import CountersignError
from core.store.artifacts import ArtifactFiles


def files_beside(scratch: Path) -> ArtifactFiles:
    """The home's artifacts, which lie beside its scratch folder."""
    return ArtifactFiles(scratch.with_name("artifacts"))


async def kept(files: ArtifactFiles, artifacts: Mapping[str, bytes]) -> dict[str, str]:
    """Write them; the sha256 of each by its name, for a journal or a cache."""
    return {name: await files.write(content) for name, content in artifacts.items()}


async def adopted(files: ArtifactFiles, names: Mapping[str, str]) -> tuple[dict[str, bytes], str]:
    """The artifacts that `kept` wrote, and words about those that are gone: another host's, or cleared away."""
    found: dict[str, bytes] = {}
    for name, sha256 in names.items():
        try:
            found[name] = await files.read(sha256)
        except CountersignError:
            continue
    gone = sorted(names.keys() - found.keys())
    return found, f"; not here any more: {', '.join(gone)}" if gone else ""
