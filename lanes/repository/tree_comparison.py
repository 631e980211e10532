"""Compares two trees byte for byte, from git's raw output and the blobs; never from diff text."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from core.model.change import ABSENT, GITLINK, Change, FileChange
from core.model.errors import Kind, PermanentError
from lanes.repository.command import MIB, GitCommand
from lanes.repository.git_names import check_oid
from lanes.repository.running import GitError, GitFloodError
from lanes.repository.store import Store

MAX_CHANGED_FILES: Final = 100_000
MAX_CHANGED_BYTES: Final = 512 * MIB
_RAW_BYTES: Final = 128 * MIB
_COUNT_LINES_UP_TO: Final = 64 * MIB
_CHUNK: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class RawEntry:
    """One record of ``git diff-tree --raw -z``."""

    path: bytes
    old_mode: str
    mode: str
    old_oid: str
    oid: str


@dataclass(frozen=True, slots=True)
class BlobSummary:
    """A blob's sha256 and size, and its number of lines if it is text."""

    sha256: str
    size: int
    lines: int | None


def parse_raw(out: bytes) -> Iterator[RawEntry]:
    """The records of ``diff-tree -r -z --raw --no-renames --no-abbrev``; raises `ValueError` on anything else."""
    fields = out.split(b"\0")
    if fields.pop() != b"":
        raise ValueError("the last record is not terminated")
    if len(fields) % 2:
        raise ValueError("a record has no path")
    for meta, path in zip(fields[::2], fields[1::2], strict=True):
        old_mode, mode, old_oid, oid, status = meta.decode("ascii").split(" ")
        if not old_mode.startswith(":") or len(status) != 1 or not path:
            raise ValueError(f"unknown record {meta!r}")
        yield RawEntry(path, old_mode[1:], mode, old_oid, oid)


def compare_trees(store: Store, base: str, tree: str) -> Change:
    """The change from commit `base` to `tree`.

    Raises `PermanentError` ``too_large``, before any content is read, for a change beyond the limits of this module.
    """
    store.ensure()
    entries = _raw(store, base, tree)
    sizes = _sizes(store.git, {oid for e in entries for oid in _blobs(e)}, store.spec.name)
    if sum(sizes.values()) > MAX_CHANGED_BYTES:
        raise _too_large(
            f"it has {sum(sizes.values()) // MIB} MiB, and at most {MAX_CHANGED_BYTES // MIB} MiB can be checked"
        )
    summaries = _summarize_blobs(store.git, list(sizes))
    small = sum(sizes[oid] for e in entries if _modified(e) for oid in _blobs(e)) <= _COUNT_LINES_UP_TO
    counts = _line_counts(store.git, base, tree) if small and any(map(_modified, entries)) else {}
    files = (_file_change(entry, summaries, counts) for entry in entries)
    return Change(store.spec.id, base, tree, tuple(sorted(files, key=lambda f: f.path)))


def _raw(store: Store, base: str, tree: str) -> list[RawEntry]:
    args = ("-r", "-z", "--raw", "--no-renames", "--no-abbrev", check_oid(base), check_oid(tree))
    try:
        out = store.git.run("diff-tree", *args, limit_bytes=_RAW_BYTES, limit_records=2 * MAX_CHANGED_FILES).out
    except GitFloodError as failure:
        raise _too_large(f"it changes more than {MAX_CHANGED_FILES} files") from failure
    return list(parse_raw(out))


def _modified(entry: RawEntry) -> bool:
    """True for a regular file or a symlink that keeps its type: only then git must count lines."""
    return ABSENT not in (entry.old_mode, entry.mode) and entry.old_mode[:2] == entry.mode[:2] != GITLINK[:2]


def _blobs(entry: RawEntry) -> list[str]:
    sides = ((entry.old_mode, entry.old_oid), (entry.mode, entry.oid))
    return [oid for mode, oid in sides if mode not in (ABSENT, GITLINK)]


def _file_change(
    entry: RawEntry, summaries: Mapping[str, BlobSummary], counts: Mapping[bytes, tuple[int, int]]
) -> FileChange:
    old, new = _side(entry.old_mode, entry.old_oid, summaries), _side(entry.mode, entry.oid, summaries)
    added, removed = _added_removed(entry, old, new, counts)
    return FileChange(
        path=entry.path,
        old_mode=entry.old_mode,
        mode=entry.mode,
        old_blob=None if entry.old_mode == ABSENT else entry.old_oid,
        new_blob=None if entry.mode == ABSENT else entry.oid,
        old_sha256=old.sha256 if old else None,
        new_sha256=new.sha256 if new else None,
        old_size=old.size if old else 0,
        new_size=new.size if new else 0,
        added=added,
        removed=removed,
    )


