"""The files of a git tree as executors read them, and an overlay that holds edits on top."""

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
    """Read access to the files of one tree."""

    def paths(self) -> Sequence[str]:
        """All file paths, relative to the repository's root and separated by /."""
        ...

    def read(self, path: str) -> bytes | None:
        """A file's content, None when there is no such file."""
        ...

    def mode(self, path: str) -> str | None:
        """A file's git mode, such as 100644; None when there is no such file."""
        ...


@dataclass(frozen=True, slots=True)
class TreeEdit:
    """The result of edits: new contents, removed paths, and the modes of all written paths.

    A move is a write and a removal. Files that are unchanged appear in neither.
    """

    writes: Mapping[str, bytes]
    deletes: frozenset[str]
    modes: Mapping[str, str]


class Overlay:
    """A tree with edits on top; later edits see earlier ones."""

    def __init__(self, base: TreeFiles) -> None:
        self._base = base
        self._paths = set(base.paths())
        self._writes: dict[str, bytes] = {}
        self._modes: dict[str, str] = {}

    def paths(self) -> list[str]:
        """All file paths, sorted."""
        return sorted(self._paths)

    def has(self, path: str) -> bool:
        """True if there is such a file."""
        return path in self._paths

    def is_folder(self, path: str) -> bool:
        """True if the path is a folder that contains a file."""
        return any(other.startswith(path + "/") for other in self._paths)

    def mode(self, path: str) -> str:
        """The mode of a file that exists."""
        return self._modes.get(path) or self._base.mode(path) or REGULAR

    def is_plain(self, path: str) -> bool:
        """True if the path is an ordinary file, not a link or a submodule."""
        return self.mode(path) not in (SYMLINK, GITLINK)

    def content(self, path: str) -> bytes:
        """The content of an ordinary file; if there is none, the EditError suggests similar paths."""
        self.require(path)
        if not self.is_plain(path):
            raise EditError("unsupported_format", f"{path} is a link, not a file with text", "Name the file itself.")
        content = self.raw(path)
        if len(content) > MAX_FILE_BYTES:
            raise EditError("too_large", f"{path} has {len(content)} bytes; at most {MAX_FILE_BYTES} are edited")
        if is_lfs_pointer(content):
            message = f"{path} is a Git LFS pointer; its content is stored elsewhere and cannot be edited here"
            raise EditError("unsupported_format", message, "Change it in a clone that has Git LFS.")
        return content

    def is_text(self, path: str) -> bool:
        """True if the path is an ordinary text file, not a binary or an LFS pointer."""
        return self.is_plain(path) and b"\0" not in (content := self.raw(path)) and not is_lfs_pointer(content)

    def raw(self, path: str) -> bytes:
        """The bytes of a path, whatever its type."""
        content = self._writes.get(path)
        if content is None:
            content = self._base.read(path)
        if content is None:
            raise EditError("no_such_file", f"There is no file {path} to read")
        return content

    def require(self, path: str) -> None:
        """Raise EditError unless there is such a file."""
        if self.has(path):
            return
        if self.is_folder(path):
            raise EditError("no_such_file", f"{path} is a folder, not a file", "Name one file.")
        mend = suggest_path(path, self.paths()) or "Give its path from the repository's root."
        raise EditError("no_such_file", f"There is no file {path}", mend)

    def require_free(self, path: str) -> None:
        """Raise EditError unless a file can be created at this path."""
        if self.has(path):
            raise EditError("exists", f"There is a file {path} already", "Choose another name.")
        if self.is_folder(path):
            name = path.rpartition("/")[2]
            raise EditError("exists", f"{path} is a folder", f"Name the file in it, such as {path}/{name}.")
        parts = path.split("/")
        for count in range(1, len(parts)):
            if self.has(folder := "/".join(parts[:count])):
                raise EditError("exists", f"{folder} is a file, so {path} cannot be created", "Choose another name.")

    def write(self, path: str, content: bytes, mode: str | None = None) -> None:
        """Set the content of a path."""
        self._modes[path] = mode or (self.mode(path) if self.has(path) else REGULAR)
        self._writes[path] = content
        self._paths.add(path)
        if len(content) > MAX_FILE_BYTES or sum(map(len, self._writes.values())) > MAX_WRITTEN_BYTES:
            raise EditError(
                "too_large", f"{path} and the other changes would be too large", "Ask for a smaller change."
            )

    def remove(self, path: str) -> None:
        """Remove a file from the tree."""
        self._paths.discard(path)
        self._writes.pop(path, None)
        self._modes.pop(path, None)

    def result(self) -> TreeEdit:
        """What differs from the base tree."""
        base = set(self._base.paths())
        writes = {
            path: content
            for path, content in sorted(self._writes.items())
            if path not in base or content != self._base.read(path) or self._modes[path] != self._base.mode(path)
        }
        return TreeEdit(writes, frozenset(base - self._paths), {path: self._modes[path] for path in writes})


def matching_paths(pattern: str, paths: Sequence[str]) -> list[str]:
    """The paths that match an anchored glob: `*` and `?` match within a folder, `**` across folders."""
    parts = pattern.split("/")
    if parts[-1] == "**":
        parts.append("*")
    return [path for path in paths if _matches(parts, path.split("/"))]


def suggest_path(path: str, paths: Sequence[str]) -> str:
    """`Did you mean …?` with the most similar paths; may be empty."""
    name = path.rpartition("/")[2]
    stem = name.partition(".")[0].casefold()
    similar = [p for p in paths if p.rpartition("/")[2].casefold() == name.casefold()]
    if not similar:
        pool = [p for p in paths if p.rpartition("/")[2][:1].casefold() == stem[:1]]
        similar = difflib.get_close_matches(path, (pool or list(paths))[:3000], n=3, cutoff=0.6)
        same_stem = [p for p in pool if p.rpartition("/")[2].partition(".")[0].casefold() == stem]
        similar = list(dict.fromkeys([*similar, *same_stem]))
    return f"Did you mean {' or '.join(map(display_path, similar[:3]))}?" if similar else ""


def display_path(path: str) -> str:
    """A tree path for display; bytes that are not UTF-8 are escaped."""
    return show_path(path.encode("utf-8", "surrogateescape"))


def _matches(pattern: list[str], path: list[str]) -> bool:
    """True if the glob's parts match all parts of the path; the set holds the positions reached in the pattern."""
    positions = _skip_stars(pattern, {0})
    for part in path:
        next_positions = set()
        for at in positions:
            if at < len(pattern) and pattern[at] == "**":
                next_positions.add(at)
            elif at < len(pattern) and fnmatch.fnmatchcase(part, pattern[at].replace("[", "[[]")):
                next_positions.add(at + 1)
        positions = _skip_stars(pattern, next_positions)
    return len(pattern) in positions


def _skip_stars(pattern: list[str], positions: set[int]) -> set[int]:
    for at in sorted(positions):
        step = at
        while step < len(pattern) and pattern[step] == "**":
            step += 1
            positions = positions | {step}
    return positions
