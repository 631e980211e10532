"""Stores the artifacts of finished work by content, so that a worker that resumes the work has them too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from core.model.errors import CountersignError
from core.store.artifacts import ArtifactFiles


def artifact_files(scratch: Path) -> ArtifactFiles:
    """The artifact files of the home, whose folder is next to the scratch folder."""
    return ArtifactFiles(scratch.with_name("artifacts"))


async def store_artifacts(files: ArtifactFiles, artifacts: Mapping[str, bytes]) -> dict[str, str]:
    """Store artifacts; returns the sha256 of each by name, for a journal or a cache."""
    return {name: await files.write(content) for name, content in artifacts.items()}


async def load_artifacts(files: ArtifactFiles, names: Mapping[str, str]) -> tuple[dict[str, bytes], str]:
    """Load stored artifacts, with a note about missing ones (stored on another host, or removed)."""
    artifacts: dict[str, bytes] = {}
    for name, sha256 in names.items():
        try:
            artifacts[name] = await files.read(sha256)
        except CountersignError:
            continue
    missing = sorted(names.keys() - artifacts.keys())
    return artifacts, f"; missing here: {', '.join(missing)}" if missing else ""
