"""A repository in memory: trees are mappings of paths to bytes, named by what they hold, as git names them."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from core.model.change import ABSENT, FOLDER, REGULAR, Change, FileChange
from core.model.errors import ConflictError, PermanentError
from core.ports.repository import Commit, RepositorySpec

Tree = dict[str, bytes]
T = TypeVar("T")
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class MemoryRepository:
    """The host's store of one repository and, for `fetch_base`, its remote's default branch `main`."""

    spec: RepositorySpec
    trees: dict[str, Tree] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    main: str = ""

    @classmethod
    def holding(cls, spec: RepositorySpec, files: Tree) -> MemoryRepository:
        """A repository whose default branch has one commit of `files`."""
        made = cls(spec)
        made.main = made.commit(Commit(made.add(files), "0" * 40, "first", _EPOCH))
        return made

    def add(self, files: Tree) -> str:
        """Write a tree; the same files give the same id."""
        for content in files.values():
            self.blobs[_oid("blob", content)] = content
        oid = _oid("tree", json.dumps({p: _oid("blob", c) for p, c in sorted(files.items())}).encode())
        self.trees[oid] = dict(files)
        return oid

    def commit(self, commit: Commit) -> str:
        """Write a commit; the same commit gives the same id."""
        if commit.tree not in self.trees:
            raise PermanentError("no_such_object", f"there is no tree {commit.tree}")
        said = [commit.tree, commit.parent, commit.message, commit.at.isoformat()]
        oid = _oid("commit", json.dumps(said).encode())
        self.commits[oid] = commit
        return oid

    async def fetch_base(self) -> str:
        return self.main

    async def change(self, base: str, tree: str) -> Change:
        old, new = self._files_at(base), self._files_of(tree)
        files = [
            _file_change(path, old.get(path), new.get(path))
            for path in sorted({*old, *new})
            if old.get(path) != new.get(path)
        ]
        return Change(self.spec.id, base, tree, tuple(files))

    async def read_path(self, commit: str, path: str) -> bytes | None:
        return self._files_at(commit).get(path)

    async def paths(self, commit: str) -> list[str]:
        return sorted(self.trees[await self.tree_of(commit)])

    async def read_blob(self, oid: str) -> bytes:
        return _there(self.blobs, oid)

    async def tree_of(self, commit: str) -> str:
        return _there(self.commits, commit).tree

    async def has(self, oid: str) -> bool:
        return oid in self.trees or oid in self.commits or oid in self.blobs

    async def beside(self, tree: str, paths: Collection[bytes]) -> dict[bytes, str]:
        above = {folder for path in paths for folder in _folders(path)}
        found: dict[bytes, str] = {}
        for path in map(str.encode, self._files_of(tree)):
            parts = path.split(b"/")
            for n in range(len(parts)):
                if b"/".join(parts[:n]) in above:
                    found[b"/".join(parts[: n + 1])] = REGULAR if n + 1 == len(parts) else FOLDER
        return found

    async def diff_text(self, base: str, tree: str) -> bytes:
        old, new = self._files_at(base), self._files_of(tree)
        parts = [_diff(path, old.get(path), new.get(path)) for path in sorted({*old, *new})]
        return "".join(parts).encode()

    async def write_commit(self, commit: Commit) -> str:
        return self.commit(commit)

    async def keep(self, name: str, commit: str) -> None:
        assert commit in self.commits
        self.refs[name] = commit

    async def kept(self, name: str) -> tuple[str, ...]:
        return tuple(commit for ref, commit in self.refs.items() if ref.startswith(f"{name}/"))

    async def pack(self, base: str, tree: str) -> bytes:
        assert base in self.commits
        return json.dumps({path: content.decode("latin-1") for path, content in self.trees[tree].items()}).encode()

    async def unpack(self, pack: bytes) -> None:
        self.add({path: content.encode("latin-1") for path, content in json.loads(pack).items()})

    async def parent_of(self, commit: str) -> str:
        return _there(self.commits, commit).parent

    async def merged_tree(self, onto: str, head: str) -> str:
        pushed = _there(self.commits, head)
        before, after, files = self._files_at(pushed.parent), self._files_of(pushed.tree), dict(self._files_at(onto))
        for path in {*before, *after}:
            if before.get(path) == after.get(path) or files.get(path) == after.get(path):
                continue
            if files.get(path) != before.get(path):
                raise ConflictError("merge_conflict", f"{path} changed on both sides")
            files.pop(path, None)
            if path in after:
                files[path] = after[path]
        return self.add(files)

    async def revert(self, commit: str, onto: str) -> str:
        taken = _there(self.commits, commit)
        before, after = self._files_at(taken.parent), self._files_of(taken.tree)
        files = dict(self._files_at(onto))
        for path in {*before, *after}:
            if before.get(path) == after.get(path):
                continue
            if files.get(path) != after.get(path):
                raise PermanentError("conflict", f"{path} changed since")
            files.pop(path, None)
            if path in before:
                files[path] = before[path]
        return self.add(files)

    def _files_at(self, commit: str) -> Tree:
        return self._files_of(_there(self.commits, commit).tree)

    def _files_of(self, tree: str) -> Tree:
        return _there(self.trees, tree)


def _there(objects: Mapping[str, T], oid: str) -> T:
    if oid not in objects:
        raise PermanentError("no_such_object", f"there is no object {oid}")
    return objects[oid]


def _folders(path: bytes) -> list[bytes]:
    """The folders above a path, the top included."""
    parts = path.split(b"/")
    return [b"/".join(parts[:n]) for n in range(len(parts))]


def _lines(content: bytes | None) -> list[str]:
    return (content or b"").decode("latin-1").splitlines(keepends=True)


def _diff(path: str, old: bytes | None, new: bytes | None) -> str:
    if old == new:
        return ""
    names = f"a/{path}" if old is not None else "/dev/null", f"b/{path}" if new is not None else "/dev/null"
    return f"diff --git a/{path} b/{path}\n" + "".join(difflib.unified_diff(_lines(old), _lines(new), *names))


def _counts(old: bytes | None, new: bytes | None) -> tuple[int, int]:
    """How many lines are added and removed."""
    steps = difflib.SequenceMatcher(None, _lines(old), _lines(new), autojunk=False).get_opcodes()
    changed = [step for step in steps if step[0] != "equal"]
    return sum(step[4] - step[3] for step in changed), sum(step[2] - step[1] for step in changed)


def _file_change(path: str, old: bytes | None, new: bytes | None) -> FileChange:
    added, removed = _counts(old, new)
    return FileChange(
        path=path.encode(),
        old_mode=ABSENT if old is None else REGULAR,
        mode=ABSENT if new is None else REGULAR,
        old_blob=None if old is None else _oid("blob", old),
        new_blob=None if new is None else _oid("blob", new),
        old_sha256=None if old is None else hashlib.sha256(old).hexdigest(),
        new_sha256=None if new is None else hashlib.sha256(new).hexdigest(),
        old_size=len(old or b""),
        new_size=len(new or b""),
        added=added,
        removed=removed,
    )


def _oid(kind: str, content: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()
