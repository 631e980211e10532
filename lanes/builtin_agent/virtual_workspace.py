"""The files of a git tree with the model's changes on top, all in memory.

Nothing is on a disk: no link is followed, no path leaves the repository, and a failed try leaves nothing behind.
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
"""Why the guard would block any change of a path, as the end of a sentence that begins with the path; else empty."""


def refuses_nothing(_path: str) -> str:
    """A `Refusal` where no guard is asked."""
    return ""


@dataclass(slots=True)
class VirtualWorkspace:
    """The files of `tree`, which is judged against the commit `base`.

    `may_write` are the lane's globs and `limits` its limits. `refusal` says why the guard would block a path, and
    `withheld` what the model is not shown.
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
        """List the tree; to be called once, before anything else."""
        self._entries = await self._listed(self.tree)
        before = await self._listed(self.base)
        changed = [path for path in before.keys() | self._entries if before.get(path) != self._entries.get(path)]
        present = [path for path in changed if self._entries.get(path, ("",))[0] in _PLAIN]
        contents = await self.git.read_files(self.tree, present, MAX_FILE_BYTES)
        self._earlier = {path: len(contents.get(path, b"")) for path in changed}

    def refused(self) -> list[str]:
        """The files that the lane's globs cover and that may not be changed all the same, sorted."""
        inside = {path for glob in self.may_write for path in matching_paths(glob.removeprefix("/"), self.paths())}
        return sorted(path for path in inside if self.refusal(path))

    async def _listed(self, tree: str) -> dict[str, tuple[str, str]]:
        listed = await self.git.list_paths(tree)
        return {path.decode("utf-8", "surrogateescape"): entry for path, entry in listed.items()}

    def paths(self, glob: str = "**") -> list[str]:
        """The paths that an anchored glob names, sorted."""
        present = sorted((self._entries.keys() - self._removed) | self._written.keys())
        return present if glob in ("", "**") else matching_paths(glob, present)

    async def text(self, path: str) -> str:
        """The text of an ordinary file; raises `EditError` with what to do instead."""
        content = await self._content(path)
        if b"\0" in content:
            raise EditError("unsupported_format", f"{show(path)} is not a text file", "Leave it as it is.")
        text = content.decode("utf-8", "surrogateescape")
        await self.withheld.check(path, text, show(path))
        return text

    async def texts(self, paths: list[str]) -> Iterator[tuple[str, str]]:
        """The texts of those of `paths` that are ordinary text files, withheld ones too; git is read once."""
        unread = [path for path in paths if path not in self._written and self._entries.get(path, ("",))[0] in _PLAIN]
        contents = await self.git.read_files(self.tree, unread, MAX_FILE_BYTES)
        contents.update({path: self._written[path] for path in paths if path in self._written})
        return (
            (path, contents[path].decode("utf-8", "surrogateescape"))
            for path in paths
            if path in contents and b"\0" not in contents[path]
        )

    def write(self, path: str, text: str) -> None:
        """Give a path this text, where the lane may write; raises `EditError`."""
        self._check(path)
        content = text.encode("utf-8", "surrogateescape" if path in self._entries else "strict")
        self._check_size(path, len(content))
        if path not in self._entries or path in self._removed:
            self._check_free(path)
        self._removed.discard(path)
        self._written[path] = content

    def remove(self, path: str) -> None:
        """Delete a file, where the lane may write; raises `EditError`."""
        self._check(path)
        self._require(path)
        if path in self._entries:
            self._check_count(path)
        self._written.pop(path, None)
        if path in self._entries:
            self._removed.add(path)

    async def result(self) -> str:
        """The tree with every change made."""
        if not (self._written or self._removed):
            return self.tree
        modes: Mapping[str, str] = {}
        return await self.git.write_tree(self.tree, self._written, self._removed, modes)

    def _check(self, path: str) -> None:
        """Raise for what the guard would refuse later, so that the model can do better."""
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
            raise EditError("outside_lane", f"{show(path)} may not be written here", f"You may write: {globs}.")
        if why := self.refusal(path):
            raise EditError("refused_path", f"{show(path)} {why}", "Work without it, and say so when you finish.")

    def _check_size(self, path: str, size: int) -> None:
        """Raise for what would make the change larger than the lane's limits allow."""
        self._check_count(path)
        most = min(self.limits.file_bytes, MAX_FILE_BYTES)
        if size > most:
            raise EditError("too_large", f"{show(path)} would have {size:,} bytes, at most {most:,} bytes in a file")
        sizes = {path: size for path, size in self._earlier.items() if path not in self._removed}
        sizes |= {path: len(content) for path, content in self._written.items()} | {path: size}
        total, most = sum(sizes.values()), min(self.limits.bytes, MAX_WRITTEN_BYTES)
        if total > most:
            message = f"with {show(path)} the change would have {total:,} bytes, at most {most:,} bytes in all"
            raise EditError("too_large", message, "This is more than this lane may write: write less.")

    def _check_count(self, path: str) -> None:
        """Raise for one file more than the lane may change."""
        changed = self._earlier.keys() | self._written.keys() | self._removed | {path}
        if len(changed) > self.limits.files:
            message = f"{show(path)} would be changed file {len(changed)}, at most {self.limits.files:,} files in all"
            raise EditError("too_many_files", message, "Change fewer files.")

    def _check_free(self, path: str) -> None:
        parts = path.split("/")
        for count in range(1, len(parts)):
            if self._has(folder := "/".join(parts[:count])):
                raise EditError("exists", f"{show(folder)} is a file, so there can be no {show(path)}")
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
    """A path as text that is safe to show."""
    return show_path(path.encode("utf-8", "surrogateescape"))
