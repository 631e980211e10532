"""The files of a git tree with the model's changes, all in memory.

Since nothing is on disk, no link is followed, no path leaves the repository, and a failed try needs no cleanup.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from core.model.change import EXECUTABLE, REGULAR, show_path
from core.model.lane import Limits
from core.model.repository_path import PathError, check_path
from lanes.builtin_agent.withheld_text import WithheldText
from lanes.executors.errors import EditError
from lanes.executors.tree import MAX_FILE_BYTES, MAX_WRITTEN_BYTES, matching_paths, suggest_path
from lanes.repository import GitRepository

_PLAIN: Final = (REGULAR, EXECUTABLE)

Refusal = Callable[[str], str]
"""Returns why the guard would block any change of a path, to continue a sentence with the path; "" if it would not."""


def refuses_nothing(_path: str) -> str:
    """A `Refusal` for use without a guard."""
    return ""


@dataclass(slots=True)
class VirtualWorkspace:
    """The files of `tree`; the change is measured from the commit `base`.

    `may_write` are the lane's globs and `limits` its limits. `refusal` tells why the guard would block a path, and
    `withheld` which texts the model must not see.
    """

    git: GitRepository
    tree: str
    may_write: tuple[str, ...]
    base: str
    limits: Limits
    refusal: Refusal
    withheld: WithheldText
    _entries: dict[str, tuple[str, str]] = field(default_factory=dict)
    _earlier: dict[str, int] = field(default_factory=dict)
    """The sizes of the files that earlier revisions changed; 0 for one that they deleted."""
    _written: dict[str, bytes] = field(default_factory=dict)
    _removed: set[str] = field(default_factory=set)

    async def open(self) -> None:
        """List the tree; call it once, before any other method."""
        self._entries = await self._list_entries(self.tree)
        before = await self._list_entries(self.base)
        changed = [path for path in before.keys() | self._entries if before.get(path) != self._entries.get(path)]
        present = [path for path in changed if self._entries.get(path, ("",))[0] in _PLAIN]
        contents = await self.git.read_files(self.tree, present, MAX_FILE_BYTES)
        self._earlier = {path: len(contents.get(path, b"")) for path in changed}

    def refused_paths(self) -> list[str]:
        """The files that the lane's globs cover but that must not be changed, sorted."""
        covered = {path for glob in self.may_write for path in matching_paths(glob.removeprefix("/"), self.paths())}
        return sorted(path for path in covered if self.refusal(path))

    async def _list_entries(self, tree: str) -> dict[str, tuple[str, str]]:
        entries = await self.git.list_paths(tree)
        return {path.decode("utf-8", "surrogateescape"): entry for path, entry in entries.items()}

    def paths(self, glob: str = "**") -> list[str]:
        """The paths that match an anchored glob, sorted."""
        present = sorted((self._entries.keys() - self._removed) | self._written.keys())
        return present if glob in ("", "**") else matching_paths(glob, present)

    async def text(self, path: str) -> str:
        """The text of a regular file; raises `EditError` that says what to do instead."""
        content = await self._content(path)
        if b"\0" in content:
            raise EditError("unsupported_format", f"{show(path)} is not a text file", "Leave it as it is.")
        text = content.decode("utf-8", "surrogateescape")
        await self.withheld.check(path, text, show(path))
        return text

    async def texts(self, paths: list[str]) -> Iterator[tuple[str, str]]:
        """The texts of those `paths` that are regular text files, withheld ones included, with one read from git."""
        unread = [path for path in paths if path not in self._written and self._entries.get(path, ("",))[0] in _PLAIN]
        contents = await self.git.read_files(self.tree, unread, MAX_FILE_BYTES)
        contents.update({path: self._written[path] for path in paths if path in self._written})
        return (
            (path, contents[path].decode("utf-8", "surrogateescape"))
            for path in paths
            if path in contents and b"\0" not in contents[path]
        )

    def write(self, path: str, text: str) -> None:
        """Write a file; raises `EditError` if the lane may not write it."""
        self._check(path)
        content = text.encode("utf-8", "surrogateescape" if path in self._entries else "strict")
        self._check_size(path, len(content))
        if path not in self._entries or path in self._removed:
            self._check_free(path)
        self._removed.discard(path)
        self._written[path] = content

    def remove(self, path: str) -> None:
        """Delete a file; raises `EditError` if the lane may not write it."""
        self._check(path)
        self._require(path)
        if path in self._entries:
            self._check_count(path)
        self._written.pop(path, None)
        if path in self._entries:
            self._removed.add(path)

    async def result(self) -> str:
        """The tree with all changes."""
        if not (self._written or self._removed):
            return self.tree
        modes: Mapping[str, str] = {}
        return await self.git.write_tree(self.tree, self._written, self._removed, modes)

    def _check(self, path: str) -> None:
        """Raise `EditError` for a path that the guard would refuse, so that the model can choose another."""
        try:
            check_path(path)
        except PathError as error:
            raise EditError(
                "bad_path", str(error), "Give a path from the repository's root, such as docs/a.md."
            ) from error
        if self._entries.get(path, (REGULAR,))[0] not in _PLAIN:
            raise EditError("unsupported_format", f"{show(path)} is a link or a submodule", "Leave it as it is.")
        if not any(matching_paths(glob.removeprefix("/"), [path]) for glob in self.may_write):
            globs = ", ".join(self.may_write)
            raise EditError("outside_lane", f"{show(path)} may not be written in this lane", f"You may write: {globs}.")
        if reason := self.refusal(path):
            raise EditError("refused_path", f"{show(path)} {reason}", "Work without it, and say so when you finish.")

    def _check_size(self, path: str, size: int) -> None:
        """Raise `EditError` if the change would exceed the lane's limits."""
        self._check_count(path)
        limit = min(self.limits.file_bytes, MAX_FILE_BYTES)
        if size > limit:
            raise EditError("too_large", f"{show(path)} would have {size:,} bytes, at most {limit:,} bytes in a file")
        sizes = {path: size for path, size in self._earlier.items() if path not in self._removed}
        sizes |= {path: len(content) for path, content in self._written.items()} | {path: size}
        total, limit = sum(sizes.values()), min(self.limits.bytes, MAX_WRITTEN_BYTES)
        if total > limit:
            message = f"with {show(path)} the change would have {total:,} bytes, at most {limit:,} bytes in all"
            raise EditError("too_large", message, "The lane may not write that much: write less.")

    def _check_count(self, path: str) -> None:
        """Raise `EditError` if changing `path` exceeds the number of files that the lane may change."""
        changed = self._earlier.keys() | self._written.keys() | self._removed | {path}
        if len(changed) > self.limits.files:
            message = (
                f"{show(path)} would be file {len(changed)} of the change, at most {self.limits.files:,} files in all"
            )
            raise EditError("too_many_files", message, "Change fewer files.")

    def _check_free(self, path: str) -> None:
        parts = path.split("/")
        for count in range(1, len(parts)):
            if self._has(folder := "/".join(parts[:count])):
                raise EditError("exists", f"{show(folder)} is a file, so {show(path)} cannot exist")
        if any(other.startswith(path + "/") for other in self.paths()):
            raise EditError("exists", f"{show(path)} is a folder", "Name the file in it.")

    def _has(self, path: str) -> bool:
        return path in self._written or (path in self._entries and path not in self._removed)

    def _require(self, path: str) -> None:
        if not self._has(path):
            mend = suggest_path(path, self.paths()) or "Call list_files to see what there is."
            raise EditError("no_such_file", f"There is no file {show(path)}", mend)

    async def _content(self, path: str) -> bytes:
        self._require(path)
        if path in self._written:
            return self._written[path]
        mode, oid = self._entries[path]
        if mode not in _PLAIN:
            raise EditError("unsupported_format", f"{show(path)} is a link or a submodule", "Leave it as it is.")
        content = await self.git.read_blob(oid)
        if len(content) > MAX_FILE_BYTES:
            raise EditError("too_large", f"{show(path)} has {len(content)} bytes; at most {MAX_FILE_BYTES} are read")
        return content


def show(path: str) -> str:
    """A path as text for display."""
    return show_path(path.encode("utf-8", "surrogateescape"))