def _side(mode: str, oid: str, summaries: Mapping[str, BlobSummary]) -> BlobSummary | None:
    if mode == ABSENT:
        return None
    if mode == GITLINK:
        return BlobSummary(hashlib.sha256(oid.encode()).hexdigest(), 0, None)
    return summaries[oid]


def _added_removed(
    entry: RawEntry, old: BlobSummary | None, new: BlobSummary | None, counts: Mapping[bytes, tuple[int, int]]
) -> tuple[int | None, int | None]:
    if any(side is not None and side.lines is None for side in (old, new)):
        return None, None
    if entry.old_oid == entry.oid:
        return 0, 0
    if _modified(entry):
        return counts.get(entry.path, (None, None))
    return (new.lines if new else 0), (old.lines if old else 0)


def _sizes(git: GitCommand, oids: set[str], name: str) -> dict[str, int]:
    """The size of each blob, in a stable order; raises `PermanentError` if one is missing or not a blob."""
    if not oids:
        return {}
    ordered = sorted(oids)
    out = git.run(
        "cat-file",
        "--batch-check=%(objecttype) %(objectsize)",
        "--buffer",
        stdin="".join(f"{oid}\n" for oid in ordered).encode(),
    ).out.decode("utf-8", "replace")
    sizes: dict[str, int] = {}
    for oid, line in zip(ordered, out.splitlines(), strict=True):
        kind, _, size = line.partition(" ")
        if kind != "blob":
            raise PermanentError("repository_corrupt", f"The git store of {name} has no blob {oid[:12]}")
        sizes[oid] = int(size)
    return sizes


def _summarize_blobs(git: GitCommand, oids: list[str]) -> dict[str, BlobSummary]:
    """The summary of each blob, read as a stream, so that memory holds one chunk at a time."""
    if not oids:
        return {}
    summaries: dict[str, BlobSummary] = {}
    with git.start("cat-file", "--batch", "--buffer", timeout_s=600) as running:
        writer = running.feed("".join(f"{oid}\n" for oid in oids).encode())
        for oid in oids:
            head = running.stdout.readline().split()
            if len(head) != 3 or head[0].decode() != oid:
                break
            summaries[oid] = _summarize(running.stdout.read, int(head[2]))
            running.stdout.read(1)
        code, err = running.finish()
        writer.join(5)
    if code or len(summaries) != len(oids):
        raise GitError("cat-file", code, err or "an object is missing blob")
    return summaries


def _summarize(read: Callable[[int], bytes], size: int) -> BlobSummary:
    digest, newlines, last, binary, remaining = hashlib.sha256(), 0, b"", False, size
    while remaining:
        chunk = read(min(remaining, _CHUNK))
        if not chunk:
            raise GitError("cat-file", -1, "early EOF")
        digest.update(chunk)
        newlines += chunk.count(b"\n")
        binary = binary or b"\0" in chunk
        last = chunk[-1:]
        remaining -= len(chunk)
    lines = newlines + (1 if last not in (b"", b"\n") else 0)
    return BlobSummary(digest.hexdigest(), size, None if binary else lines)


def _line_counts(git: GitCommand, base: str, tree: str) -> dict[bytes, tuple[int, int]]:
    """Lines added and removed by path, for display only; files that git cannot count within a minute are missing."""
    args = ("-r", "-z", "--numstat", "--no-renames", "--no-ext-diff", "--no-textconv", check_oid(base), check_oid(tree))
    try:
        out = git.run("diff-tree", *args, timeout_s=60).out
    except GitError:
        return {}
    counts: dict[bytes, tuple[int, int]] = {}
    for record in out.split(b"\0"):
        added, _, rest = record.partition(b"\t")
        removed, _, path = rest.partition(b"\t")
        if path and added != b"-":
            counts[path] = (int(added), int(removed))
    return counts


def diff_text(store: Store, base: str, tree: str) -> bytes:
    """A unified diff with renames detected, for display only; no decision is based on it."""
    store.ensure()
    args = ("-p", "-r", "-M", "-U3", "--no-color", "--no-ext-diff", "--no-textconv", "--full-index")
    return store.git.run("diff-tree", *args, check_oid(base), check_oid(tree), limit_bytes=128 * MIB).out


def _too_large(reason: str) -> PermanentError:
    mend = "Ask for it in smaller parts."
    return PermanentError("too_large", f"The change is too large: {reason}", mend, kind=Kind.BLOCKED)
