"""Trees compared, listed and written, always by git's raw bytes and never by diff text."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.model.change import ABSENT, EXECUTABLE, FOLDER, GITLINK, REGULAR, SYMLINK, Change, FileChange, show_path
from core.model.errors import Kind, PermanentError
from lanes.filetree.removal import remove_tree
from lanes.repository.command import MIB, GitCommand
from lanes.repository.faults import last_words
from lanes.repository.running import GitError, GitFloodError
from lanes.repository.store import Store, check_oid

MAX_CHANGED_FILES: Final = 100_000
MAX_CHANGED_BYTES: Final = 512 * MIB
MAX_LISTED: Final = 1_000_000
"""How many files of a tree are listed: ten trees of ten times the same are 10^10 files, and a few hundred bytes."""
_RAW_BYTES: Final = 128 * MIB
_COUNT_LINES_UP_TO: Final = 64 * MIB
_LEFT_S: Final = 24 * 3600.0
_NO_BLOB: Final = "0" * 40
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
class BlobFacts:
    """What reading a blob once tells: sha256, size, and its lines if it is text."""

    sha256: str
    size: int
    lines: int | None


def parse_raw(out: bytes) -> Iterator[RawEntry]:
    """The records of ``diff-tree -r -z --raw --no-renames --no-abbrev``; raises `ValueError` on anything else."""
    fields = out.split(b"\0")
    if fields.pop() != b"":
        raise ValueError("the last record does not end")
    if len(fields) % 2:
        raise ValueError("a record lacks its path")
    for meta, path in zip(fields[::2], fields[1::2], strict=True):
        old_mode, mode, old_oid, oid, status = meta.decode("ascii").split(" ")
        if not old_mode.startswith(":") or len(status) != 1 or not path:
            raise ValueError(f"an unknown record {meta!r}")
        yield RawEntry(path, old_mode[1:], mode, old_oid, oid)


def compare(store: Store, base: str, tree: str) -> Change:
    """What differs between commit `base` and `tree`; refuses what is too large before reading any content."""
    store.ensure()
    entries = _raw(store, base, tree)
    sizes = _sizes(store.git, {oid for e in entries for oid in _blobs(e)}, store.spec.name)
    if sum(sizes.values()) > MAX_CHANGED_BYTES:
        raise _too_large(f"it has {sum(sizes.values()) // MIB} MiB, at most {MAX_CHANGED_BYTES // MIB} are judged")
    facts = _read_facts(store.git, list(sizes))
    small = sum(sizes[oid] for e in entries if _modified(e) for oid in _blobs(e)) <= _COUNT_LINES_UP_TO
    counts = _line_counts(store.git, base, tree) if small and any(map(_modified, entries)) else {}
    files = (_file_change(entry, facts, counts) for entry in entries)
    return Change(store.spec.id, base, tree, tuple(sorted(files, key=lambda f: f.path)))


def _raw(store: Store, base: str, tree: str) -> list[RawEntry]:
    args = ("-r", "-z", "--raw", "--no-renames", "--no-abbrev", check_oid(base), check_oid(tree))
    try:
        out = store.git.run("diff-tree", *args, limit_bytes=_RAW_BYTES, limit_records=2 * MAX_CHANGED_FILES).out
    except GitFloodError as failure:
        raise _too_large(f"it touches more than the {MAX_CHANGED_FILES} files that are judged") from failure
    return list(parse_raw(out))


def _modified(entry: RawEntry) -> bool:
    """True for a regular file, or a symlink, that stays one: the only case that needs git to count lines."""
    return ABSENT not in (entry.old_mode, entry.mode) and entry.old_mode[:2] == entry.mode[:2] != GITLINK[:2]


def _blobs(entry: RawEntry) -> list[str]:
    sides = ((entry.old_mode, entry.old_oid), (entry.mode, entry.oid))
    return [oid for mode, oid in sides if mode not in (ABSENT, GITLINK)]


def _file_change(
    entry: RawEntry, facts: Mapping[str, BlobFacts], counts: Mapping[bytes, tuple[int, int]]
) -> FileChange:
    old, new = _side(entry.old_mode, entry.old_oid, facts), _side(entry.mode, entry.oid, facts)
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


def _side(mode: str, oid: str, facts: Mapping[str, BlobFacts]) -> BlobFacts | None:
    if mode == ABSENT:
        return None
    if mode == GITLINK:
        return BlobFacts(hashlib.sha256(oid.encode()).hexdigest(), 0, None)
    return facts[oid]


def _added_removed(
    entry: RawEntry, old: BlobFacts | None, new: BlobFacts | None, counts: Mapping[bytes, tuple[int, int]]
) -> tuple[int | None, int | None]:
    if any(side is not None and side.lines is None for side in (old, new)):
        return None, None
    if entry.old_oid == entry.oid:
        return 0, 0
    if _modified(entry):
        return counts.get(entry.path, (None, None))
    return (new.lines if new else 0), (old.lines if old else 0)


def _sizes(git: GitCommand, oids: set[str], name: str) -> dict[str, int]:
    """The size of each blob, in a stable order; raises `PermanentError` if one is not here or is no blob."""
    if not oids:
        return {}
    wanted = sorted(oids)
    out = git.run(
        "cat-file",
        "--batch-check=%(objecttype) %(objectsize)",
        "--buffer",
        stdin="".join(f"{oid}\n" for oid in wanted).encode(),
    ).out.decode("utf-8", "replace")
    sizes: dict[str, int] = {}
    for oid, line in zip(wanted, out.splitlines(), strict=True):
        kind, _, size = line.partition(" ")
        if kind != "blob":
            raise PermanentError("repository_corrupt", f"The git store of {name} has no blob {oid[:12]}")
        sizes[oid] = int(size)
    return sizes


def _read_facts(git: GitCommand, oids: list[str]) -> dict[str, BlobFacts]:
    """Each blob's facts, read as a stream: no more than a chunk is held."""
    if not oids:
        return {}
    facts: dict[str, BlobFacts] = {}
    with git.start("cat-file", "--batch", "--buffer", timeout_s=600) as running:
        writer = running.feed("".join(f"{oid}\n" for oid in oids).encode())
        for oid in oids:
            head = running.stdout.readline().split()
            if len(head) != 3 or head[0].decode() != oid:
                break
            facts[oid] = _facts_of(running.stdout.read, int(head[2]))
            running.stdout.read(1)
        code, err = running.finish()
        writer.join(5)
    if code or len(facts) != len(oids):
        raise GitError("cat-file", code, err or "an object is missing blob")
    return facts


