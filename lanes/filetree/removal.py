"""Removes a tree whatever its depth and permissions, without following links."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from pathlib import Path
from typing import Final

from lanes.filetree.ownership import grant_permissions
from lanes.filetree.walk import REPLACED_ERRNOS, open_subfolder_fd

_BY_DESCRIPTOR: Final = os.scandir in os.supports_fd and os.open in os.supports_dir_fd
"""False on Windows, where no sandbox runs and `lanes.filetree` is used for removing only."""
_PERMISSION_ERRNOS: Final = frozenset({errno.EACCES, errno.EPERM})


def remove_tree(folder: Path, last: str = "") -> list[str]:
    """Remove a folder with all its contents, whatever the modes; returns one message for each entry that stays.

    The entry `last` is removed after everything else, and stays if anything stays. A link is removed, never followed.
    Every folder is moved up to `folder` before it is emptied, so depth does not matter; mount points stay.
    """
    if not _BY_DESCRIPTOR:
        shutil.rmtree(folder, ignore_errors=True)
        return [f"{folder} is still there"] if os.path.lexists(folder) else []
    try:
        parent = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    try:
        return _remove(parent, folder.name, last)
    except FileNotFoundError:
        return []
    except OSError as error:
        return [str(error)]
    finally:
        os.close(parent)


def _remove(parent: int, name: str, last: str) -> list[str]:
    try:
        fd = _open_for_removal(parent, name)
    except OSError as error:
        if error.errno not in REPLACED_ERRNOS:
            raise
        os.unlink(name, dir_fd=parent)
        return []
    try:
        if problems := _Removal(fd, last).run():
            return problems
        with contextlib.suppress(FileNotFoundError):
            if last:
                os.unlink(last, dir_fd=fd)
        os.rmdir(name, dir_fd=parent)
        return []
    finally:
        os.close(fd)


def _open_for_removal(parent: int, name: str) -> int:
    """Open a folder, after granting ourselves permission if necessary."""
    try:
        return open_subfolder_fd(parent, name)
    except PermissionError:
        grant_permissions(parent, name)
        return open_subfolder_fd(parent, name)


class _Removal:
    """Empties the open folder `top`, except for the entry `last`."""

    def __init__(self, top: int, last: str) -> None:
        self._top, self._last = top, last
        self._pending: list[str] = []
        self._problems: list[str] = []
        self._prefix, self._moved = secrets.token_hex(8), 0

    def run(self) -> list[str]:
        """Remove all that can be removed; returns one message for each entry that stays."""
        self._empty(self._top)
        while self._pending:
            try:
                self._remove_moved(self._pending.pop())
            except OSError as error:
                self._problems.append(str(error))
        return self._problems

    def _remove_moved(self, name: str) -> None:
        try:
            fd = _open_for_removal(self._top, name)
        except OSError as error:
            if error.errno not in REPLACED_ERRNOS:
                raise
            os.unlink(name, dir_fd=self._top)
            return
        try:
            self._empty(fd)
        finally:
            os.close(fd)
        os.rmdir(name, dir_fd=self._top)

    def _empty(self, fd: int) -> None:
        with os.scandir(fd) as entries:
            listed = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for name, is_folder in listed:
            if fd == self._top and name == self._last:
                continue
            try:
                self._remove_or_move(fd, name, is_folder=is_folder)
            except OSError as error:
                self._problems.append(str(error))

    def _remove_or_move(self, fd: int, name: str, *, is_folder: bool) -> None:
        """Remove a file; move a folder up to `top`, where it is emptied later."""
        try:
            self._remove_or_move_once(fd, name, is_folder=is_folder)
        except OSError as error:
            if error.errno not in _PERMISSION_ERRNOS:
                raise
            os.fchmod(fd, 0o700)
            if is_folder:
                grant_permissions(fd, name)  # moving a folder changes its own ".." entry
            self._remove_or_move_once(fd, name, is_folder=is_folder)

    def _remove_or_move_once(self, fd: int, name: str, *, is_folder: bool) -> None:
        if not is_folder:
            os.unlink(name, dir_fd=fd)
            return
        self._moved += 1  # a link that has taken its place is moved as well, and then unlinked
        moved = f".{self._prefix}-{self._moved}"
        os.rename(name, moved, src_dir_fd=fd, dst_dir_fd=self._top)
        self._pending.append(moved)
