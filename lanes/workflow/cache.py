"""Results of steps kept by the hash of all that made them, each with its objects, so that git may forget them."""

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

MOST: Final = 1000
MOST_BYTES: Final = 256 * 1024 * 1024
MOST_ONE_BYTES: Final = 16 * 1024 * 1024
_DOMAIN: Final = "countersign-step-v2"
"""Changes whenever an executor of ours makes something else of the same step."""

_KEY: Final = re.compile(r"[0-9a-f]{64}")


def key_of(order: WorkOrder, step: WorkflowStep, values: Mapping[str, str], start: str, repository: str) -> str:
    """The 64 hex digits over all that decides what a step makes: itself, the values it uses, the tree it begins with.

    Step and lane by what they say, so that another version of the lane's file is another key; a step that reads what
    people said has that in its key too.
    """
    lane = order.lane
    by_rule = step.run in (EDIT, COMMAND, CHECK, REVERT)
    said = {
        "domain": _DOMAIN,
        "repository": repository,
        "version": lane.version,
        "step": {**asdict(step), "retries": 0, "needs": ()},
        "lane": [lane.write, lane.environment, asdict(lane.isolation), lane.models, list(map(asdict, lane.checks))],
        "said": [] if by_rule else [order.intent.text, *(turn.text for turn in order.turns), order.feedback],
        "values": dict(values),
        "start": start,
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a step: the tree it made, and the sha256 of each of its files by name."""

    tree: str
    files: Mapping[str, str] = field(default_factory=dict)


class StepCache:
    """Kept results below `root`: at most `most` of them and `most_bytes` in all; the longest unused go first.

    Two programs may use one at the same time. What cannot be read is not there.
    """

    def __init__(self, root: Path, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._root, self._most, self._most_bytes = root, most, most_bytes

    async def find(self, key: str, repository: Repository) -> Kept | None:
        """What is kept under `key`, its tree's objects in the repository's store again."""
        content = await asyncio.to_thread(self._read, key)
        if not content:
            return None
        head, _, pack = content.partition(b"\n")
        try:
            said = json.loads(head)
            kept = Kept(str(said["tree"]), {str(name): str(sha256) for name, sha256 in said["files"].items()})
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        return kept if await restored(kept.tree, pack, repository) else None

    async def keep(self, key: str, start: str, made: Kept, repository: Repository) -> None:
        """Keep what a step made of the tree `start`; what is too large to be worth it is not kept."""
        head = json.dumps({"tree": made.tree, "files": dict(made.files)}).encode()
        content = head + b"\n" + await packed(start, made.tree, repository)
        if len(content) <= MOST_ONE_BYTES:
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
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(draft).replace(path)
        self._sweep()

    def _sweep(self) -> None:
        """Remove the longest unused until the rest is within bounds; another program may be at it too."""
        found = []
        for path in self._root.glob("??/*"):
            with contextlib.suppress(OSError):
                known = path.stat()
                found.append((known.st_mtime_ns, known.st_size, path))
        found.sort(reverse=True)
        total = 0
        for n, (_, size, path) in enumerate(found, 1):
            total += size
            if n > self._most or total > self._most_bytes:
                path.unlink(missing_ok=True)


async def packed(start: str, tree: str, repository: Repository) -> bytes:
    """The objects that a tree has beyond those of `start`."""
    return b"" if tree == start else await repository.pack(start, tree)


async def restored(tree: str, pack: bytes, repository: Repository) -> bool:
    """Whether the tree that `packed` wrote has its objects in the store, now at least."""
    if not re.fullmatch("[0-9a-f]{40}", tree):
        return False
    if not await repository.has(tree) and pack:
        await repository.unpack(pack)
    return await repository.has(tree)
