"""Caches step results by a hash of their inputs, with their git objects, so that git may delete them meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from core.model.workflow import CHECK, COMMAND, EDIT, REVERT, WorkflowStep
from core.ports.executor import WorkOrder
from core.ports.repository import Repository

MAX_RESULTS: Final = 1000
MAX_TOTAL_BYTES: Final = 256 * 1024 * 1024
MAX_RESULT_BYTES: Final = 16 * 1024 * 1024
_DOMAIN: Final = "countersign-step-v2"
"""Change this whenever a built-in executor produces another result for the same step."""

_KEY: Final = re.compile(r"[0-9a-f]{64}")


def step_key(order: WorkOrder, step: WorkflowStep, values: Mapping[str, str], start: str, repository: str) -> str:
    """The cache key (64 hex digits): a hash of the step, the values it uses, and its start tree.

    Step and lane are hashed by content, so another version of a lane's file has other keys. A step that reads the
    request has the conversation in its key too.
    """
    lane = order.lane
    is_deterministic = step.run in (EDIT, COMMAND, CHECK, REVERT)
    inputs = {
        "domain": _DOMAIN,
        "repository": repository,
        "version": lane.version,
        "step": {**asdict(step), "retries": 0, "needs": ()},
        "lane": [lane.write, lane.environment, asdict(lane.isolation), lane.models, list(map(asdict, lane.checks))],
        "said": [] if is_deterministic else [order.intent.text, *(turn.text for turn in order.turns), order.feedback],
        "values": dict(values),
        "start": start,
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class CachedStep:
    """A cached result: the tree, and the sha256 of each artifact by name."""

    tree: str
    files: Mapping[str, str] = field(default_factory=dict)


class StepCache:
    """Cached results below `root`, at most `max_results` and `max_bytes` in all; evicts the least recently used.

    Several processes may use one cache. An unreadable entry counts as missing.
    """

    def __init__(self, root: Path, max_results: int = MAX_RESULTS, max_bytes: int = MAX_TOTAL_BYTES) -> None:
        self._root, self._max_results, self._max_bytes = root, max_results, max_bytes

    async def find(self, key: str, repository: Repository) -> CachedStep | None:
        """The result stored under `key`, None without one; restores the objects of its tree in the repository."""
        content = await asyncio.to_thread(self._read, key)
        if not content:
            return None
        head, _, pack = content.partition(b"\n")
        try:
            header = json.loads(head)
            cached = CachedStep(
                str(header["tree"]), {str(name): str(sha256) for name, sha256 in header["files"].items()}
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        return cached if await restore_tree(cached.tree, pack, repository) else None

    async def store(self, key: str, start: str, result: CachedStep, repository: Repository) -> None:
        """Store a step's result for the tree `start`, unless it is too large."""
        head = json.dumps({"tree": result.tree, "files": dict(result.files)}).encode()
        content = head + b"\n" + await pack_objects(start, result.tree, repository)
        if len(content) <= MAX_RESULT_BYTES:
            await asyncio.to_thread(self._write, key, content)

    def _path(self, key: str) -> Path:
        assert _KEY.fullmatch(key)
        return self._root / key[:2] / key

    def _read(self, key: str) -> bytes | None:
        path = self._path(key)
        try:
            content = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        return content

    def _write(self, key: str, content: bytes) -> None:
        path = self._path(key)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd, draft = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        with os.fdopen(fd, "wb") as file:
            file.write(content)
        Path(draft).replace(path)
        self._evict()

    def _evict(self) -> None:
        """Remove the least recently used results until the rest is within bounds; other processes may do so too."""
        entries = []
        for path in self._root.glob("??/*"):
            with contextlib.suppress(OSError):
                status = path.stat()
                entries.append((status.st_mtime_ns, status.st_size, path))
        entries.sort(reverse=True)
        total = 0
        for n, (_, size, path) in enumerate(entries, 1):
            total += size
            if n > self._max_results or total > self._max_bytes:
                path.unlink(missing_ok=True)


async def pack_objects(start: str, tree: str, repository: Repository) -> bytes:
    """A pack of the objects that a tree has beyond those of `start`."""
    return b"" if tree == start else await repository.pack(start, tree)


async def restore_tree(tree: str, pack: bytes, repository: Repository) -> bool:
    """Unpack the objects of a tree if the store lacks them; True if it has the tree now."""
    if not re.fullmatch("[0-9a-f]{40}", tree):
        return False
    if not await repository.has(tree) and pack:
        await repository.unpack(pack)
    return await repository.has(tree)
