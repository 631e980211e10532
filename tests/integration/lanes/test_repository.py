"""The git store: what it fetches, how it fails, and that what it writes is always the same."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.model.errors import CountersignError, Kind, PermanentError, TransientError
from core.ports.repository import Commit
from lanes.repository import GitRepository
from tests.integration.lanes import origin

pytestmark = pytest.mark.lanes
AT = datetime(2026, 5, 4, 12, tzinfo=UTC)


async def fails(awaitable, code: str, kind: type[CountersignError] = PermanentError):
    with pytest.raises(kind) as caught:
        await awaitable
    assert caught.value.problem.code == code, caught.value
    return caught.value.problem


async def test_fetches_the_default_branch_and_nothing_else(repo, bare):
    origin.git("branch", "other", "main", at=bare)
    origin.git("tag", "v1", "main", at=bare)
    assert await repo.fetch_base() == origin.line("rev-parse", "main", at=bare)
    refs = origin.line("for-each-ref", "--format=%(refname)", at=repo.store.path).split()
    assert len(refs) == 1
    assert refs[0].startswith("refs/bases/")


async def test_follows_a_branch_that_moves_also_backwards(repo, bare):
    first = await repo.fetch_base()
    tree = origin.plant(bare, {b"x": ("100644", b"1")})
    origin.git("update-ref", "refs/heads/main", origin.commit(bare, tree), at=bare)
    second = await repo.fetch_base()
    assert second != first
    assert await repo.tree_of(second) == tree
    origin.git("update-ref", "refs/heads/main", first, at=bare)
    assert await repo.fetch_base() == first


async def test_says_what_is_wrong_with_a_remote(repo, tmp_path, bare):
    gone = origin.store(tmp_path / "nowhere", tmp_path / "s")
    assert "address" in (await fails(gone.fetch_base(), "no_such_repository")).mend
    problem = await fails(origin.store(bare, tmp_path / "s", branch="trunk").fetch_base(), "no_such_branch")
    assert "main" in problem.mend
    empty = tmp_path / "empty.git"
    empty.mkdir()
    origin.git("init", "-q", "--bare", at=empty)
    await fails(origin.store(empty, tmp_path / "s", name="empty").fetch_base(), "repository_empty")
    nothing = origin.store("https://127.0.0.1:9/x.git", tmp_path / "s", name="net")
    await fails(nothing.fetch_base(), "remote_unreachable", TransientError)


async def test_says_that_a_remote_is_damaged(tmp_path, bare):
    objects = [p for p in (bare / "objects").rglob("*") if p.is_file()]
    for path in objects:
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    await fails(origin.store(bare, tmp_path / "s").fetch_base(), "repository_corrupt")


async def test_refuses_hostile_objects_of_a_remote(tmp_path, bare):
    blob = origin.git("hash-object", "-w", "--stdin", at=bare, stdin=b"x").strip()
    inner = b"100644 blob " + blob + b"\tconfig\0"
    git_dir = origin.git("mktree", "-z", at=bare, stdin=inner).strip()
    tree = origin.git("mktree", "-z", at=bare, stdin=b"040000 tree " + git_dir + b"\t.git\0").decode().strip()
    origin.git("update-ref", "refs/heads/main", origin.commit(bare, tree), at=bare)
    problem = await fails(origin.store(bare, tmp_path / "s").fetch_base(), "repository_corrupt")
    assert "hasDotgit" in problem.message


@pytest.mark.parametrize(
    "url",
    ["ext::sh -c true", "--upload-pack=x", "git://example.com/x", "http://example.com/x", "relative/path", "",
     "https://user:hunter2@example.com/x", "git@-oProxyCommand=x:y", "ssh://-oProxyCommand=x/y", "fd::7", "file://host/x",
     "https://example.com/x\ny", "host:-x"],
)  # fmt: skip
async def test_refuses_addresses_that_git_would_run_or_leak(url, tmp_path):
    problem = await fails(origin.store(url, tmp_path).fetch_base(), "bad_address")
    assert problem.kind is Kind.USAGE
    assert "hunter2" not in problem.sentence()


async def test_many_at_once_make_one_store(bare, tmp_path):
    stores = [origin.store(bare, tmp_path / "state") for _ in range(8)]
    bases = await asyncio.gather(*(s.fetch_base() for s in stores))
    assert len(set(bases)) == 1
    await asyncio.gather(*(s.keep(f"1/{n % 2}", bases[0]) for n, s in enumerate(stores)))
    assert origin.names_in(tmp_path / "state" / "git") == [stores[0].store.path.name]


async def test_a_lock_left_by_a_killed_git_is_broken(repo):
    base = await repo.fetch_base()
    lock = repo.store.path / "refs" / "countersign" / "1" / "1.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    os.utime(lock, (0, 0))
    await repo.keep("1/1", base)
    assert not lock.exists()


async def test_the_same_commit_has_one_id(repo, tmp_path, bare):
    base = await repo.fetch_base()
    commit = Commit(await repo.tree_of(base), base, "subject\n\nbody with ü", AT)
    first = await repo.write_commit(commit)
    again = origin.store(bare, tmp_path / "elsewhere")
    await again.fetch_base()
    assert await again.write_commit(replace(commit, message=commit.message + "\n")) == first
    raw = origin.git("cat-file", "commit", first, at=repo.store.path).decode()
    who = f"Countersign <countersign@localhost> {int(AT.timestamp())} +0000"
    assert f"author {who}\ncommitter {who}\n" in raw


async def test_a_pack_carries_a_tree_to_another_host(repo, tmp_path, bare):
    base = await repo.fetch_base()
    start = await repo.tree_of(base)
    tree = await repo.write_tree(start, {"big.txt": b"line\n" * 50_000, "src/a.py": b"print(7)\n"}, ["README.md"], {})
    pack = await repo.pack(base, tree)
    assert len(pack) < 5_000
    other = origin.store(bare, tmp_path / "other")
    await other.fetch_base()
    assert not await other.has(tree)
    await other.unpack(pack)
    assert await other.has(tree)
    assert (await other.change(base, tree)).files == (await repo.change(base, tree)).files
    await other.unpack(await repo.pack(base, start))
    with pytest.raises(PermanentError):
        await other.unpack(b"PACK" + pack[4:-40] + b"\0" * 40)


async def test_has_is_false_when_something_below_is_missing(repo):
    base = await repo.fetch_base()
    tree = await repo.write_tree(await repo.tree_of(base), {"new/file": b"only here"}, [], {})
    assert await repo.has(tree)
    blob = (await repo.list_paths(tree))[b"new/file"][1]
    (repo.store.path / "objects" / blob[:2] / blob[2:]).unlink()
    assert not await repo.has(tree)
    assert await repo.has(base)


async def test_takes_a_change_back(repo, bare):
    base = await repo.fetch_base()
    start = await repo.tree_of(base)
    tree = await repo.write_tree(start, {"src/a.py": b"print(1)\nprint(9)\nprint(3)\n", "new": b"x"}, [], {})
    change = await repo.write_commit(Commit(tree, base, "change", AT))
    later = await repo.write_tree(tree, {"README.md": b"# Later\n"}, [], {})
    onto = await repo.write_commit(Commit(later, change, "later", AT))
    back = await repo.revert(change, onto)
    assert {f.path for f in (await repo.change(base, back)).files} == {b"README.md"}
    touched = await repo.write_tree(later, {"src/a.py": b"print(1)\nprint(8)\nprint(3)\n"}, [], {})
    clash = await repo.write_commit(Commit(touched, onto, "clash", AT))
    assert "src/a.py" in (await fails(repo.revert(change, clash), "revert_conflict")).message


async def test_knows_sizes_hashes_modes_and_lines(repo):
    base = await repo.fetch_base()
    start = await repo.tree_of(base)
    late_nul = b"text\n" * 4000 + b"\0"
    tree = await repo.write_tree(
        start, {"src/a.py": b"print(1)\nno newline", "late": late_nul}, ["README.md"], {"run.sh": "100755"}
    )
    files = {f.path: f for f in (await repo.change(base, tree)).files}
    assert list(files) == sorted(files)
    a = files[b"src/a.py"]
    assert (a.added, a.removed, a.status) == (1, 2, "M")
    assert a.new_sha256 == hashlib.sha256(b"print(1)\nno newline").hexdigest()
    assert (files[b"late"].added, files[b"late"].new_size) == (None, len(late_nul))
    assert (files[b"run.sh"].old_mode, files[b"run.sh"].mode, files[b"run.sh"].added) == ("100644", "100755", 0)
    assert (files[b"README.md"].status, files[b"README.md"].removed) == ("D", 1)


async def test_gitlinks_are_named_by_their_commit(repo):
    base = await repo.fetch_base()
    link = "7" * 40
    tree = origin.plant(repo.store.path, {b"sub": ("160000", link.encode())})
    file = next(f for f in (await repo.change(base, tree)).files if f.path == b"sub")
    assert (file.mode, file.new_blob, file.new_sha256) == ("160000", link, hashlib.sha256(link.encode()).hexdigest())
    assert file.added is None


async def test_shows_renames_and_survives_an_attribute_that_hides_text(repo):
    base = await repo.fetch_base()
    start = await repo.tree_of(base)
    tree = await repo.write_tree(
        start,
        {
            "src/b.py": b"print(1)\nprint(2)\nprint(3)\n",
            ".gitattributes": b"* -diff\n*.md diff=x\n",
            "README.md": b"# W\n",
        },
        ["src/a.py"],
        {},
    )
    text = await repo.diff_text(base, tree)
    assert b"rename from src/a.py\nrename to src/b.py" in text
    assert b"-# Web\n+# W\n" in text
    counted = next(f for f in (await repo.change(base, tree)).files if f.path == b"README.md")
    assert (counted.added, counted.removed) == (1, 1)


async def test_a_file_never_silently_becomes_a_folder(repo):
    start = await repo.tree_of(await repo.fetch_base())
    await fails(repo.write_tree(start, {"README.md/x": b""}, [], {}), "path_conflict")
    await fails(repo.write_tree(start, {"src": b""}, [], {}), "path_conflict")
    moved = await repo.write_tree(start, {"README.md/x": b""}, ["README.md"], {})
    assert b"README.md/x" in await repo.list_paths(moved)


async def test_what_git_must_not_hold_is_refused(repo):
    start = await repo.tree_of(await repo.fetch_base())
    for path in (".git/config", "a/../b", "/abs", "a//b", ".GIT/x", "git~1/x"):
        with pytest.raises(PermanentError):
            await repo.write_tree(start, {path: b""}, [], {})


async def test_object_ids_are_never_options(repo):
    await repo.fetch_base()
    for oid in ("--output=x", "HEAD", "main", "", "a" * 39, "A" * 40):
        await fails(repo.read_blob(oid), "bad_object_id")
    await fails(repo.tree_of("1" * 40), "no_such_object")


async def test_a_missing_git_is_a_sentence(bare, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    problem = await fails(origin.store(bare, tmp_path / "s").fetch_base(), "git_missing")
    assert "apt install git" in problem.mend


async def test_an_old_git_is_a_sentence(bare, tmp_path, monkeypatch):
    old = tmp_path / "bin" / "git"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho git version 2.30.2\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{old.parent}:{os.environ['PATH']}")
    await fails(origin.store(bare, tmp_path / "s").fetch_base(), "git_too_old")


async def test_a_hanging_git_is_killed(repo, tmp_path, monkeypatch):
    await repo.fetch_base()
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nsleep 60 & sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(repo.store.git, "_timeout_s", 0.3)
    began = asyncio.get_running_loop().time()
    await fails(repo.tree_of("1" * 40), "git_timeout", TransientError)
    assert asyncio.get_running_loop().time() - began < 10


async def test_too_many_files_are_refused_before_they_are_read(repo, monkeypatch):
    from lanes.repository import tree_comparison

    base = await repo.fetch_base()
    tree = await repo.write_tree(await repo.tree_of(base), {f"many/{n}": b"%d" % n for n in range(30)}, [], {})
    monkeypatch.setattr(tree_comparison, "MAX_CHANGED_FILES", 20)
    assert (await fails(repo.change(base, tree), "too_large")).kind is Kind.BLOCKED
    monkeypatch.setattr(tree_comparison, "MAX_CHANGED_FILES", 100)
    monkeypatch.setattr(tree_comparison, "MAX_CHANGED_BYTES", 10)
    await fails(repo.change(base, tree), "too_large")


async def test_the_callers_git_environment_says_nothing(repo, bare, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_WORK_TREE", "/")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nonexistent/index")
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", "/nonexistent")
    monkeypatch.setenv("GIT_NAMESPACE", "x")
    monkeypatch.setenv("GIT_TRACE", str(tmp_path / "trace"))
    base = await repo.fetch_base()
    tree = await repo.write_tree(await repo.tree_of(base), {"x": b"1"}, [], {})
    assert len((await repo.change(base, tree)).files) == 1
    assert not (tmp_path / "trace").exists()


async def test_secrets_of_the_caller_do_not_reach_git(repo, bare, tmp_path, monkeypatch):
    monkeypatch.setenv("COUNTERSIGN_CANARY", "canary-value")
    seen = tmp_path / "seen"
    hook = bare / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\nenv > {seen}\n")
    hook.chmod(0o755)
    base = await repo.fetch_base()
    assert await repo.push("refs/heads/countersign/1-x", base, None)
    assert "canary-value" not in seen.read_text()


async def test_a_full_disk_is_a_wait(repo, monkeypatch):
    import errno

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(repo.remote, "fetch_base", full)
    await fails(repo.fetch_base(), "disk_full", TransientError)


async def test_a_store_that_was_removed_comes_back(repo, bare, tmp_path):
    base = await repo.fetch_base()
    shutil.rmtree(repo.store.path)
    assert await GitRepository(repo.spec, tmp_path / "state" / "git").fetch_base() == base


def test_importing_the_lanes_does_not_import_git():
    import subprocess
    import sys

    code = "import sys, lanes.registry, lanes.repository, lanes.forge.local; sys.exit('git' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False).returncode == 0
