"""`lanes.filetree` is the only package of `lanes` that recurses into trees; how it walks and removes them."""

from __future__ import annotations

import ast
import contextlib
import os
from pathlib import Path

import pytest

from lanes import filetree
from lanes.filetree.ownership import change_owner
from lanes.filetree.removal import remove_tree
from lanes.filetree.usage import TreeUsage, measure
from lanes.filetree.walk import TreeWalk

FILETREE = Path(filetree.__file__).parent
LANES = FILETREE.parent
RISKY = {"walk", "fwalk", "chown", "lchown", "rmtree", "copytree", "removedirs", "rglob"}
"""What follows a link somewhere on the way, recurses, or ends at PATH_MAX."""


@pytest.mark.parametrize(
    "path", sorted(set(LANES.rglob("*.py")) - {*FILETREE.iterdir()}), ids=lambda p: str(p.relative_to(LANES))
)
def test_no_other_module_of_lanes_works_on_trees_by_path(path):
    names = {
        node.func.attr
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert not (names & RISKY)


def test_parents_come_before_what_they_hold_and_the_way_is_known(tmp_path):
    for name in ("a/b/c", "a/d", "e"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_text("12345")
    (tmp_path / "link").symlink_to("/")
    entries = [(entry.path, entry.depth, entry.is_folder) for entry in TreeWalk(tmp_path)]
    assert {path: (depth, folder) for path, depth, folder in entries} == {
        b"a": (0, True), b"a/b": (1, True), b"a/b/c": (2, True), b"a/b/file": (2, False), b"a/d": (1, True),
        b"e": (0, True), b"link": (0, False),
    }  # fmt: skip
    order = [path for path, _, _ in entries]
    assert order.index(b"a") < order.index(b"a/b") < order.index(b"a/b/c")
    assert measure((tmp_path,)).claimed_bytes == 5 + len("/")


def test_a_walk_that_ends_early_keeps_nothing_open(tmp_path):
    (tmp_path / "/".join("d" * 60)).mkdir(parents=True)
    before = still_open()
    for depth in (1, 40, 60):
        walk = iter(TreeWalk(tmp_path))
        for _ in range(depth):
            next(walk)
        walk.close()  # type: ignore[attr-defined]
    assert len([*TreeWalk(tmp_path)]) == 60
    assert still_open() == before


def still_open() -> int:
    """The number of open descriptors, on systems that list them."""
    descriptors = Path("/proc/self/fd")
    return len([*descriptors.iterdir()]) if descriptors.is_dir() else 0


def test_a_deep_tree_with_branches_on_the_way_is_walked_once(tmp_path):
    at, expected = tmp_path, set()
    for n in range(120):
        at = at / "d"
        at.mkdir()
        if n % 10 == 5:
            (at / "e" / "f").mkdir(parents=True)
            (at / "e" / "f" / "file").touch()
    expected = {os.fsencode(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    paths = [entry.path for entry in TreeWalk(tmp_path)]
    assert len(paths) == len(expected) == 120 + 12 * 3
    assert set(paths) == expected
    assert remove_tree(tmp_path / "d") == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("skip_unreadable", [True, False])
def test_a_folder_that_was_moved_in_the_middle_is_told_of(tmp_path, skip_unreadable):
    """The way up is another one then: who measures goes on at the root, who judges does not."""
    deep = tmp_path / "a" / "/".join("d" * 50)
    deep.mkdir(parents=True)
    (tmp_path / "z").mkdir()
    seen, walk = set(), TreeWalk(tmp_path, skip_unreadable=skip_unreadable)
    with contextlib.nullcontext() if skip_unreadable else pytest.raises(OSError, match="Stale"):
        for entry in walk:
            seen.add(entry.path.split(b"/")[0])
            if entry.depth == 50:
                (tmp_path / "a" / "d" / "d").rename(tmp_path / "moved")
    assert walk.unreadable == 1
    assert seen == {b"a", b"z"}


def test_a_link_in_the_place_of_the_folder_itself_is_refused_or_removed(tmp_path):
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "file").touch()
    (tmp_path / "root").symlink_to("host")
    with pytest.raises(OSError, match="root"):
        change_owner(tmp_path / "root", os.geteuid())
    assert remove_tree(tmp_path / "root") == []
    assert not (tmp_path / "root").is_symlink()
    assert (tmp_path / "host" / "file").exists()


def test_what_is_not_there_is_removed_already(tmp_path):
    assert remove_tree(tmp_path / "gone") == []
    assert remove_tree(tmp_path / "gone" / "too") == []
    assert measure((tmp_path / "gone",)) == TreeUsage()
