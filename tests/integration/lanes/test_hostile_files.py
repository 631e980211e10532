"""A git directory among the files that come back from a sandbox: refused, and one that slips in later runs nothing."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest

from core.model.errors import CountersignError
from tests.integration.lanes import origin
from tests.integration.lanes.traps import ATTRIBUTES, Traps, as_file, put_in_front

pytestmark = pytest.mark.lanes


@pytest.fixture
def traps(tmp_path):
    return Traps(tmp_path / "hostile")


def evil_directory(traps, folder: Path, place: str) -> Path:
    """A git directory in which every key is a trap, and whose own work tree would be looked at."""
    origin.git("init", "-q", "--template=", str(folder), at=folder.parent)
    inner = folder / ".git"
    with (inner / "config").open("a") as config:
        config.write(as_file(traps.pairs(place, suspects=False)))
    (inner / "info").mkdir(exist_ok=True)
    (inner / "info" / "attributes").write_text(ATTRIBUTES)
    traps.hooks(inner / "hooks", place)
    return inner


@pytest.fixture
async def agents(repo, tmp_path):
    """Files as an agent leaves them, and the tree that they began as: it has a submodule."""
    base = await repo.fetch_base()
    start = origin.plant(
        repo.store.path, {b"a.py": ("100644", b"1\n"), b"sub": ("160000", base.encode()), b"w.txt": ("100644", b"w\n")}
    )
    folder = tmp_path / "files"
    folder.mkdir()
    await repo.export(start, folder)
    (folder / "a.py").write_text("2\n")
    return folder, start


@pytest.mark.parametrize("kind", ["directory", "pointer", "link"])
async def test_a_git_directory_in_the_files_is_refused_before_git_sees_it(kind, repo, agents, traps, tmp_path):
    folder, start = agents
    evil = evil_directory(traps, tmp_path / "evil", "files")
    for where in (".git", "sub/.git", "deep/er/.git", ".GIT", "git~1"):
        path = folder / where
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "directory":
            shutil.copytree(evil, path)
        elif kind == "pointer":
            path.write_text(f"gitdir: {evil}\n")
        else:
            path.symlink_to(evil)
        for take in (repo.import_tree, repo.take_layer):
            with pytest.raises(CountersignError) as caught:
                await take(folder, start)
            assert caught.value.problem.code == "nested_git"
        path.rename(tmp_path / f"tried-{where.replace('/', '-')}")
    assert traps.fired() == set()


SWAPS = {
    "a directory": "cp -r {evil} .git",
    "a pointer": "echo 'gitdir: {evil}' > .git",
    "a link": "ln -s {evil} .git",
    "in the submodule": "cp -r {evil} sub/.git; echo 3 > sub/x.py",
    "a pointer in the submodule": "echo 'gitdir: {evil}' > sub/.git; echo 3 > sub/x.py",
    "in a new folder": "mkdir new; cp -r {evil} new/.git; echo 3 > new/x.py",
    "a bare one": "cp -r {evil}/. .",
    "in the folder above": "cp -r {evil} ../.git",
}


@pytest.mark.parametrize("swap", SWAPS)
async def test_a_git_directory_that_comes_while_git_reads_the_files_runs_nothing(
    swap, repo, agents, traps, tmp_path, monkeypatch
):
    """After the files were looked through, just before git reads them: nothing should write there then, but might."""
    folder, start = agents
    evil = evil_directory(traps, tmp_path / "evil", "swapped")
    marker = tmp_path / "swapped"
    told = f'case " $* " in *" add "*) touch {marker}; {SWAPS[swap].format(evil=evil)};; esac\n'
    put_in_front(tmp_path, monkeypatch, told)
    with contextlib.suppress(CountersignError):  # a refusal will do
        await repo.import_tree(folder, start)
    assert marker.exists()
    assert traps.fired() == set()


def test_plain_git_runs_what_is_in_the_submodule(traps, tmp_path):
    """The control: the same git directory, at the same moment, with git as everybody runs it."""
    work = origin.remote(tmp_path / "naive", {"a.py": "1\n"}, bare=False)
    link = origin.line("rev-parse", "HEAD", at=work)
    origin.git("update-index", "--add", "--cacheinfo", f"160000,{link},sub", at=work)
    (work / "sub").mkdir()
    shutil.copytree(evil_directory(traps, tmp_path / "evil", "sub"), work / "sub" / ".git")
    with contextlib.suppress(AssertionError):
        origin.git("add", "--all", at=work)
    with contextlib.suppress(AssertionError):
        origin.git("status", at=work)
    assert any(name.startswith("sub~") for name in traps.fired())
