"""Checks written paths against their neighbours: same names on other systems, and folders that are repositories."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Final

from core.model.change import ABSENT, FOLDER, GITLINK, SYMLINK, FileChange, show_path
from core.model.staged_diff import Finding
from policies.checks.scope import Scope, block, warn
from policies.globs import is_ignorable

_KINDS: Final = {FOLDER: "the folder", SYMLINK: "the symbolic link", GITLINK: "the submodule"}
_LINKS: Final = frozenset({SYMLINK, GITLINK})

EntriesByFolder = Mapping[bytes, Mapping[str, Mapping[bytes, str]]]
"""The modes of paths, by folder, by name as `on_disk` normalises it, and by path."""


def entries_by_folder(scope: Scope) -> EntriesByFolder:
    """The entries of every folder that contains a written path, the change's own files included."""
    files = {**scope.neighbours, **{file.path: file.mode for file in scope.written}}
    modes = dict.fromkeys((folder for path in files for folder in _folders(path)), FOLDER) | files
    entries: dict[bytes, dict[str, dict[bytes, str]]] = {}
    for path, mode in modes.items():
        folder, _, name = path.rpartition(b"/")
        paths = entries.setdefault(folder, {}).setdefault(on_disk(name.decode("utf-8", "surrogateescape")), {})
        paths[path] = mode
    return entries


def same_on_disk(scope: Scope, entries: EntriesByFolder) -> Iterator[tuple[FileChange, Finding]]:
    """New paths of which some part exists already in another spelling (security.md 153)."""
    for file in scope.written:
        if file.old_mode == ABSENT and (existing := _other_spelling(file.path, entries)) is not None:
            path, mode = existing
            report = block if mode in _LINKS or not scope.lane.odd_names else warn
            other = f"{_KINDS.get(mode, 'the file')} {show_path(path)}"
            yield file, report("names", f"is the same path as {other} on Windows and Macs: choose another name", file)


def _other_spelling(path: bytes, entries: EntriesByFolder) -> tuple[bytes, str] | None:
    """The first other entry with the name of `path`, or of a folder of it, in another spelling; its path and mode."""
    for part in (*_folders(path), path):
        folder, _, name = part.rpartition(b"/")
        paths = entries[folder][on_disk(name.decode("utf-8", "surrogateescape"))]
        if other := next((entry for entry in paths.items() if entry[0] != part), None):
            return other
    return None


def bare_repositories(scope: Scope) -> list[Finding]:
    """Block written paths in a folder that git reads as a repository, with its configuration.

    Such a folder has HEAD, objects and refs, or HEAD and a commondir (is_git_directory in git's setup.c). Its
    configuration can run programs, such as core.fsmonitor at every git status in it.
    """
    entries = entries_by_folder(scope)
    findings = []
    for file in scope.written:
        for folder in (b"", *_folders(file.path)):
            names = entries[folder].keys()
            if "head" in names and ({"objects", "refs"} <= names or "commondir" in names):
                where = f"the folder {show_path(folder)}" if folder else "the root of the repository"
                detail = f"is in a bare git repository, {where}: git runs the programs that its config names"
                findings.append(block("gitlinks", detail, file))
                break
    return findings


def _folders(path: bytes) -> Iterator[bytes]:
    """The folders that contain `path`, outermost first, without the root folder."""
    parts = path.split(b"/")
    return (b"/".join(parts[:n]) for n in range(1, len(parts)))


def on_disk(name: str) -> str:
    """`name` as macOS and Windows compare it: case-insensitive, in one Unicode form, without invisible characters."""
    if name.isascii():
        return name.lower()
    plain = "".join(char for char in name if not is_ignorable(char))
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", plain).casefold())
