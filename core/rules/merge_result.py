"""Whether a merge is the countersigned patch on the target branch, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from core.model.change import Change, FileChange

_Entry = tuple[str, str, str | None, str | None]


def merge_difference(approved: Change, merged: Change) -> str | None:
    """How a merge differs from the approved change, in a few words; None if it is that change, file by file.

    `merged` is the change from the commit that is merged into, to the merge's tree. It is the approved change if it has
    the same paths, and each path has the approved mode and bytes before and after. A merge of lines that git finds
    clean is not enough, because no one approved the file that it makes.
    """
    wanted, found = _entries(approved), _entries(merged)
    for path, entry in wanted.items():
        if path not in found:
            return f"{_shown(approved, path)} is as approved there already, or cannot be changed alike"
        if found[path] != entry:
            return f"{_shown(approved, path)} was changed there since it was approved"
    extra = next((path for path in found if path not in wanted), None)
    return f"{_shown(merged, extra)} would change too, which was not approved" if extra is not None else None


def _entries(change: Change) -> Mapping[bytes, _Entry]:
    return {file.path: _entry(file) for file in change.files}


def _entry(file: FileChange) -> _Entry:
    return file.old_mode, file.mode, file.old_sha256, file.new_sha256


def _shown(change: Change, path: bytes) -> str:
    return next(file.shown_path for file in change.files if file.path == path)
