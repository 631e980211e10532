"""Repositories that are dirty, empty, huge, damaged, elsewhere or none at all."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from core.model.errors import Problem
from lanes.sandbox import find_bwrap
from tests.homes import FILES, CliHome, git, make_home, make_repository

ASK = ("ask", "set server.timeout to 30 in config/app.yaml", "--as", "ana", "--wait")
PEOPLE = ("--person", "ana:member", "--person", "lee:maintainer")
HUGE = 300_100
"""More files than a checkout may have, and three times what edits must be quick on."""


def _init(folder: Path, remote: object) -> CliHome:
    home = CliHome(folder)
    said = home.call("init", "--repo", f"web={remote}", *PEOPLE)
    assert said.code == 0, said
    return home


def test_a_dirty_work_tree_is_neither_read_nor_touched(tmp_path: Path):
    work = tmp_path / "work"
    make_repository(tmp_path / "start.git", FILES)
    git(tmp_path, "clone", "-q", str(tmp_path / "start.git"), str(work))
    (work / "config/app.yaml").write_text("dirty: 1\n")
    (work / "staged.txt").write_text("x\n")
    git(work, "add", "staged.txt")
    before = git(work, "status", "--porcelain=v2", "--branch")
    home = _init(tmp_path, work)
    task = home.document(*ASK)
    assert task["state"] == "staged", "what is committed counts"
    done = home.document("approve", 1, task["staged"]["digest"], "--as", "lee", "--wait")
    assert done["state"] == "published"
    assert home.call("verify", 1).code == 0
    merged = home.call("merge", 1, "--as", "lee", "--json")
    assert merged.code != 0
    assert "is checked out in" in merged.sentence(), "merging would pull the ground from under somebody"
    assert git(work, "status", "--porcelain=v2", "--branch") == before


def test_a_repository_without_commits_or_files_is_said_or_filled(tmp_path: Path):
    bare = tmp_path / "origin.git"
    git(tmp_path, "init", "-q", "--bare", "-b", "main", str(bare))
    home = _init(tmp_path, bare)
    said = home.call(*ASK)
    assert said.code == 1
    assert said.err.endswith("countersign: The repository web has no commit yet. Push a first commit to it.\n")
    make_repository(tmp_path / "filled.git", {})
    git(tmp_path / "filled.git", "push", "-q", str(bare), "main")
    assert home.call("reply", 1, "again", "--as", "ana", "--wait").code == 6, "there is no such file"
    created = home.document("ask", 'create docs/a.md with "first"', "--as", "ana", "--wait")
    assert [file["path"] for file in created["staged"]["files"]] == ["docs/a.md"]


@pytest.mark.parametrize(
    ("remote", "code", "part"),
    [
        ("/nowhere/web.git", 1, "Check its address"),
        ("/etc/passwd", 1, "Check its address"),
        ("https://127.0.0.1:1/x.git", 2, "Give the path of a bare clone"),
        ("ext::sh -c touch% /tmp/pwned", 1, "Check its address"),
        ("--upload-pack=touch /tmp/pwned", 1, "Check its address"),
        ("", 2, "NAME=PATH_OR_URL"),
    ],
)
def test_what_is_no_repository_makes_no_home(tmp_path: Path, remote: str, code: int, part: str):
    home = CliHome(tmp_path)
    said = home.call("init", "--repo", f"web={remote}", *PEOPLE)
    assert said.code == code, said
    assert part in said.sentence()
    assert not (home.root / "countersign.yaml").exists()
    assert not Path("/tmp/pwned").exists()


@pytest.mark.parametrize("word", ["web", "=x", "a b=/x", "../x=/x", "-x=/x"])
def test_a_repository_needs_a_plain_name(tmp_path: Path, word: str):
    said = CliHome(tmp_path).call("init", "--repo", word)
    assert said.code == 2, said
    assert said.sentence()


@pytest.mark.parametrize("word", ["ana", "ana:king", "maintainer:member", "a b:member", ":member"])
def test_a_person_needs_a_plain_name_and_a_role(template_home: CliHome, tmp_path: Path, word: str):
    said = CliHome(tmp_path).call("init", "--repo", f"web={template_home.bare}", "--person", word)
    assert said.code == 2, said
    assert said.sentence()


def test_a_damaged_remote_and_a_branch_that_is_gone_fail_the_task_and_a_reply_mends_it(home: CliHome):
    main = home.git("rev-parse", "main")
    home.git("update-ref", "refs/heads/trunk", main)
    home.git("update-ref", "-d", "refs/heads/main")
    said = home.call(*ASK)
    assert said.code == 1
    assert "has no branch main" in said.err
    assert "It has trunk; set `branch:` of web in countersign.yaml." in said.err
    home.git("update-ref", "refs/heads/main", main)
    assert home.document("reply", 1, "again", "--as", "ana", "--wait")["state"] == "staged"
    newest = home.commit({"src/b.py": "print(2)\n"})
    broken = home.bare / "objects" / newest[:2] / newest[2:]
    content = broken.read_bytes()
    broken.chmod(0o644)
    broken.write_bytes(b"garbage")
    said = home.call(*ASK)
    assert said.code == 1
    assert "git fsck" in said.err
    broken.write_bytes(content)
    assert home.document("reply", 2, "again", "--as", "ana", "--wait")["state"] == "staged"


@pytest.fixture(scope="module")
def huge(tmp_path_factory: pytest.TempPathFactory) -> CliHome:
    """A home whose repository has very many files."""
    folder = tmp_path_factory.mktemp("huge")
    bare = folder / "origin.git"
    git(folder, "init", "-q", "--bare", "-b", "main", str(bare))
    stream = [b"blob\nmark :1\ndata 6\nhello\n\nblob\nmark :2\ndata 22\nserver:\n  timeout: 10\n\n"]
    stream.append(b"commit refs/heads/main\ncommitter t <t@example.com> 1 +0000\ndata 1\nx\n")
    stream += [b"M 100644 :1 d%d/e%d/f%d.txt\n" % (n % 100, n // 100 % 100, n) for n in range(HUGE)]
    stream.append(b"M 100644 :2 config/app.yaml\n\n")
    subprocess.run(["git", "-C", str(bare), "fast-import", "--quiet"], input=b"".join(stream), check=True)
    return _init(folder, bare)


def test_an_edit_in_a_huge_repository_checks_nothing_out(huge: CliHome):
    began = time.monotonic()
    first = huge.document(*ASK)
    assert first["state"] == "staged"
    assert [file["path"] for file in first["staged"]["files"]] == ["config/app.yaml"]
    published = huge.document("approve", first["number"], first["staged"]["digest"], "--as", "lee", "--wait")
    assert published["state"] == "published"
    listing = time.monotonic()
    assert len(huge.git("ls-tree", "-r", "--name-only", "main").splitlines()) == HUGE + 1
    peer_s = time.monotonic() - listing
    assert time.monotonic() - began < 120 * max(peer_s, 0.25), "a checkout alone takes longer"


@pytest.mark.sandbox
def test_a_command_in_a_repository_beyond_the_bounds_is_refused_before_anything_is_checked_out(huge: CliHome):
    if isinstance(find_bwrap(), Problem):
        pytest.skip("needs a sandbox: install the Debian package bubblewrap")
    huge.scripted("open('x', 'w')")
    said = huge.call("ask", "run it", "--lane", "scripted", "--as", "ana", "--wait")
    assert said.code == 4, said
    assert f"The repository has {HUGE + 1} files" in said.err


def test_a_file_too_large_to_edit_is_said(home: CliHome):
    home.commit({"config/big.yaml": b"a: 1\n" + b"# " + b"x" * 6_000_000 + b"\n"})
    said = home.call("ask", "set a to 2 in config/big.yaml", "--as", "ana", "--wait")
    assert said.code == 4, said
    assert "at most 5000000 are edited" in said.err


def test_several_repositories_ask_which_one_is_meant(home: CliHome):
    make_home(home.folder / "second")
    config = home.root / "countersign.yaml"
    line = next(line for line in config.read_text().splitlines() if line.startswith("  web:"))
    other = line.replace("web", "app", 1).replace(str(home.bare), str(home.folder / "second" / "origin.git"))
    config.write_text(config.read_text().replace(line, f"{line}\n{other}"))
    asked = home.call(*ASK, "--json")
    assert (asked.code, asked.json()["state"], asked.json()["question"]["options"]) == (1, "asking", ["app", "web"])
    answered = home.document("reply", 1, "app", "--as", "ana", "--wait")
    assert (answered["state"], answered["repo"]) == ("staged", "app")