def _facts_of(read: Callable[[int], bytes], size: int) -> BlobFacts:
    digest, newlines, last, binary, left = hashlib.sha256(), 0, b"", False, size
    while left:
        chunk = read(min(left, _CHUNK))
        if not chunk:
            raise GitError("cat-file", -1, "early EOF")
        digest.update(chunk)
        newlines += chunk.count(b"\n")
        binary = binary or b"\0" in chunk
        last = chunk[-1:]
        left -= len(chunk)
    lines = newlines + (1 if last not in (b"", b"\n") else 0)
    return BlobFacts(digest.hexdigest(), size, None if binary else lines)


def _line_counts(git: GitCommand, base: str, tree: str) -> dict[bytes, tuple[int, int]]:
    """Lines added and removed, for showing only; what git cannot count in a minute is left out."""
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
    """A unified diff with renames found, for people; nothing is decided on it."""
    store.ensure()
    args = ("-p", "-r", "-M", "-U3", "--no-color", "--no-ext-diff", "--no-textconv", "--full-index")
    return store.git.run("diff-tree", *args, check_oid(base), check_oid(tree), limit_bytes=128 * MIB).out


def list_paths(store: Store, tree: str) -> dict[bytes, tuple[str, str]]:
    """Every path of a tree, to its mode and object id; raises `PermanentError` for more than `MAX_LISTED`."""
    paths: dict[bytes, tuple[str, str]] = {}
    for record in listed(store, tree):
        meta, _, path = record.partition(b"\t")
        mode, _, oid = meta.decode("ascii").split(" ")
        paths[path] = (mode, oid)
    return paths


def listed(store: Store, tree: str, *options: str) -> list[bytes]:
    """What ``ls-tree`` says of each file of a tree; raises `PermanentError`, early, for more than `MAX_LISTED`."""
    store.ensure()
    argv = ("ls-tree", "-r", "-z", "--full-tree", *options, check_oid(tree))
    try:
        out = store.git.run(*argv, limit_bytes=_RAW_BYTES, limit_records=MAX_LISTED).out
    except GitFloodError as failure:
        what = f"more than {MAX_LISTED} files, or paths of more than {_RAW_BYTES // MIB} MiB"
        mend = "Take out of the repository what makes it so large; `git ls-tree -r` lists it."
        problem = f"A tree of the repository {store.spec.name} has {what}"
        raise PermanentError("too_large", problem, mend, kind=Kind.BLOCKED) from failure
    return out.split(b"\0")[:-1]


def beside(store: Store, tree: str, paths: Collection[bytes]) -> dict[bytes, str]:
    """What lies directly in the folders of `tree` that are above `paths`, the top included, path to mode."""
    above = {b""}.union(*map(_folders_above, paths))
    there: dict[bytes, str] = {}
    for record in listed(store, tree):
        meta, _, path = record.partition(b"\t")
        for folder in _folders_above(path):
            there[folder] = FOLDER
            if folder not in above:
                break
        else:
            there[path] = meta[:6].decode("ascii")
    return there


def _folders_above(path: bytes) -> Iterator[bytes]:
    """The folders that `path` lies in, the highest first, without the top."""
    end = path.find(b"/")
    while end >= 0:
        yield path[:end]
        end = path.find(b"/", end + 1)


