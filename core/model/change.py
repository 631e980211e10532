"""The difference between two git trees, as git reports it, byte for byte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ABSENT = "000000"
REGULAR = "100644"
EXECUTABLE = "100755"
SYMLINK = "120000"
GITLINK = "160000"
FOLDER = "040000"


LFS_POINTER_BYTES = 1024
"""Maximum size of a Git LFS pointer (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md)."""
_LFS_PREFIXES = (b"version https://git-lfs.github.com/spec/", b"version https://hawser.github.com/spec/")


def is_lfs_pointer(blob: bytes) -> bool:
    """Whether a blob is a Git LFS pointer; git does not know the contents of the file it stands for."""
    return len(blob) <= LFS_POINTER_BYTES and blob.startswith(_LFS_PREFIXES) and b"\noid " in blob


@dataclass(frozen=True, slots=True)
class FileChange:
    """One changed path; a rename is a deletion and an addition.

    `path` is git's raw bytes. Modes are git's six digits, `ABSENT` for a side that does not exist. `old_blob` and
    `new_blob` are object ids (None when absent), `*_sha256` the sha256 of the blob's bytes (of the commit id for a
    gitlink, which has no blob). `added` and `removed` count lines, None for a binary.
    """

    path: bytes
    old_mode: str
    mode: str
    old_blob: str | None
    new_blob: str | None
    old_sha256: str | None
    new_sha256: str | None
    old_size: int
    new_size: int
    added: int | None
    removed: int | None

    @property
    def status(self) -> str:
        """Git's status letter: A added, D deleted, T type changed, M modified."""
        if self.old_mode == ABSENT:
            return "A"
        if self.mode == ABSENT:
            return "D"
        return "T" if self.old_mode[:2] != self.mode[:2] else "M"

    @property
    def shown_path(self) -> str:
        """The path for display: valid UTF-8 as it is, everything else visibly escaped."""
        return show_path(self.path)

    def to_json(self) -> dict[str, object]:
        """The file as it is stored and as the task document shows it, with everything its digest covers.

        `raw` is the path's bytes in hex, present only if `path` had to be escaped.
        """
        raw = {"raw": self.path.hex()} if self.path != self.shown_path.encode() else {}
        return {
            "path": self.shown_path,
            **raw,
            "status": self.status,
            "added": self.added,
            "removed": self.removed,
            "old_mode": self.old_mode,
            "mode": self.mode,
            "old_sha256": self.old_sha256,
            "sha256": self.new_sha256,
            "old_size_bytes": self.old_size,
            "size_bytes": self.new_size,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> FileChange:
        """Read what `to_json` wrote; git's object ids are not stored.

        Older versions stored neither hashes nor sizes nor the bytes of an escaped path.
        """
        return cls(
            path=bytes.fromhex(value["raw"]) if "raw" in value else str(value["path"]).encode("utf-8", "replace"),
            old_mode=value["old_mode"],
            mode=value["mode"],
            old_blob=None,
            new_blob=None,
            old_sha256=value.get("old_sha256"),
            new_sha256=value.get("sha256"),
            old_size=value.get("old_size_bytes", 0),
            new_size=value.get("size_bytes", 0),
            added=value["added"],
            removed=value["removed"],
        )


@dataclass(frozen=True, slots=True)
class Change:
    """All differences between the base commit's tree and the produced tree, sorted by path bytes.

    `beside` maps paths in the produced tree next to the changed ones (`core.ports.Repository.beside`); only the guard
    reads it, and it is empty elsewhere.
    """

    repository: str
    base: str
    tree: str
    files: tuple[FileChange, ...]
    beside: Mapping[bytes, str] = field(default_factory=dict, compare=False, repr=False)


def show_path(path: bytes) -> str:
    r"""`path` as printable text: control, invisible and invalid characters become ``\\x..`` or ``\\u{..}``."""
    text = path.decode("utf-8", "surrogateescape")
    return "".join(_escape(c) for c in text)


def _escape(char: str) -> str:
    point = ord(char)
    if 0xDC80 <= point <= 0xDCFF:
        return f"\\x{point - 0xDC00:02x}"
    if char == " " or (char.isprintable() and char != "\\"):
        return char
    return "\\\\" if char == "\\" else (f"\\x{point:02x}" if point < 0x100 else f"\\u{{{point:x}}}")
