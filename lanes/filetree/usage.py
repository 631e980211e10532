"""Measures how many entries a tree has and what they take on disk."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lanes.filetree.walk import TreeWalk


@dataclass(frozen=True, slots=True)
class TreeUsage:
    """The number of entries, and the bytes that they take on disk.

    `claimed_bytes` is the sum of the files' sizes, which sparse files exceed; `unreadable` counts folders that could
    not be entered.
    """

    entries: int = 0
    disk_bytes: int = 0
    claimed_bytes: int = 0
    unreadable: int = 0


def measure(roots: Iterable[Path], max_entries: int | None = None) -> TreeUsage:
    """The usage of these trees, to which other processes may write meanwhile; stops beyond `max_entries` entries.

    A file with several hard links counts once, a sparse file by its blocks.
    """
    entries = disk = claimed = unreadable = 0
    linked: set[tuple[int, int]] = set()
    for root in roots:
        walk = TreeWalk(root, skip_unreadable=True)
        with contextlib.suppress(FileNotFoundError):  # the root itself does not exist
            for entry in walk:
                status = entry.status
                entries += 1
                if status.st_nlink > 1 and not entry.is_folder:
                    if (status.st_dev, status.st_ino) in linked:
                        continue
                    linked.add((status.st_dev, status.st_ino))
                disk += status.st_blocks * 512
                claimed += 0 if entry.is_folder else status.st_size
                if max_entries is not None and entries > max_entries:
                    break
        unreadable += walk.unreadable
    return TreeUsage(entries, disk, claimed, unreadable)