def write_tree(
    store: Store, start: str, writes: Mapping[str, bytes], deletes: Iterable[str], modes: Mapping[str, str]
) -> str:
    """The tree `start` without `deletes` and with `writes`; a path in `modes` gets that mode, others keep theirs.

    Raises `PermanentError` ``path_conflict`` where a file would have to be a folder, or the other way round.
    """
    before = list_paths(store, start)
    gone = {_raw_path(path) for path in deletes}
    blobs = _write_blobs(store, writes)
    lines = [b"0 %s\t%s\0" % (_NO_BLOB.encode(), path) for path in sorted(gone) if path in before]
    kept = {path: entry for path, entry in before.items() if path not in gone}
    wanted = {path: _mode(path, kept, modes) for path in {*writes, *modes}}
    _check_fits(kept, [_raw_path(path) for path in wanted])
    for text, mode in sorted(wanted.items()):
        path = _raw_path(text)
        oid = blobs.get(text) or (kept[path][1] if path in kept else None)
        if oid is None:
            raise PermanentError("no_such_file", f"There is no file {show_path(path)}", kind=Kind.MISSING)
        lines.append(b"%s %s\t%s\0" % (mode.encode(), oid.encode(), path))
    return _update(store, start, b"".join(lines))


def _mode(path: str, kept: Mapping[bytes, tuple[str, str]], modes: Mapping[str, str]) -> str:
    mode = modes.get(path) or kept.get(_raw_path(path), (REGULAR, ""))[0]
    if mode not in (REGULAR, EXECUTABLE, SYMLINK):
        raise PermanentError("bad_mode", f"{show_path(_raw_path(path))} cannot be written with mode {mode}")
    return mode


def _raw_path(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _check_fits(kept: Mapping[bytes, tuple[str, str]], written: list[bytes]) -> None:
    """Raise unless no written path is below a file, or is a folder: git would replace either without a word."""
    files = {*kept, *written}
    folders = {b"/".join(path.split(b"/")[:n]) for path in files for n in range(1, path.count(b"/") + 1)}
    for path in written:
        parents = (b"/".join(path.split(b"/")[:n]) for n in range(1, path.count(b"/") + 1))
        clash = path if path in folders else next((p for p in parents if p in files), None)
        if clash is not None:
            kind = "a folder" if clash == path else "a file"
            message = f"{show_path(path)} cannot be written: {show_path(clash)} is {kind}"
            raise PermanentError("path_conflict", message, "Choose another path.")


def _write_blobs(store: Store, writes: Mapping[str, bytes]) -> dict[str, str]:
    """Write each content as a blob, byte for byte, in one stream: a thousand files are one pack, not a thousand."""
    if not writes:
        return {}
    blobs = b"".join(b"blob\nmark :%d\ndata %d\n%s\n" % (n, len(c), c) for n, c in enumerate(writes.values(), 1))
    asked = b"".join(b"get-mark :%d\n" % n for n in range(1, len(writes) + 1))
    oids = store.git.run("fast-import", "--quiet", "--done", stdin=blobs + asked + b"done\n", timeout_s=600).out.split()
    return {path: oid.decode() for path, oid in zip(writes, oids, strict=True)}


def _update(store: Store, start: str, lines: bytes) -> str:
    with scratch(store) as folder:
        index = {"GIT_INDEX_FILE": str(folder / "index")}
        store.git.run("read-tree", check_oid(start), environment=index)
        said = store.git.run("update-index", "-z", "--index-info", stdin=lines, environment=index).err
        if "Ignoring path" in said:  # git skips a path that it must not hold, and goes on
            message = f"git cannot hold a path: {last_words(said)}"
            raise PermanentError("odd_path", message, "Choose another name.", kind=Kind.BLOCKED)
        return store.git.line("write-tree", environment=index)


class scratch:  # noqa: N801 - used as a context, like open()
    """A folder inside the store for a temporary index; gone afterwards."""

    def __init__(self, store: Store) -> None:
        store.ensure()
        parent = store.path / "scratch"
        parent.mkdir(exist_ok=True)
        sweep_scratch(parent)
        self._folder = Path(tempfile.mkdtemp(prefix="work-", dir=parent))

    def __enter__(self) -> Path:
        return self._folder

    def __exit__(self, *_: object) -> None:
        remove_tree(self._folder)


def sweep_scratch(parent: Path) -> None:
    """Remove what a killed process left: nobody works in there for longer than a day."""
    for left in parent.iterdir():
        with contextlib.suppress(FileNotFoundError):  # somebody else finished, or sweeps, too
            if time.time() - left.lstat().st_mtime > _LEFT_S:
                remove_tree(left)


def _too_large(why: str) -> PermanentError:
    mend = "Ask for it in smaller parts."
    return PermanentError("too_large", f"The change is too large: {why}", mend, kind=Kind.BLOCKED)
