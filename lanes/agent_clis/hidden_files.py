"""Hides repository files that configure agent programs while a program works, and restores them afterwards.

A repository's own settings can redirect a program's requests, start hooks and servers, or widen its permissions
(CVE-2026-21852, CVE-2025-61260). Programs have switches against some of that; hiding the files covers all of it.
Instructions for agents (``AGENTS.md``, ``CLAUDE.md``) stay: they are text and grant nothing. The list of files is
`core.model.protected_files`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.model.change import GITLINK
from core.model.protected_files import steers_agents
from lanes.executors.tree import TreeEdit, TreeFiles
from lanes.repository import GitRepository


@dataclass(frozen=True, slots=True)
class HiddenFiles:
    """The hidden files of the tree `start`, path to mode; `top_names` are the names at the tree's top level."""

    start: str
    modes: Mapping[str, str]
    top_names: frozenset[str]

    @classmethod
    async def find(cls, git: GitRepository, start: str) -> HiddenFiles:
        """Find the files to hide in the tree `start`."""
        listed = await git.list_paths(start)
        all_modes = {path.decode("utf-8", "surrogateescape"): mode for path, (mode, _) in listed.items()}
        hidden = {path: mode for path, mode in all_modes.items() if mode != GITLINK and steers_agents(path)}
        return cls(start, hidden, frozenset(path.split("/", 1)[0] for path in all_modes))

    async def hide(self, git: GitRepository) -> str:
        """The tree without the hidden files."""
        if not self.modes:
            return self.start
        return await git.rewrite(self.start, lambda _files: TreeEdit({}, frozenset(self.modes), {}))

    async def restore(self, git: GitRepository, tree: str, leftovers: tuple[str, ...]) -> str:
        """The tree `tree` with the hidden files restored and the `leftovers` removed.

        A hidden file stays away where the program made a folder of its name or a file of its folder's. Leftovers are
        what the program itself leaves at the top level; names that the repository has there are never removed.
        """
        contents: dict[str, bytes] = {}
        removable = frozenset(leftovers) - self.top_names

        def read(files: TreeFiles) -> TreeEdit:
            contents.update({path: files.read(path) or b"" for path in self.modes})
            return TreeEdit({}, frozenset(), {})

        def write(files: TreeFiles) -> TreeEdit:
            paths = set(files.paths())
            folders = {parent for path in paths for parent in _parents(path)}
            restored = {path for path in contents if path not in folders and paths.isdisjoint(_parents(path))}
            removed = frozenset(path for path in paths if path.split("/", 1)[0] in removable)
            return TreeEdit(
                {path: contents[path] for path in restored}, removed, {path: self.modes[path] for path in restored}
            )

        if self.modes:
            await git.rewrite(self.start, read)
        if self.modes or removable:
            return await git.rewrite(tree, write)
        return tree


def _parents(path: str) -> list[str]:
    """The folders that contain a path, outermost first."""
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]
