"""Importing what a program left: what may not come in, and what git's own rules do and do not hide."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from core.model.errors import Kind, PermanentError
from lanes.repository import Bounds
from tests.integration.lanes import origin

pytestmark = pytest.mark.lanes


@pytest.fixture
async def start(repo):
    return await repo.tree_of(await repo.fetch_base())


@pytest.fixture
async def files(repo, start, tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    await repo.export(start, folder)
    return folder


async def refused(repo, files, start, code, **how):
    with pytest.raises(PermanentError) as caught:
        await repo.import_tree(files, start, **how)
    assert caught.value.problem.code == code, caught.value
    assert caught.value.problem.kind is Kind.BLOCKED


@pytest.mark.parametrize(
    "name", [".git", ".GIT", ".Git", "git~1", "GIT~1", ".git ", ".git.", ".g\u200cit", ".git::$INDEX_ALLOCATION"]
)
@pytest.mark.parametrize("kind", ["folder", "file", "link"])
async def test_a_nested_git_directory_is_refused(repo, files, start, name, kind):
    path = files / "src" / name
    if kind == "folder":
        path.mkdir()
    elif kind == "file":
        path.write_text("gitdir: /tmp/evil\n")
    else:
        path.symlink_to("/tmp")
    await refused(repo, files, start, "nested_git")


async def test_pipes_sockets_devices_and_setuid_files_are_refused(repo, files, start, tmp_path):
    os.mkfifo(files / "pipe")
    await refused(repo, files, start, "odd_file")
    (files / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(files)
        try:
            listening.bind("s")
        finally:
            os.chdir(here)
        await refused(repo, files, start, "odd_file")
    (files / "s").unlink()
    (files / "run.sh").chmod(0o4755)
    await refused(repo, files, start, "odd_file")
    (files / "run.sh").chmod(0o644)
    if os.geteuid() == 0:
        os.mknod(files / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        await refused(repo, files, start, "odd_file")


async def test_links_are_taken_as_links(repo, files, start):
    (files / "out").symlink_to("/etc")
    (files / "up").symlink_to("../../..")
    (files / "loop").symlink_to(".")
    tree = await repo.import_tree(files, start)
    listed = await repo.list_paths(tree)
    assert {listed[name][0] for name in (b"out", b"up", b"loop")} == {"120000"}
    assert await repo.read_blob(listed[b"out"][1]) == b"/etc"


async def test_too_much_is_refused_without_reading_it(repo, files, start):
    with (files / "sparse").open("wb") as file:
        file.truncate(100 * 1024**3)
    await refused(repo, files, start, "too_large")
    (files / "sparse").unlink()
    await refused(repo, files, start, "too_large", bounds=Bounds(entries=3))
    deep = files
    for _ in range(12):
        deep /= "d"
        deep.mkdir()
    await refused(repo, files, start, "too_deep", bounds=Bounds(depth=10))


async def test_new_ignored_files_stay_out_and_tracked_ones_count(repo, files, start):
    tree = await repo.write_tree(start, {".gitignore": b"*.log\nsrc/\n"}, [], {})
    (files / ".gitignore").write_text("*.log\nsrc/\n")
    (files / "x.log").write_text("new and ignored")
    (files / "src" / "a.py").write_text("tracked below an ignored folder\n")
    made = await repo.import_tree(files, tree)
    listed = await repo.list_paths(made)
    assert b"x.log" not in listed
    assert listed[b"src/a.py"] != (await repo.list_paths(tree))[b"src/a.py"]


async def test_attributes_that_the_program_writes_change_no_byte(repo, files, start):
    (files / ".gitattributes").write_text("* text eol=lf ident filter=evil working-tree-encoding=UTF-16\n")
    (files / "crlf").write_bytes(b"a\r\nb\r\n$Id$\r\n")
    tree = await repo.import_tree(files, start)
    listed = await repo.list_paths(tree)
    assert await repo.read_blob(listed[b"crlf"][1]) == b"a\r\nb\r\n$Id$\r\n"


async def test_only_the_owners_execute_bit_counts(repo, files, start):
    (files / "run.sh").chmod(0o700)
    (files / "README.md").chmod(0o666)
    listed = await repo.list_paths(await repo.import_tree(files, start))
    assert (listed[b"run.sh"][0], listed[b"README.md"][0]) == ("100755", "100644")


async def test_an_empty_folder_and_a_deleted_tree(repo, files, start):
    (files / "empty").mkdir()
    assert await repo.import_tree(files, start) == start
    for path in sorted(files.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert await repo.list_paths(await repo.import_tree(files, start)) == {}


async def test_files_inside_a_submodules_folder_do_not_come_in(repo, tmp_path):
    await repo.fetch_base()
    tree = origin.plant(repo.store.path, {b"sub": ("160000", b"3" * 40), b"a": ("100644", b"a\n")})
    folder = tmp_path / "f"
    folder.mkdir()
    await repo.export(tree, folder)
    assert (folder / "sub").is_dir()
    assert await repo.import_tree(folder, tree) == tree
    (folder / "sub" / "evil").write_text("x")
    listed = await repo.list_paths(await repo.import_tree(folder, tree))
    assert b"sub/evil" not in listed
    (folder / "sub" / "evil").unlink()
    (folder / "sub").rmdir()
    assert b"sub" not in await repo.list_paths(await repo.import_tree(folder, tree))


async def test_export_wants_an_empty_folder(repo, files, start):
    with pytest.raises(ValueError, match="not empty"):
        await repo.export(start, files)
