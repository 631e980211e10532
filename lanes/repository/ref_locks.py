"""Retries work on references while another process holds their lock, and removes the locks of killed processes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from lanes.repository.faults import LOCK_FILE, LOCKED
from lanes.repository.running import GitError

T = TypeVar("T")

_STALE_AFTER_S: Final = 60.0
_ATTEMPTS: Final = 7
_FIRST_WAIT_S: Final = 0.05


def retry_while_locked(git_dir: Path, work: Callable[[], T]) -> T:
    """The result of `work` on references of `git_dir`; retried, for about 3 s in all, while one of them is locked."""
    for attempt in range(_ATTEMPTS):
        try:
            return work()
        except GitError as failure:
            if attempt == _ATTEMPTS - 1 or not LOCKED.search(failure.err):
                raise
            _remove_if_stale(git_dir, LOCK_FILE.search(failure.err))
            time.sleep(_FIRST_WAIT_S * 2**attempt)
    raise AssertionError("unreachable")


def _remove_if_stale(git_dir: Path, match: re.Match[str] | None) -> None:
    """Remove a lock file of `git_dir` that a killed git left there, which git itself never does."""
    if match is None:
        return
    lock = Path(match.group(1))
    try:
        inside = lock.resolve().is_relative_to(git_dir.resolve())
        if inside and time.time() - lock.stat().st_mtime > _STALE_AFTER_S:
            lock.unlink()
    except OSError:
        return
