"""A tree of files as an executor sees it, and the same tree with edits on top."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.model.change import GITLINK, REGULAR, SYMLINK, is_lfs_pointer, show_path
from lanes.executors.errors import EditError

MAX_FILE_BYTES = 5_000_000
MAX_WRITTEN_BYTES = 20_000_000


class TreeFiles(Protocol):
    """The files of one tree, read only."""

    def paths(self) -> Sequence[str]:
        """All file paths, from the repository's root, separated by /."""
        ...

    def read(self, path: str) -> bytes | None:
        """A file's content, None when there is no such file."""
        ...

    def mode(self, path: str) -> str | None:
        """A file's git mode such as 100644, None when there is no such file."""
        ...


@dataclass(frozen=True, slots=True)
class TreeEdit:
    """What edits change: new contents, removed paths, and the modes of all written paths.

    A move is a write and a removal. What is the same as in the tree is in neither.
    """

    writes: Mapping[str, bytes]
    deletes: frozenset[str]
    modes: Mapping[str, str]


class Overlay:
    """A tree with the results of earlier edits on top; later edits see them."""

    def __init__(self, base: TreeFiles) -> None:
        self._base = base
        self._paths = set(base.paths())
        self._writes: dict[str, bytes] = {}
        self._modes: dict[str, str] = {}

    def paths(self) -> list[str]:
        """All file paths, sorted."""
        return sorted(self._paths)

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        return path in self._paths

    def is_folder(self, path: str) -> bool:
        """Whether any file lies in a folder of this path."""
        return any(other.startswith(path + "/") for other in self._paths)

    def mode(self, path: str) -> str:
        """The mode of a file that exists."""
        return self._modes.get(path) or self._base.mode(path) or REGULAR

    def is_plain(self, path: str) -> bool:
        """Whether a path is an ordinary file, no link and no submodule."""
        return self.mode(path) not in (SYMLINK, GITLINK)

    def content(self, path: str) -> bytes:
        """The content of an ordinary file; EditError names near paths when there is none."""
        self.require(path)
        if not self.is_plain(path):
            raise EditError("unsupported_format", f"{path} is a link, not a file with text", "Name the file itself.")
        content = self.raw(path)
        if len(content) > MAX_FILE_BYTES:
            raise EditError("too_large", f"{path} has {len(content)} bytes; at most {MAX_FILE_BYTES} are edited")
        if is_lfs_pointer(content):
            message = f"{path} is a Git LFS pointer: the file itself is kept elsewhere, and cannot be edited here"
            raise EditError("unsupported_format", message, "Change it in a clone that has Git LFS.")
        return content

    def is_text(self, path: str) -> bool:
        """Whether a path is an ordinary file whose content can be searched: no binary and no LFS pointer."""
        return self.is_plain(path) and b"\0" not in (content := self.raw(path)) and not is_lfs_pointer(content)

    def raw(self, path: str) -> bytes:
        """The bytes behind a path, whatever they are."""
        content = self._writes.get(path)
        if content is None:
            content = self._base.read(path)
        if content is None:
            raise EditError("no_such_file", f"There is no file {path} to read")
        return content

    def require(self, path: str) -> None:
        """EditError unless there is such a file."""
        if self.has(path):
            return
        if self.is_folder(path):
            raise EditError("no_such_file", f"{path} is a folder, not a file", "Name one file.")
        mend = near_path(path, self.paths()) or "Say its path from the repository's root."
        raise EditError("no_such_file", f"There is no file {path}", mend)

    def require_free(self, path: str) -> None:
        """EditError unless a file may be made at this path."""
        if self.has(path):
            raise EditError("exists", f"There is a file {path} already", "Choose another name.")
        if self.is_folder(path):
            name = path.rpartition("/")[2]
            raise EditError("exists", f"{path} is a folder", f"Name the file in it, such as {path}/{name}.")
        parts = path.split("/")
        for count in range(1, len(parts)):
            if self.has(folder := "/".join(parts[:count])):
                raise EditError("exists", f"{folder} is a file, so there can be no {path}", "Choose another name.")

    def write(self, path: str, content: bytes, mode: str | None = None) -> None:
        """Give a path this content."""
        self._modes[path] = mode or (self.mode(path) if self.has(path) else REGULAR)
        self._writes[path] = content
        self._paths.add(path)
        if len(content) > MAX_FILE_BYTES or sum(map(len, self._writes.values())) > MAX_WRITTEN_BYTES:
            raise EditError("too_large", f"{path} and the other changes would be too large", "Ask for less at once.")

    def remove(self, path: str) -> None:
        """Take a file out of the tree."""
        self._paths.discard(path)
        self._writes.pop(path, None)
        self._modes.pop(path, None)

    def result(self) -> TreeEdit:
        """What differs from the tree beneath."""
        base = set(self._base.paths())
        writes = {
            path: content
            for path, content in sorted(self._writes.items())
            if path not in base or content != self._base.read(path) or self._modes[path] != self._base.mode(path)
        }
        return TreeEdit(writes, frozenset(base - self._paths), {path: self._modes[path] for path in writes})


def matching(pattern: str, paths: Sequence[str]) -> list[str]:
    """The paths that an anchored glob names: `*` and `?` stay within a folder, `**` crosses folders."""
    parts = pattern.split("/")
    if parts[-1] == "**":
        parts.append("*")
    return [path for path in paths if _matches(parts, path.split("/"))]


def near_path(path: str, paths: Sequence[str]) -> str:
    """`Did you mean …?` with the paths most like this one; may be empty."""
    name = path.rpartition("/")[2]
    stem = name.partition(".")[0].casefold()
    likely = [p for p in paths if p.rpartition("/")[2].casefold() == name.casefold()]
    if not likely:
        pool = [p for p in paths if p.rpartition("/")[2][:1].casefold() == stem[:1]]
        likely = difflib.get_close_matches(path, (pool or list(paths))[:3000], n=3, cutoff=0.6)
        alike = [p for p in pool if p.rpartition("/")[2].partition(".")[0].casefold() == stem]
        likely = list(dict.fromkeys([*likely, *alike]))
    return f"Did you mean {' or '.join(map(shown, likely[:3]))}?" if likely else ""


def shown(path: str) -> str:
    """A path of a tree for people: bytes that are not UTF-8 are escaped."""
    return show_path(path.encode("utf-8", "surrogateescape"))


def _matches(pattern: list[str], path: list[str]) -> bool:
    """Whether the parts of a glob match all the parts of a path; the set holds the pattern parts reached."""
    reached = _past_stars(pattern, {0})
    for part in path:
        following = set()
        for at in reached:
            if at < len(pattern) and pattern[at] == "**":
                following.add(at)
            elif at < len(pattern) and fnmatch.fnmatchcase(part, pattern[at].replace("[", "[[]")):
                following.add(at + 1)
        reached = _past_stars(pattern, following)
    return len(pattern) in reached


def _past_stars(pattern: list[str], reached: set[int]) -> set[int]:
    for at in sorted(reached):
        step = at
        while step < len(pattern) and pattern[step] == "**":
            step += 1
            reached = reached | {step}
    return reached
