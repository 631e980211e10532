"""Writes a new tree from an existing one and a set of changes, without a checkout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from core.model.change import EXECUTABLE, REGULAR, SYMLINK, show_path
from core.model.errors import Kind, PermanentError
from lanes.repository.faults import last_words
from lanes.repository.git_names import check_oid
from lanes.repository.scratch import ScratchFolder
from lanes.repository.store import Store
from lanes.repository.tree_listing import list_paths

_NO_BLOB: Final = "0" * 40


def write_tree(
    store: Store, start: str, writes: Mapping[str, bytes], deletes: Iterable[str], modes: Mapping[str, str]
) -> str:
    """The tree `start` without `deletes` and with `writes`; a path in `modes` gets that mode, other paths keep theirs.

    Raises `PermanentError` ``path_conflict`` where a file would replace a folder, or a folder a file.
    """
    before = list_paths(store, start)
    deleted = {_raw_path(path) for path in deletes}
    blobs = _write_blobs(store, writes)
    lines = [b"0 %s\t%s\0" % (_NO_BLOB.encode(), path) for path in sorted(deleted) if path in before]
    remaining = {path: entry for path, entry in before.items() if path not in deleted}
    new_modes = {path: _mode(path, remaining, modes) for path in {*writes, *modes}}
    _check_fits(remaining, [_raw_path(path) for path in new_modes])
    for text, mode in sorted(new_modes.items()):
        path = _raw_path(text)
        oid = blobs.get(text) or (remaining[path][1] if path in remaining else None)
        if oid is None:
            raise PermanentError("no_such_file", f"There is no file {show_path(path)}", kind=Kind.MISSING)
        lines.append(b"%s %s\t%s\0" % (mode.encode(), oid.encode(), path))
    return _update(store, start, b"".join(lines))


def _mode(path: str, remaining: Mapping[bytes, tuple[str, str]], modes: Mapping[str, str]) -> str:
    mode = modes.get(path) or remaining.get(_raw_path(path), (REGULAR, ""))[0]
    if mode not in (REGULAR, EXECUTABLE, SYMLINK):
        raise PermanentError("bad_mode", f"{show_path(_raw_path(path))} cannot be written with mode {mode}")
    return mode


def _raw_path(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _check_fits(remaining: Mapping[bytes, tuple[str, str]], written: list[bytes]) -> None:
    """Raise if a written path is below a file or is a folder: git would silently replace the other entry."""
    files = {*remaining, *written}
    folders = {b"/".join(path.split(b"/")[:n]) for path in files for n in range(1, path.count(b"/") + 1)}
    for path in written:
        parents = (b"/".join(path.split(b"/")[:n]) for n in range(1, path.count(b"/") + 1))
        clash = path if path in folders else next((p for p in parents if p in files), None)
        if clash is not None:
            kind = "a folder" if clash == path else "a file"
            message = f"{show_path(path)} cannot be written: {show_path(clash)} is {kind}"
            raise PermanentError("path_conflict", message, "Choose another path.")


def _write_blobs(store: Store, writes: Mapping[str, bytes]) -> dict[str, str]:
    """Write each content as a blob, unchanged, in one pack; returns the object id by path."""
    if not writes:
        return {}
    blobs = b"".join(b"blob\nmark :%d\ndata %d\n%s\n" % (n, len(c), c) for n, c in enumerate(writes.values(), 1))
    requests = b"".join(b"get-mark :%d\n" % n for n in range(1, len(writes) + 1))
    oids = store.git.run(
        "fast-import", "--quiet", "--done", stdin=blobs + requests + b"done\n", timeout_s=600
    ).out.split()
    return {path: oid.decode() for path, oid in zip(writes, oids, strict=True)}


def _update(store: Store, start: str, lines: bytes) -> str:
    with ScratchFolder(store) as folder:
        index = {"GIT_INDEX_FILE": str(folder / "index")}
        store.git.run("read-tree", check_oid(start), environment=index)
        messages = store.git.run("update-index", "-z", "--index-info", stdin=lines, environment=index).err
        if "Ignoring path" in messages:  # git skips a forbidden path and exits with 0
            message = f"git cannot store a path: {last_words(messages)}"
            raise PermanentError("odd_path", message, "Choose another name.", kind=Kind.BLOCKED)
        return store.git.line("write-tree", environment=index)
