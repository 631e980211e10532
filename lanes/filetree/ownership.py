"""Changes the owner and the permissions of files in a tree, without following links."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from lanes.filetree.walk import FOLDER_FLAGS, NO_FOLDER_ERRNOS, TreeWalk, open_folder

_PATH_FLAGS: Final = getattr(os, "O_PATH", 0) | FOLDER_FLAGS


def change_owner(root: Path, uid: int) -> None:
    """Make `uid` the owner of the folder `root` and all below it. Needs root; no process may write there meanwhile."""
    with open_folder(root) as fd:
        os.fchown(fd, uid, uid)
        for entry in TreeWalk(fd):
            os.chown(entry.name, uid, uid, dir_fd=entry.parent, follow_symlinks=False)


def change_owner_of_paths(root: Path, paths: Iterable[bytes], uid: int) -> None:
    """Make `uid` the owner of `paths` below `root` and of the folders above them; missing paths are skipped."""
    with open_folder(root) as top:
        open_folders: list[tuple[bytes, int]] = []  # those above the last path stay open for its neighbours
        try:
            for path in paths:
                *folders, name = path.split(b"/")
                while [part for part, _ in open_folders] != folders[: len(open_folders)]:
                    os.close(open_folders.pop()[1])
                _change_owner_of_path(top, open_folders, folders, name, uid)
        finally:
            for _, fd in open_folders:
                os.close(fd)


def _change_owner_of_path(
    top: int, open_folders: list[tuple[bytes, int]], folders: list[bytes], name: bytes, uid: int
) -> None:
    """Change the owner of what lies between the end of `open_folders` and the file `name`, the file included."""
    try:
        for part in (*folders[len(open_folders) :], None):
            at = open_folders[-1][1] if open_folders else top
            os.chown(name if part is None else part, uid, uid, dir_fd=at, follow_symlinks=False)
            if part is not None:
                open_folders.append((part, os.open(part, FOLDER_FLAGS, dir_fd=at)))
    except OSError as error:
        if error.errno not in NO_FOLDER_ERRNOS:
            raise


def grant_permissions(parent: int, name: str, mode: int = 0o700) -> None:
    """Set the mode of the folder `name` in an open one, so that it can be entered; never of the target of a link."""
    if not hasattr(os, "O_PATH"):
        os.chmod(name, mode, dir_fd=parent, follow_symlinks=False)
        return
    fd = os.open(name, _PATH_FLAGS, dir_fd=parent)
    try:
        os.chmod(f"/proc/self/fd/{fd}", mode)  # noqa: PTH101 - the open folder itself
    finally:
        os.close(fd)
