"""Any tree git can hold: the change is what git says in bytes, and files come back as they went out."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings

from core.ports.repository import RepositorySpec
from lanes.repository import worktree
from lanes.repository.store import Store
from lanes.repository.tree_comparison import compare_trees, diff_text
from lanes.repository.tree_listing import list_paths
from tests import campaign
from tests.integration.lanes import forests, origin

pytestmark = pytest.mark.lanes
SHARE = 1 if campaign.WHOLE else 3


@pytest.fixture(scope="module")
def ground(tmp_path_factory) -> Store:
    made = Store(RepositorySpec("web", "web-id", "/nowhere", "main", "local"), tmp_path_factory.mktemp("state"))
    made.ensure()
    return made


def _independent(store: Store, base: str, tree: str) -> set[tuple[bytes, bytes]]:
    """(path, status) by another command of plain git, in another format."""
    fields = origin.git("diff-tree", "-r", "-z", "--name-status", "--no-renames", base, tree, at=store.path).split(
        b"\0"
    )
    return set(zip(fields[1::2], fields[0::2], strict=False))


@given(pair=forests.pairs())
@example(pair=({}, {b".github/workflows/x b/src/ok.yml": ("100644", b"")}))
@example(pair=({b"tool.sh": ("100644", b"x\n")}, {b".github/workflows/ci.yml": ("100644", b"x\n")}))
@example(pair=({b"a": ("100644", b"x")}, {b"a": ("120000", b"x")}))
@settings(max_examples=60 // SHARE)
def test_the_change_is_what_git_says(ground, pair):
    first, second = (origin.plant(ground.path, files) for files in pair)
    base = origin.commit(ground.path, first)
    change = compare_trees(ground, base, second)
    assert {(f.path, f.status.encode()) for f in change.files} == _independent(ground, base, second)
    before, after = pair
    differing = {p for p in {*before, *after} if before.get(p) != after.get(p)}
    assert {f.path for f in change.files} == differing
    assert [f.path for f in change.files] == sorted(differing)
    for file in change.files:
        for mode, sha256, size, files in (
            (file.old_mode, file.old_sha256, file.old_size, before),
            (file.mode, file.new_sha256, file.new_size, after),
        ):
            if file.path not in files:
                assert (mode, sha256, size) == ("000000", None, 0)
                continue
            assert mode == files[file.path][0]
            assert sha256 == hashlib.sha256(files[file.path][1]).hexdigest()
            assert size == (0 if mode == "160000" else len(files[file.path][1]))
    diff_text(ground, base, second)


@given(files=forests.trees(gitlinks=False))
@example(files={b".gitattributes": ("100644", b"* text eol=crlf ident filter=x working-tree-encoding=UTF-16\n"),
                b"a": ("100644", b"$Id$\r\nx\n"),
                b"s/.gitattributes": ("100644", b"* text=auto\n"), b"s/b": ("100755", b"\r\n")})  # fmt: skip
@example(files={b".gitignore": ("100644", b"*\n"), b"kept": ("100644", b"")})
@settings(max_examples=60 // SHARE)
def test_files_come_back_as_they_went_out(ground, files):
    tree = origin.plant(ground.path, files)
    with tempfile.TemporaryDirectory() as name:
        worktree.export(ground, tree, Path(name))
        assert forests.on_disk(Path(name)) == files
        assert worktree.import_tree(ground, Path(name), tree) == tree


@given(files=forests.trees(gitlinks=False), later=forests.trees(gitlinks=False))
@settings(max_examples=40 // SHARE)
def test_what_a_program_leaves_is_what_is_imported(ground, files, later):
    plain = {p: e for p, e in later.items() if p.rsplit(b"/", 1)[-1] != b".gitignore"}
    start = origin.plant(ground.path, {p: e for p, e in files.items() if p.rsplit(b"/", 1)[-1] != b".gitignore"})
    wanted = origin.plant(ground.path, plain)
    with tempfile.TemporaryDirectory() as name:
        worktree.export(ground, wanted, Path(name))
        assert worktree.import_tree(ground, Path(name), start) == wanted


@given(files=forests.trees(gitlinks=True))
@settings(max_examples=20 // SHARE)
def test_a_listing_is_the_tree(ground, files):
    listed = list_paths(ground, origin.plant(ground.path, files))
    assert {p: mode for p, (mode, _) in listed.items()} == {p: mode for p, (mode, _) in files.items()}
