"""A read-only checkout of a repository that tasks share, one after the other and at the same time.

Writing out 100,000 files takes a minute, and two trees of a repository usually differ in few files. Therefore one
folder stays on disk and is updated from tree to tree while it is not in use. A task that needs another tree meanwhile
gets its own checkout.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from core.model.errors import PermanentError
from lanes.filetree.ownership import change_owner, change_owner_of_paths
from lanes.filetree.removal import remove_tree
from lanes.repository.git_names import check_oid
from lanes.repository.store import Store
from lanes.repository.worktree import check_size

if sys.platform != "win32":  # no sandbox runs on Windows
    import fcntl

_TREE = "tree"
_STAT = {  # changing a file's owner changes its ctime, which git must not take for a change of content
    "GIT_CONFIG_COUNT": "2",
    "GIT_CONFIG_KEY_0": "core.trustctime",
    "GIT_CONFIG_VALUE_0": "false",
    "GIT_CONFIG_KEY_1": "core.checkStat",
    "GIT_CONFIG_VALUE_1": "minimal",
}


class Pristine:
    """The shared files of one repository, below `root`; with `owner`, that user owns them, without write permission."""

    def __init__(self, store: Store, root: Path, owner: int | None = None) -> None:
        self._store, self._owner = store, owner
        self._root = root / store.path.stem
        self._files = self._root / "files"

    @contextlib.contextmanager
    def leased(self, tree: str) -> Iterator[Path | None]:
        """The folder with the files of `tree`, unchanged during the block; None while another tree is in use."""
        check_oid(tree)
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._root / "held").open("wb") as lock:
            if not (self._share(lock, tree) or self._update(lock, tree)):
                yield None
                return
            yield self._files

    def _share(self, lock: IO[bytes], tree: str) -> bool:
        """Take a shared lock; False if the folder has another tree."""
        fcntl.flock(lock, fcntl.LOCK_SH)
        if self._current_tree() == tree:
            return True
        fcntl.flock(lock, fcntl.LOCK_UN)
        return False

    def _update(self, lock: IO[bytes], tree: str) -> bool:
        """Update the folder to `tree` under an exclusive lock, then share it; False while the folder is in use."""
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if self._current_tree() != tree:
            self._write(tree)
        fcntl.flock(lock, fcntl.LOCK_SH)  # not atomic: another process may have updated the folder in between
        return self._current_tree() == tree

    def _current_tree(self) -> str | None:
        try:
            return (self._root / _TREE).read_text(encoding="ascii")
        except FileNotFoundError:
            return None

    def _write(self, tree: str) -> None:
        """Write the files that differ; after an interrupted update, write all of them."""
        check_size(self._store, tree)
        before = self._current_tree()
        (self._root / _TREE).unlink(missing_ok=True)
        if before is None:
            self._remove_files()
            (self._root / "index").unlink(missing_ok=True)
        self._files.mkdir(mode=0o755, exist_ok=True)
        environment = {"GIT_INDEX_FILE": str(self._root / "index"), "GIT_WORK_TREE": str(self._files), **_STAT}
        self._store.git.run(
            "read-tree", "--reset", "-u", check_oid(tree), environment=environment, cwd=self._files, timeout_s=900.0
        )
        self._change_owner(before, tree)
        draft = self._root / f"{_TREE}.new"
        draft.write_text(tree, encoding="ascii")
        draft.replace(self._root / _TREE)

    def _remove_files(self) -> None:
        if problems := remove_tree(self._files):
            message = f"The shared files of {self._store.spec.name} cannot be removed: {problems[0]}"
            raise PermanentError("not_removed", message, f"Remove the folder {self._root} by hand.")

    def _change_owner(self, before: str | None, tree: str) -> None:
        """Make `owner` the owner of what was written: all files at first, later those that differ and their folders."""
        if self._owner is None:
            return
        if before is None:
            change_owner(self._files, self._owner)
            return
        changed = self._store.git.run("diff-tree", "-r", "-z", "--name-only", "--no-renames", before, tree).out
        change_owner_of_paths(self._files, changed.split(b"\0")[:-1], self._owner)
