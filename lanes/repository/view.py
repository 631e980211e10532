"""Reads any number of files of a tree through one git process, without a checkout."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Self

from core.model.change import GITLINK, show_path
from lanes.repository.running import GitError, Running
from lanes.repository.store import READ_BYTES, Store, too_large_to_read
from lanes.repository.tree_listing import list_paths


class TreeView:
    """The files of one tree, read only; paths are text, with surrogate escapes for bytes that are not UTF-8.

    Use it as a context manager, from one thread.
    """

    def __init__(self, store: Store, tree: str) -> None:
        self._store = store
        entries = list_paths(store, tree)
        self._entries = {path.decode("utf-8", "surrogateescape"): entry for path, entry in entries.items()}
        self._stack = ExitStack()
        self._running: Running | None = None

    def paths(self) -> list[str]:
        """All file paths, in git's order."""
        return list(self._entries)

    def mode(self, path: str) -> str | None:
        """A file's git mode; None when there is no such file."""
        entry = self._entries.get(path)
        return entry[0] if entry else None

    def read(self, path: str) -> bytes | None:
        """A file's content, or a symlink's target; None for a submodule and when there is no such file.

        Raises `PermanentError` for more than `READ_BYTES`.
        """
        content = self.read_up_to(path, READ_BYTES)
        if content is None and self.mode(path) not in (None, GITLINK):
            raise too_large_to_read(show_path(path.encode("utf-8", "surrogateescape")))
        return content

    def read_up_to(self, path: str, limit_bytes: int) -> bytes | None:
        """As `read`, but None for a file with more than `limit_bytes`, which is not read."""
        mode, oid = self._entries.get(path, ("", ""))
        if mode in ("", GITLINK):
            return None
        running = self._running or self._start()
        running.stdin.write(f"{oid}\n".encode())
        running.stdin.flush()
        head = running.stdout.readline().split()
        if len(head) != 3:
            raise GitError("cat-file", -1, f"missing blob {oid}")
        if int(head[2]) > limit_bytes:
            self._stop()
            return None
        content = running.stdout.read(int(head[2]))
        running.stdout.read(1)
        return content

    def _start(self) -> Running:
        self._running = self._stack.enter_context(self._store.git.start("cat-file", "--batch", timeout_s=300))
        return self._running

    def _stop(self) -> None:
        self._stack.close()
        self._running = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
