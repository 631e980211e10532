"""What of a repository steers agent programs: it is kept from them while they work, and is there again afterwards.

A repository's own settings can send a program's questions elsewhere, start its hooks and servers, or widen what it may
do (CVE-2026-21852, CVE-2025-61260). Programs have switches against some of that; this holds for all of it. What people
wrote for agents to read (``AGENTS.md``, ``CLAUDE.md``) stays: it is text, and gives no right. The list is
`core.model.steering`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.model.change import GITLINK
from core.model.steering import steers_agents
from lanes.executors.tree import TreeEdit, TreeFiles
from lanes.repository import GitRepository


@dataclass(frozen=True, slots=True)
class HiddenFiles:
    """The files of the tree `start` that are kept from a program, path to mode; `top` are the names at its top."""

    start: str
    steering: Mapping[str, str]
    top: frozenset[str]

    @classmethod
    async def of(cls, git: GitRepository, start: str) -> HiddenFiles:
        """What steers in `start`."""
        listed = await git.list_paths(start)
        modes = {path.decode("utf-8", "surrogateescape"): mode for path, (mode, _) in listed.items()}
        steering = {path: mode for path, mode in modes.items() if mode != GITLINK and steers_agents(path)}
        return cls(start, steering, frozenset(path.split("/", 1)[0] for path in modes))

    async def without(self, git: GitRepository) -> str:
        """The tree that a program is shown."""
        if not self.steering:
            return self.start
        return await git.rewrite(self.start, lambda _files: TreeEdit({}, frozenset(self.steering), {}))

    async def put_back(self, git: GitRepository, made: str, litter: tuple[str, ...]) -> str:
        """The tree `made` with all of them as they were, wherever a file can still be, and without the `litter`.

        Litter is what a program leaves at the top of its own accord, unless the repository has such a thing.
        """
        before: dict[str, bytes] = {}
        own = frozenset(litter) - self.top

        def read(files: TreeFiles) -> TreeEdit:
            before.update({path: files.read(path) or b"" for path in self.steering})
            return TreeEdit({}, frozenset(), {})

        def write(files: TreeFiles) -> TreeEdit:
            there = set(files.paths())
            folders = {parent for path in there for parent in _parents(path)}
            fit = {path for path in before if path not in folders and there.isdisjoint(_parents(path))}
            left = frozenset(path for path in there if path.split("/", 1)[0] in own)
            return TreeEdit({path: before[path] for path in fit}, left, {path: self.steering[path] for path in fit})

        if self.steering:
            await git.rewrite(self.start, read)
        if self.steering or own:
            return await git.rewrite(made, write)
        return made


def _parents(path: str) -> list[str]:
    """The folders above a path, the nearest last."""
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]
