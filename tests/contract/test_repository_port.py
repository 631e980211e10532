"""What every `Repository` promises, asked of the one in memory that other tests use and of the real git store alike."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core.model.errors import ConflictError, CountersignError, PermanentError
from core.ports.repository import Commit, Repository, RepositorySpec
from lanes.repository import GitRepository
from tests.fakes.repository import MemoryRepository
from tests.homes import make_repository

pytestmark = pytest.mark.lanes

FILES = {"README.md": b"# Web\n", "config/app.yaml": b"server:\n  timeout: 10\n  host: a\n", "src/a.py": b"print(1)\n"}
AT = datetime(2026, 5, 4, 12, tzinfo=UTC)
UNKNOWN = "1" * 40


@dataclass
class Store:
    """A repository, and how its tests write trees and make a second store of the same remote."""

    repository: Any
    folder: Path

    async def tree(self, files: Mapping[str, bytes]) -> str:
        """The tree that holds exactly `files`."""
        if isinstance(self.repository, MemoryRepository):
            return self.repository.add(dict(files))
        base = await self.repository.fetch_base()
        start = await self.repository.tree_of(base)
        gone = [path for path in FILES if path not in files]
        tree: str = await self.repository.write_tree(start, files, gone, {})
        return tree

    async def with_changes(self, **changes: bytes | None) -> str:
        """The tree of the default branch with files written, or removed where the content is None."""
        files = {**FILES, **{path: content for path, content in changes.items() if content is not None}}
        return await self.tree({path: content for path, content in files.items() if changes.get(path, b"") is not None})

    async def commit(self, tree: str, parent: str, message: str = "change") -> str:
        """A commit of `tree`."""
        oid: str = await self.repository.write_commit(Commit(tree, parent, message, AT))
        return oid

    def other(self) -> Repository:
        """A store on another host that has fetched the same remote and nothing else."""
        if isinstance(self.repository, MemoryRepository):
            return MemoryRepository.holding(self.repository.spec, dict(FILES))
        return GitRepository(self.repository.spec, self.folder / "other")


@pytest.fixture(params=["memory", "git"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "memory":
        spec = RepositorySpec("web", "local:web", "memory://web", "main", "local")
        return Store(MemoryRepository.holding(spec, dict(FILES)), tmp_path)
    bare = tmp_path / "origin.git"
    make_repository(bare, FILES)
    spec = RepositorySpec("web", "local:web", str(bare), "main", "local")
    return Store(GitRepository(spec, tmp_path / "git"), tmp_path)


async def test_the_base_is_the_tip_of_the_remotes_default_branch(store):
    base = await store.repository.fetch_base()
    assert await store.repository.fetch_base() == base
    assert list(await store.repository.paths(base)) == sorted(FILES)
    assert await store.repository.read_path(base, "config/app.yaml") == FILES["config/app.yaml"]
    assert await store.repository.read_path(base, "config/none.yaml") is None
    assert await store.repository.read_path(base, "config") is None, "a folder is not a file"


async def test_the_same_content_has_the_same_id(store):
    base = await store.repository.fetch_base()
    tree = await store.with_changes(**{"src/a.py": b"print(2)\n"})
    assert await store.with_changes(**{"src/a.py": b"print(2)\n"}) == tree
    commit = await store.commit(tree, base)
    assert await store.commit(tree, base) == commit
    assert await store.commit(tree, base, "another message") != commit
    assert await store.repository.tree_of(commit) == tree


async def test_a_change_names_paths_modes_contents_and_lines(store):
    base = await store.repository.fetch_base()
    content = b"server:\n  timeout: 30\n  host: a\n"
    tree = await store.with_changes(**{"config/app.yaml": content, "new/file.txt": b"one\ntwo\n", "README.md": None})
    change = await store.repository.change(base, tree)
    assert (change.repository, change.base, change.tree) == (store.repository.spec.id, base, tree)
    gone, changed, added = change.files
    assert [file.path for file in change.files] == [b"README.md", b"config/app.yaml", b"new/file.txt"]
    assert [file.status for file in change.files] == ["D", "M", "A"]
    assert (gone.mode, gone.new_sha256, gone.added, gone.removed) == ("000000", None, 0, 1)
    assert (changed.old_mode, changed.mode, changed.added, changed.removed) == ("100644", "100644", 1, 1)
    assert changed.new_sha256 == hashlib.sha256(content).hexdigest()
    assert changed.old_sha256 == hashlib.sha256(FILES["config/app.yaml"]).hexdigest()
    assert (changed.old_size, changed.new_size) == (len(FILES["config/app.yaml"]), len(content))
    assert (added.old_mode, added.old_blob, added.added, added.removed) == ("000000", None, 2, 0)
    assert changed.new_blob is not None
    assert await store.repository.read_blob(changed.new_blob) == content


async def test_a_tree_that_is_the_bases_own_changes_nothing(store):
    base = await store.repository.fetch_base()
    tree = await store.repository.tree_of(base)
    assert (await store.repository.change(base, tree)).files == ()
    assert await store.repository.diff_text(base, tree) == b""


async def test_the_text_of_a_diff_names_what_changed(store):
    base = await store.repository.fetch_base()
    text = await store.repository.diff_text(base, await store.with_changes(**{"src/a.py": b"print(2)\n"}))
    assert b"src/a.py" in text
    assert b"-print(1)\n" in text
    assert b"+print(2)\n" in text


async def test_it_has_what_it_wrote_and_nothing_else(store):
    base = await store.repository.fetch_base()
    tree = await store.with_changes(**{"src/a.py": b"print(2)\n"})
    commit = await store.commit(tree, base)
    for oid in (base, tree, commit):
        assert await store.repository.has(oid)
    assert not await store.repository.has(UNKNOWN)


async def test_an_object_that_is_not_there_is_a_fault_with_a_sentence(store):
    base = await store.repository.fetch_base()
    tree = await store.repository.tree_of(base)
    asked = (
        store.repository.change(UNKNOWN, tree),
        store.repository.change(base, UNKNOWN),
        store.repository.tree_of(UNKNOWN),
        store.repository.read_blob(UNKNOWN),
        store.repository.read_path(UNKNOWN, "README.md"),
        store.repository.write_commit(Commit(UNKNOWN, base, "x", AT)),
    )
    for question in asked:
        with pytest.raises(CountersignError):
            await question


async def test_what_lies_beside_a_path_is_in_the_folders_above_it(store):
    tree = await store.with_changes(**{"src/deep/er/b.py": b"", "src/deep/c.py": b"", "docs/x.md": b""})
    beside = await store.repository.beside(tree, [b"src/deep/new.py"])
    files = {path for path, mode in beside.items() if mode == "100644"}
    assert files == {b"README.md", b"src/a.py", b"src/deep/c.py"}
    folders = {path for path, mode in beside.items() if mode == "040000"}
    assert folders == {b"config", b"docs", b"src", b"src/deep", b"src/deep/er"}


async def test_what_is_kept_is_found_by_its_name(store):
    base = await store.repository.fetch_base()
    one = await store.commit(await store.with_changes(**{"src/a.py": b"1"}), base)
    two = await store.commit(await store.with_changes(**{"src/a.py": b"2"}), base)
    await store.repository.keep("7/pushed/1", one)
    await store.repository.keep("7/pushed/2", two)
    await store.repository.keep("77/1", two)
    assert set(await store.repository.kept("7/pushed")) == {one, two}
    assert await store.repository.kept("8") == ()


async def test_a_pack_brings_a_tree_to_another_host(store):
    base = await store.repository.fetch_base()
    tree = await store.with_changes(**{"src/a.py": b"print(2)\n", "new.txt": b"\xff\x00"})
    pack = await store.repository.pack(base, tree)
    other = store.other()
    await other.fetch_base()
    assert not await other.has(tree)
    await other.unpack(pack)
    assert await other.has(tree)
    assert (await other.change(base, tree)).files == (await store.repository.change(base, tree)).files


async def test_a_commit_is_taken_back_unless_the_same_lines_changed_since(store):
    base = await store.repository.fetch_base()
    done = await store.commit(await store.with_changes(**{"src/a.py": b"print(2)\n", "new.txt": b"new\n"}), base)
    beside = {**FILES, "src/a.py": b"print(2)\n", "new.txt": b"new\n", "README.md": b"# Other\n"}
    later = await store.commit(await store.tree(beside), done)
    assert await store.repository.revert(done, later) == await store.with_changes(**{"README.md": b"# Other\n"})
    clash = await store.commit(await store.tree({**beside, "src/a.py": b"print(3)\n"}), later)
    with pytest.raises(PermanentError):
        await store.repository.revert(done, clash)


async def test_a_merge_is_computed_without_being_made(store):
    base = await store.repository.fetch_base()
    head = await store.commit(await store.with_changes(**{"src/a.py": b"print(2)\n"}), base)
    moved = await store.commit(await store.with_changes(**{"README.md": b"# Other\n"}), base)
    both = await store.with_changes(**{"src/a.py": b"print(2)\n", "README.md": b"# Other\n"})
    assert await store.repository.merged_tree(moved, head) == both
    assert await store.repository.parent_of(head) == base
    assert await store.repository.fetch_base() == base
    clash = await store.commit(await store.with_changes(**{"src/a.py": b"print(3)\n"}), base)
    with pytest.raises(ConflictError):
        await store.repository.merged_tree(clash, head)
