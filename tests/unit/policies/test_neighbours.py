"""Neighbours of a change: one path in two spellings, and repositories stored as files (security.md 153, 154)."""

from __future__ import annotations

import subprocess
import unicodedata

import pytest

from core.model.change import FOLDER, GITLINK, REGULAR, SYMLINK
from core.model.lane import Lane
from core.model.staged_diff import GuardVerdict
from policies.guard import TreeGuard
from tests.builders import terms
from tests.unit.policies.cases import ANYWHERE, Tree, blocked, judge, judged, of, warned

pytestmark = pytest.mark.law

ODD = Lane("odd", "odd", ("**",), "edit", odd_names=True)


def added(path, *standing):
    """A change that adds `path` to a tree in which `standing` stay as they are."""
    before = dict(standing)
    return Tree(before, {**before, path: b"new"})


TWINS = {
    "readme.md": ("README.md", b"x"),
    "docs/Guide.md": ("docs/guide.md", b"x"),
    "Docs/new.md": ("docs/old.md", b"x"),
    "docs/guide/x.md": ("docs/Guide", b"x"),
    "docs/STRASSE.md": ("docs/stra\u00dfe.md", b"x"),
    "notes/K.md": ("notes/\u212a.md", b"x"),
    unicodedata.normalize("NFC", "caf\u00e9.md"): (unicodedata.normalize("NFD", "caf\u00e9.md"), b"x"),
    unicodedata.normalize("NFC", "r\u00e9sum\u00e9/a.md"): (
        unicodedata.normalize("NFD", "R\u00e9sum\u00e9/a.md"),
        b"x",
    ),
}


@pytest.mark.parametrize("path", TWINS)
async def test_guard_10_a_new_path_that_is_an_old_one_elsewhere_is_blocked(path):
    report = await judge(added(path, TWINS[path]))
    (finding,) = of(report, "names")
    assert finding.verdict is GuardVerdict.BLOCK
    assert "the same path as" in finding.detail
    assert not (await judge(added(path, TWINS[path]), ODD)).blocked
    assert warned(await judge(added(path, TWINS[path]), ODD), "names")


@pytest.mark.parametrize(("mode", "what"), [(SYMLINK, "symbolic link"), (GITLINK, "submodule")])
@pytest.mark.parametrize("lane", [ANYWHERE, ODD])
@pytest.mark.parametrize("path", ["Vendor/x.py", "VENDOR/a/b.py", "vendor\u200b/x.py", "Vendor"])
async def test_guard_10_a_new_path_through_a_link_in_another_spelling_is_blocked_in_every_lane(mode, what, lane, path):
    report = await judge(added(path, ("vendor", (mode, b"/etc"))), lane)
    assert report.blocked
    assert path == "vendor\u200b/x.py" or any(what in finding.detail for finding in of(report, "names"))


async def test_guard_10_a_file_that_only_changes_its_case_is_no_twin():
    assert not (await judged({"readme.md": b"x"}, {"README.md": b"x"})).blocked


async def test_guard_10_an_old_file_may_change_though_it_always_had_a_twin():
    twin = {"README.md": b"x"}
    assert not (await judged({**twin, "readme.md": b"2"}, {**twin, "readme.md": b"1"})).blocked
    assert not (await judged(twin, {**twin, "readme.md": b"1"})).blocked


@pytest.mark.parametrize("path", ["schon.md", "docs/new.md", "README.mdx", "ﬁle2.md"])
async def test_guard_10_other_names_are_other_files(path):
    standing = [("sch\u00f6n.md", b"x"), ("docs/old.md", b"x"), ("README.md", b"x")]
    assert not blocked(await judge(added(path, *standing), ODD), "names")
    assert of(await judge(added(path, *standing), ODD), "names")[0].verdict is not GuardVerdict.WARN or path[0] == "ﬁ"


BARE = {"HEAD": b"ref: refs/heads/main\n", "objects/info/x": b"", "refs/heads/x": b"", "config": b"[core]\n"}


@pytest.mark.parametrize("folder", ["", "docs/", "tests/data/repo.git/", "a/b/c/"])
@pytest.mark.parametrize("lane", [ANYWHERE, ODD])
async def test_guard_10_an_embedded_bare_repository_is_blocked(folder, lane):
    report = await judged({folder + name: blob for name, blob in BARE.items()}, lane=lane)
    assert blocked(report, "gitlinks")
    assert "bare git repository" in of(report, "gitlinks")[0].detail


@pytest.mark.parametrize("last", sorted(BARE))
async def test_guard_10_the_file_that_completes_one_is_blocked_and_so_is_a_change_within(last):
    before = {f"x/{name}": blob for name, blob in BARE.items() if name != last}
    assert blocked(await judged({**before, f"x/{last}": b"new"}, before), "gitlinks")
    assert blocked(await judged({**before, f"x/{last}": b"new"}, {**before, f"x/{last}": b"old"}), "gitlinks")


async def test_guard_10_a_pointer_to_a_repository_elsewhere_is_one_too():
    files = {"x/HEAD": b"ref: refs/heads/main\n", "x/commondir": b"/srv/other.git\n"}
    assert blocked(await judged(files), "gitlinks")
    assert blocked(await judged({"x/head": b"", "x/Objects/a": b"", "x/REFS/a": b""}), "gitlinks")


@pytest.mark.parametrize(
    "files",
    [{"x/HEAD": b""}, {"x/refs/a": b"", "x/objects/b": b""}, {"x/HEAD": b"", "x/refs/a": b""}, {"HEAD.md": b""}],
)
async def test_guard_10_a_part_of_one_is_none(files):
    assert not blocked(await judged(files), "gitlinks")


async def test_guard_10_an_embedded_repository_may_be_taken_away():
    before = {f"x/{name}": blob for name, blob in BARE.items()}
    report = await judged({}, before)
    assert not blocked(report, "gitlinks")


async def test_guard_10_what_lies_beside_is_read_from_git(tmp_path):
    from core.ports.repository import RepositorySpec
    from lanes.repository import GitRepository

    def git(*argv: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(tmp_path / "origin"), *argv], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    (tmp_path / "origin").mkdir()
    git("init", "-q", "-b", "main")
    for name in ("README.md", "docs/a.md", "docs/deep/b.md", "other/c.md", "other/d/e.md"):
        (tmp_path / "origin" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "origin" / name).write_text("x")
    (tmp_path / "origin" / "Link").symlink_to("/etc")
    git("add", "-A")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x")
    repository = GitRepository(
        RepositorySpec("web", "1", str(tmp_path / "origin"), "main", "local"), tmp_path / "store"
    )
    base = await repository.fetch_base()
    tree = await repository.write_tree(await repository.tree_of(base), {"readme.md": b"x", "link/x": b"y"}, (), {})
    change = await repository.change(base, tree)
    beside = await repository.beside(tree, [b"readme.md", b"docs/new.md"])
    assert beside == {
        b"README.md": REGULAR, b"readme.md": REGULAR, b"Link": SYMLINK, b"link": FOLDER, b"docs": FOLDER,
        b"other": FOLDER,
        b"docs/a.md": REGULAR, b"docs/deep": FOLDER,
    }  # fmt: skip
    from dataclasses import replace

    judged_change = replace(change, beside=await repository.beside(tree, [file.path for file in change.files]))
    report = await TreeGuard().judge(judged_change, ANYWHERE, terms(), repository.read_blob)
    assert {f.path for f in of(report, "names")} == {"readme.md", "link/x"}
