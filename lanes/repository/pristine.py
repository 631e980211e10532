"""Pristine files: a tree of the repository on disk, which nobody writes to and many read, kept from task to task.

Writing out 100,000 files takes a minute; another tree of the same repository differs in a few. So one folder is kept
and brought from tree to tree, while nobody uses it. Whoever needs another tree meanwhile writes out files of their own.
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
from lanes.repository.store import Store, check_oid
from lanes.repository.worktree import weigh

if sys.platform != "win32":  # where no sandbox runs either
    import fcntl

_TREE = "tree"
_STAT = {  # giving a file to its owner changes its ctime, and nothing of what git has to know
    "GIT_CONFIG_COUNT": "2",
    "GIT_CONFIG_KEY_0": "core.trustctime",
    "GIT_CONFIG_VALUE_0": "false",
    "GIT_CONFIG_KEY_1": "core.checkStat",
    "GIT_CONFIG_VALUE_1": "minimal",
}


class Pristine:
    """The kept files of one repository, below `root`. With `owner`, they are given to that user, who may not write."""

    def __init__(self, store: Store, root: Path, owner: int | None = None) -> None:
        self._store, self._owner = store, owner
        self._root = root / store.path.stem
        self._files = self._root / "files"

    @contextlib.contextmanager
    def leased(self, tree: str) -> Iterator[Path | None]:
        """The folder that holds exactly `tree`, unchanged for as long as the block; None while others use another."""
        check_oid(tree)
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._root / "held").open("wb") as held:
            if not (self._take(held, tree) or self._bring(held, tree)):
                yield None
                return
            yield self._files

    def _take(self, held: IO[bytes], tree: str) -> bool:
        """Share the lock, if the folder holds `tree`."""
        fcntl.flock(held, fcntl.LOCK_SH)
        if self._holds() == tree:
            return True
        fcntl.flock(held, fcntl.LOCK_UN)
        return False

    def _bring(self, held: IO[bytes], tree: str) -> bool:
        """Bring the folder to `tree`, alone, and share the lock on it."""
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if self._holds() != tree:
            self._write(tree)
        fcntl.flock(held, fcntl.LOCK_SH)  # not one step: somebody may have been faster
        return self._holds() == tree

    def _holds(self) -> str | None:
        try:
            return (self._root / _TREE).read_text(encoding="ascii")
        except FileNotFoundError:
            return None

    def _write(self, tree: str) -> None:
        """Write out what differs; a folder that was left in the middle is written anew."""
        weigh(self._store, tree)
        before = self._holds()
        (self._root / _TREE).unlink(missing_ok=True)
        if before is None:
            self._remove_files()
            (self._root / "index").unlink(missing_ok=True)
        self._files.mkdir(mode=0o755, exist_ok=True)
        where = {"GIT_INDEX_FILE": str(self._root / "index"), "GIT_WORK_TREE": str(self._files), **_STAT}
        self._store.git.run(
            "read-tree", "--reset", "-u", check_oid(tree), environment=where, cwd=self._files, timeout_s=900.0
        )
        self._give(before, tree)
        draft = self._root / f"{_TREE}.new"
        draft.write_text(tree, encoding="ascii")
        draft.replace(self._root / _TREE)

    def _remove_files(self) -> None:
        if problems := remove_tree(self._files):
            message = f"The kept files of {self._store.spec.name} cannot be removed: {problems[0]}"
            raise PermanentError("not_removed", message, f"Remove the folder {self._root} by hand.")

    def _give(self, before: str | None, tree: str) -> None:
        """Give what was just written to the owner: all of it at first, later what differs and the folders above."""
        if self._owner is None:
            return
        if before is None:
            change_owner(self._files, self._owner)
            return
        named = self._store.git.run("diff-tree", "-r", "-z", "--name-only", "--no-renames", before, tree).out
        change_owner_of_paths(self._files, named.split(b"\0")[:-1], self._owner)
