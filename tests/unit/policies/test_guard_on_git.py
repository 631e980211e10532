"""The guard's paths are git's own, whatever files are called (security.md 72-82)."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.model.change import Change, FileChange
from core.model.lane import Lane
from policies.guard import checked_paths
from tests.builders import BASE
from tests.unit.policies.cases import Tree, judge, of

pytestmark = [
    pytest.mark.law,
    pytest.mark.skipif(shutil.which("git") is None, reason="needs git on the PATH: install git"),
]

# git's own t4135-apply-weird-filenames.sh and t4100, and the names that mislead diff parsers (security.md 72-75).
WEIRD = [
    b"postimage.txt",
    b"file with spaces",
    b"a b/c",
    b"tab\tname",
    b"new\nline",
    b'quo"ted',
    b"back\\slash",
    b"pipe|x",
    b"a+b",
    b" leading",
    b"trailing ",
    b"\xc3\xa9.py",
    b"\xff\xfe",
    b"b/src/ok.yml",
    b".github/workflows/x b/src/ok.yml",
    b".github/x b/src/y.bin",
    b"x => y",
    b"{a => b}/c",
    b"-x",
    b"--",
    b"dev/null",
    b"a/b/c/d/e",
    b"cr\rname",
    b"\xe2\x80\xa8sep",
    b"rename from x",
    b"@@ -1 +1 @@",
    b"+++ b/x",
    b"a\x1b[31m",
]


class Git:
    """A bare store with trees of our making; nothing is checked out, so every name is possible."""

    def __init__(self, folder):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        self.env = {**clean, "GIT_DIR": str(folder / "x.git"), "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(folder)}
        self.run("init", "-q", "--bare", str(folder / "x.git"))

    def run(self, *argv: str, given: bytes = b"", **more: str) -> bytes:
        done = subprocess.run(
            ["git", *argv], input=given, env={**self.env, **more}, capture_output=True, check=True, timeout=60
        )
        return done.stdout

    def tree(self, files: dict[bytes, bytes], folder) -> str:
        file = folder / "index"
        file.unlink(missing_ok=True)
        index = str(file)
        lines = b"".join(
            b"100644 %s\t%s\0" % (self.run("hash-object", "-w", "--stdin", given=blob).strip(), path)
            for path, blob in files.items()
        )
        self.run("update-index", "-z", "--index-info", given=lines, GIT_INDEX_FILE=index)
        return self.run("write-tree", GIT_INDEX_FILE=index).decode().strip()

    def raw(self, old: str, new: str) -> bytes:
        return self.run("diff-tree", "-r", "-z", "--raw", "--no-renames", old, new)


def raw_paths(raw: bytes) -> set[bytes]:
    fields = raw.split(b"\0")
    return set(fields[1::2])


@pytest.fixture
def git(tmp_path):
    return Git(tmp_path)


async def test_every_weird_name_is_judged_and_named(git, tmp_path):
    files = dict.fromkeys(WEIRD, b"")
    empty, full = git.tree({}, tmp_path), git.tree(files, tmp_path)
    raw = git.raw(empty, full)
    tree = Tree({}, files)
    assert checked_paths(tree.change) == raw_paths(raw) == set(WEIRD)
    report = await judge(tree, Lane("none", "none", ("nothing/**",), "edit"))
    listed = {f.path for f in of(report, "paths") if f.path}
    assert len(listed) == 20
    assert of(report, "paths")[-1].detail == f"and {len(WEIRD) - 20} more like these"
    for path in (b".github/workflows/x b/src/ok.yml", b".github/x b/src/y.bin"):
        one = await judge(Tree({}, {path: b""}), Lane("src", "src", ("src/**",), "edit"))
        assert one.blocked
        assert of(one, "protected")[0].path == path.decode()


async def test_what_git_lists_does_not_depend_on_how_it_shows(git, tmp_path):
    old, new = git.tree({b"a": b"1"}, tmp_path), git.tree({b"b c": b"1", b"\xff": b"2"}, tmp_path)
    plain = git.raw(old, new)
    for key, value in (
        ("diff.noprefix", "true"),
        ("color.ui", "always"),
        ("core.quotePath", "true"),
        ("diff.renames", "copies"),
    ):
        git.run("config", key, value)
    assert git.raw(old, new) == plain


name = st.binary(min_size=1, max_size=8).filter(
    lambda p: b"\0" not in p and b"/" not in p and p.lower() != b".git" and p not in {b".", b".."}
)
side = st.dictionaries(
    st.lists(name, min_size=1, max_size=2).map(b"/".join), st.sampled_from([b"", b"x", b"y"]), max_size=5
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(side, side)
def test_the_guards_path_set_is_gits(git, tmp_path, before, after):
    for files in (before, after):
        for path in list(files):
            if any(other.startswith(path + b"/") for other in files):
                del files[path]
    try:
        old, new = git.tree(before, tmp_path), git.tree(after, tmp_path)
    except subprocess.CalledProcessError:
        return  # git refuses the name itself, such as .git with an ignorable code point
    raw = git.raw(old, new)
    assert checked_paths(Tree(before, after).change) == raw_paths(raw) - {b""}


def test_a_path_set_keeps_the_raw_bytes():
    file = FileChange(b"\xff", "000000", "100644", None, "1" * 40, None, "0" * 64, 0, 1, 1, 0)
    assert checked_paths(Change("r", BASE, "c" * 40, (file,))) == {b"\xff"}
