"""A tree in memory and one way to change it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from lanes.executors.apply_edits import EditError, TreeEdit, apply_edits


class MemoryTree:
    """The files of a tree as a plain mapping; modes are 100644 unless given."""

    def __init__(self, files: Mapping[str, bytes | str], modes: Mapping[str, str] | None = None) -> None:
        self._files = {p: c.encode() if isinstance(c, str) else c for p, c in files.items()}
        self._modes = dict(modes or {})

    def paths(self):
        return list(self._files)

    def read(self, path):
        return self._files.get(path)

    def mode(self, path):
        return self._modes.get(path, "100644") if path in self._files else None


@pytest.fixture(scope="session")
def change():
    """Apply edits to files and give back what changes."""

    def run(files: Mapping[str, bytes | str], *edits, modes=None) -> TreeEdit:
        return apply_edits(edits, MemoryTree(files, modes))

    return run


@pytest.fixture(scope="session")
def rewritten(rewrite):
    """Apply one edit to one file: its text after, or None when it is refused with one of `codes`."""

    def run(path: str, text: str, edit, *codes: str) -> str | None:
        try:
            after: str = rewrite(path, text, edit)
        except EditError as refused:
            if refused.code not in codes:
                raise
            return None
        return after

    return run


@pytest.fixture(scope="session")
def rewrite(change):
    """Apply one edit to one file and give back its text after; the text before when nothing changes."""

    def run(path: str, text: str, edit) -> str:
        result = change({path: text}, edit)
        assert not result.deletes
        assert set(result.writes) <= {path}
        after: bytes = result.writes.get(path, text.encode())
        return after.decode()

    return run
