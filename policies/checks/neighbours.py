"""The check of what lies beside a change: names that are one elsewhere, folders that git takes for repositories."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Final

from core.model.change import ABSENT, FOLDER, GITLINK, SYMLINK, FileChange, show_path
from core.model.staged_diff import Finding
from policies.checks.scope import Scope, block, warn
from policies.globs import is_ignorable

_KINDS: Final = {FOLDER: "the folder", SYMLINK: "the symbolic link", GITLINK: "the submodule"}
_LEADS_ELSEWHERE: Final = frozenset({SYMLINK, GITLINK})

Children = Mapping[bytes, Mapping[str, Mapping[bytes, str]]]
"""Folder to name as `on_disk` has it, to the paths of that name, and to their modes."""


def children_of(scope: Scope) -> Children:
    """What lies in each folder that a written path is in, the change's own files included."""
    files = {**scope.beside, **{file.path: file.mode for file in scope.written}}
    there = dict.fromkeys((folder for path in files for folder in _folders(path)), FOLDER) | files
    children: dict[bytes, dict[str, dict[bytes, str]]] = {}
    for path, mode in there.items():
        folder, _, name = path.rpartition(b"/")
        same = children.setdefault(folder, {}).setdefault(on_disk(name.decode("utf-8", "surrogateescape")), {})
        same[path] = mode
    return children


def twins(scope: Scope, children: Children) -> Iterator[tuple[FileChange, Finding]]:
    """A new path of which some part is, in another spelling, something that is there already (security.md 153)."""
    for file in scope.written:
        if file.old_mode == ABSENT and (twin := _twin(file.path, children)) is not None:
            path, mode = twin
            tell = block if mode in _LEADS_ELSEWHERE or not scope.lane.odd_names else warn
            what = f"{_KINDS.get(mode, 'the file')} {show_path(path)}"
            yield file, tell("names", f"is the same path as {what} on Windows and Macs: choose another name", file)


def _twin(path: bytes, children: Children) -> tuple[bytes, str] | None:
    """The first thing that `path`, or a folder of it, is in another spelling."""
    for part in (*_folders(path), path):
        folder, _, name = part.rpartition(b"/")
        same = children[folder][on_disk(name.decode("utf-8", "surrogateescape"))]
        if other := next((twin for twin in same.items() if twin[0] != part), None):
            return other
    return None


def repositories(scope: Scope) -> list[Finding]:
    """No written path lies in a folder that git takes for a repository, and whose settings it obeys there.

    git asks for HEAD, objects and refs, or for HEAD and a commondir that says where these are (is_git_directory in
    git's setup.c). The settings of such a folder run programs: core.fsmonitor at every git status within it.
    """
    children = children_of(scope)
    found = []
    for file in scope.written:
        for folder in (b"", *_folders(file.path)):
            names = children[folder].keys()
            if "head" in names and ({"objects", "refs"} <= names or "commondir" in names):
                where = f"the folder {show_path(folder)}" if folder else "the top of the repository"
                told = f"lies in a bare git repository, {where}: git runs the programs that its config names"
                found.append(block("gitlinks", told, file))
                break
    return found


def _folders(path: bytes) -> Iterator[bytes]:
    """The folders that `path` lies in, the highest first, without the top."""
    parts = path.split(b"/")
    return (b"/".join(parts[:n]) for n in range(1, len(parts)))


def on_disk(name: str) -> str:
    """`name` as the file systems of Macs and Windows compare it: without case, in one form, invisible ones dropped."""
    if name.isascii():
        return name.lower()
    plain = "".join(char for char in name if not is_ignorable(char))
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", plain).casefold())
