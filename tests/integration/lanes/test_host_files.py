"""Trees that a repository or a program shaped: nothing of the host is touched for them, and all of them go."""

from __future__ import annotations

import contextlib
import copy
import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from core.model.errors import CountersignError, PermanentError
from lanes.executors.command import CommandExecutor
from lanes.executors.workplace import WorkFolders, Workplaces
from lanes.filetree.ownership import change_owner, change_owner_of_paths
from lanes.filetree.removal import remove_tree
from lanes.filetree.usage import measure
from lanes.repository.worktree import Bounds, walk_within
from lanes.sandbox import OverlaySupport, SandboxLimits, SandboxResult, SandboxRun
from lanes.sandbox.folders import locked_folder, remove_abandoned
from lanes.sandbox.mounts import give_to_run_user
from lanes.sandbox.watch import LimitWatch
from tests.integration.lanes import origin
from tests.integration.lanes.conftest import as_user
from tests.integration.lanes.test_command_lane import order

pytestmark = pytest.mark.lanes
MIB = 1024 * 1024
DEEP = 10_500
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
LINK = "120000"


def owner() -> int:
    """Whom kept files are given to: another user as root, else ourselves, which still shows in a file's ctime."""
    return 2_000_000_000 if os.geteuid() == 0 else os.geteuid()


def known(path: Path) -> tuple[int, ...]:
    """What giving, changing or opening up a file or folder would change of it."""
    status = path.lstat()
    return status.st_uid, status.st_gid, status.st_mode, status.st_ctime_ns


def dig(at: Path, depth: int, content: bytes = b"") -> None:
    """A chain of folders, longer than any path may be, with a file at its end."""
    folder = os.open(at, FOLDER)
    for _ in range(depth):
        os.mkdir("d", dir_fd=folder)
        below = os.open("d", FOLDER, dir_fd=folder)
        os.close(folder)
        folder = below
    file = os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=folder)
    os.write(file, content)
    os.close(file)
    os.close(folder)


@pytest.fixture
def quick() -> Iterator[Path]:
    """A folder in memory, where there is one: ten thousand folders take a disk half a minute."""
    folder = Path(tempfile.mkdtemp(dir=MEMORY))
    folder.chmod(0o711)
    yield folder
    remove_tree(folder)


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A folder of the host with the names that a repository has."""
    folder = tmp_path / "host"
    (folder / "sub").mkdir(parents=True)
    for name in ("file", "sub/file"):
        (folder / name).write_text("of the host")
    return folder


async def lease(repo, tree: str, root: Path) -> None:
    """What every layered run begins with."""
    with ExitStack() as stack:
        assert await repo.lease(stack, tree, root, owner()) is not None


@pytest.mark.parametrize("at", ["d", "d/sub", "a/b/c"])
async def test_guard_01_a_folder_that_became_a_link_leads_nowhere(repo, tmp_path, host, at):
    """The kept files go from a tree with a folder to one where it is a link to a folder of the host."""
    before = {name: known(host / name) for name in (".", "file", "sub", "sub/file")}
    start = await repo.tree_of(await repo.fetch_base())
    first = await repo.write_tree(start, {f"{at}/file": b"1", f"{at}/sub/file": b"1"}, [], {})
    second = await repo.write_tree(first, {at: str(host).encode()}, [f"{at}/file", f"{at}/sub/file"], {at: LINK})
    for tree in (first, second, first, second):
        await lease(repo, tree, tmp_path / "kept")
        assert {name: known(host / name) for name in before} == before
    kept = next((tmp_path / "kept").iterdir()) / "files"
    assert (kept / at).is_symlink()
    assert (kept / at).lstat().st_uid == owner()


READ = "import os; os.path.exists('d/file') and open('seen', 'w').write(open('d/file').read())"


@pytest.mark.sandbox
@pytest.mark.parametrize("layered", [True, False])
async def test_guard_01_lanes_run_before_and_after_and_see_nothing_of_the_host(
    bare, repo, tmp_path, host, found, layered
):
    """As it was found: a lane runs, someone pushes a link in the folder's place, a lane runs again."""
    sandbox = found if layered else copy.copy(found)
    sandbox.overlay = found.overlay if layered else None
    executor = CommandExecutor(tmp_path / "scratch", lambda _kind: sandbox)
    (host / "file").chmod(0o600)
    work, before = tmp_path / "work", {name: known(host / name) for name in (".", "file", "sub", "sub/file")}
    origin.git("clone", "-q", bare, work, at=tmp_path)
    for link in (False, True, False, True):
        shutil.rmtree(work / "d") if (work / "d").is_dir() and link else (work / "d").unlink(missing_ok=True)
        if link:
            (work / "d").symlink_to(host)
        else:
            (work / "d" / "sub").mkdir(parents=True)
            for name in ("file", "sub/file"):
                (work / "d" / name).write_text("of the repository")
        origin.git("add", "-A", at=work)
        origin.git("commit", "-q", "-m", "other", at=work)
        origin.git("push", "-q", "origin", "HEAD:main", at=work)
        told = await order(repo, "python3", "-c", READ)
        made = await executor.produce(told, repo)
        assert {name: known(host / name) for name in before} == before
        seen = (await repo.list_paths(made.tree)).get(b"seen")
        assert (seen is None) is link
        assert seen is None or await repo.read_blob(seen[1]) == b"of the repository"


CHANGES = {
    "a folder that became a file": ({"d/file": b"1", "d/sub/x": b"1"}, {"d": b"now a file"}),
    "a file that became a folder": ({"d": b"a file"}, {"d/file": b"1", "d/sub/x": b"1"}),
    "another case": ({"Docs/Guide.md": b"1"}, {"docs/guide.md": b"1"}),
    "a file whose folder is gone": ({"a/b/c": b"1"}, {}),
    "a name that is no UTF-8": ({}, {"q\udce9/\udcff": b"1"}),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_guard_14_a_path_of_another_kind_fails_no_task(repo, tmp_path, change):
    start = await repo.tree_of(await repo.fetch_base())
    before, after = change
    first = await repo.write_tree(start, before, [], {})
    second = await repo.write_tree(start, after, [], {})
    for tree in (first, second, first):
        await lease(repo, tree, tmp_path / "kept")
    kept = next((tmp_path / "kept").iterdir()) / "files"
    await lease(repo, second, tmp_path / "kept")
    for path in (kept, *kept.rglob("*")):
        assert path.lstat().st_uid == owner(), path
    assert {str(p.relative_to(kept)) for p in kept.rglob("*") if p.is_file()} >= set(after)


def test_guard_04_a_folder_too_deep_for_any_path_is_measured_and_removed(quick):
    with locked_folder(quick) as own:
        (own / "files").mkdir()
        watch = LimitWatch(None, (own / "files",), SandboxLimits(disk_mib=1, files=20_000))
        dig(own / "files", DEEP, b"x" * (2 * MIB))
        assert watch.exceeded_limit() == "disk"
    assert list(quick.iterdir()) == []


def test_guard_04_levels_count_as_entries(quick):
    with locked_folder(quick) as own:
        watch = LimitWatch(None, (own,), SandboxLimits(disk_mib=1, files=5000))
        dig(own, DEEP)
        assert watch.exceeded_limit() == "files"
    assert list(quick.iterdir()) == []


async def test_guard_04_what_was_left_too_deep_is_a_refusal_and_not_a_bug(repo, quick):
    """As the command executor meets it: the run ends well, with a tree that no git can take."""
    executor = CommandExecutor(quick / "scratch", lambda _kind: Digging(DEEP))
    with pytest.raises(PermanentError) as refused:
        await executor.produce(await order(repo, "true"), repo)
    assert refused.value.problem.code == "too_deep"
    assert os.listdir(quick / "scratch") == []  # noqa: PTH208 - names are all it needs


async def test_guard_04_long_names_make_a_path_that_git_cannot_hold(repo, quick):
    executor = CommandExecutor(quick / "scratch", lambda _kind: Digging(40, "n" * 250))
    with pytest.raises(PermanentError) as refused:
        await executor.produce(await order(repo, "true"), repo)
    assert refused.value.problem.code == "odd_path"
    assert os.listdir(quick / "scratch") == []  # noqa: PTH208 - the same


class Digging:
    """A sandbox whose program digs."""

    kind = "bwrap"
    overlay: OverlaySupport | None = None
    memory_accounting = "nothing is counted"

    def __init__(self, depth: int, name: str = "d") -> None:
        self._depth, self._name = depth, name

    async def run(self, run: SandboxRun) -> SandboxResult:
        at = os.open(run.directory, FOLDER)
        for _ in range(self._depth):
            os.mkdir(self._name, dir_fd=at)
            below = os.open(self._name, FOLDER, dir_fd=at)
            os.close(at)
            at = below
        os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=at))
        os.close(at)
        return SandboxResult(0, b"", None, 0.1)


DIGS = """
import os, sys, time
for n in range(1500):
    os.mkdir('folder-of-a-long-name'); os.chdir('folder-of-a-long-name')
for n in range(10):
    with open(str(n), 'wb') as f: f.write(b'x' * (4 << 20))
time.sleep(60 if sys.argv[1] == 'stay' else 0)
"""


@pytest.mark.sandbox
@pytest.mark.parametrize(("then", "layered"), [("stay", True), ("stay", False), ("end", True), ("end", False)])
async def test_guard_04_a_program_that_digs_is_stopped_or_refused_and_leaves_nothing(repo, found, quick, then, layered):
    tree = await repo.tree_of(await repo.fetch_base())
    places = Workplaces(quick / "scratch")
    async with places.open(repo, tree, found if layered else Digging(0)) as place:
        assert (place.lower is not None) is (layered and found.overlay is not None)
        run = SandboxRun(("python3", "-c", DIGS, then), place.directory, SandboxLimits(disk_mib=16), lower=place.lower)
        ran = await found.run(run)
        assert ran.limit_hit == "disk" or then == "end", ran
        if ran.exit_code == 0:
            with pytest.raises(PermanentError) as refused:
                await place.import_result()
            assert refused.value.problem.code in ("too_deep", "odd_path")
    assert set(os.listdir(quick / "scratch")) <= {"pristine"}  # noqa: PTH208 - the same


def test_guard_04_the_next_sweep_removes_what_a_killed_worker_left(quick):
    child = os.fork()
    if child == 0:
        with WorkFolders(quick).create() as folder:
            dig(folder, DEEP)
            os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    (left,) = quick.iterdir()
    with WorkFolders(quick).create() as folder:
        assert [path.name for path in quick.iterdir()] == [folder.parent.name]
    assert not left.exists()


def test_guard_04_the_lock_goes_last(tmp_path, monkeypatch):
    """What was killed in the middle of removing still has its lock, so the next sweep goes on with it."""
    gone = []

    def unlink(name, *, dir_fd=None) -> None:
        gone.append(name)
        os.remove(name, dir_fd=dir_fd)

    with locked_folder(tmp_path) as own:
        for at in ("files", "files/sub", "also"):
            (own / at).mkdir()
            (own / at / "file").touch()
        monkeypatch.setattr("lanes.filetree.removal.os.unlink", unlink)
    assert gone[-1] == "held"
    assert sorted(gone) == ["file", "file", "file", "held"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file that nothing removes")
def test_guard_04_what_cannot_be_removed_keeps_its_lock_until_it_can(tmp_path):
    with locked_folder(tmp_path) as own:
        (own / "files" / "sub").mkdir(parents=True)
        (own / "files" / "other").touch()
        file = own / "files" / "sub" / "file"
        file.touch()
        kept = file.open("rb")
        set_immutable(kept.fileno(), on=True)
    try:
        assert (own / "held").exists()
        assert os.fstat(kept.fileno()).st_nlink == 1
        assert not (own / "files" / "other").exists()
    finally:
        set_immutable(kept.fileno(), on=False)
        kept.close()
    remove_abandoned(tmp_path)
    assert list(tmp_path.iterdir()) == []


def set_immutable(fd: int, *, on: bool) -> None:
    """What ``chattr +i`` does."""
    flags = bytearray(fcntl.ioctl(fd, 0x80086601, bytes(8)))
    flags[0] = flags[0] | 0x10 if on else flags[0] & ~0x10
    fcntl.ioctl(fd, 0x40086602, bytes(flags))


def test_guard_04_a_folder_left_by_an_older_version_without_its_lock_goes_after_a_day(quick):
    old, new = quick / "countersign-run-old", quick / "countersign-run-new"
    for folder in (old, new):
        (folder / "files").mkdir(parents=True)
        dig(folder / "files", 2000)
    os.utime(old, (1, 1))
    remove_abandoned(quick)
    assert list(quick.iterdir()) == [new]


def grow(file: Path) -> None:
    """Take more of the disk than tests beside this one may give back: what is closed is judged by what is free."""
    with file.open("wb") as out:
        os.posix_fallocate(out.fileno(), 0, 128 * MIB)


def closed(at: Path) -> None:
    """Folders without any right, one in another, and one that may be listed only."""
    for name in ("a", "a/b", "listed"):
        (at / name).mkdir()
        grow(at / name / "file")
    for name, mode in (("a/b", 0), ("a", 0), ("listed", 0o400)):
        (at / name).chmod(mode)


def _removes_what_is_closed(root: Path) -> list[str]:
    with locked_folder(root) as own:
        closed(own)
    return sorted(path.name for path in root.iterdir())


def _looks_at_a_folder_that_is_closed_itself(root: Path) -> str | None:
    with locked_folder(root) as own:
        watch = LimitWatch(None, (own,), SandboxLimits(disk_mib=4))
        grow(own / "file")
        own.chmod(0)
        return watch.exceeded_limit()


def _looks_at_what_is_closed(root: Path) -> str | None:
    with locked_folder(root) as own:
        watch = LimitWatch(None, (own,), SandboxLimits(disk_mib=4))
        assert watch.exceeded_limit() is None
        closed(own)
        return watch.exceeded_limit()


@pytest.mark.parametrize(
    "work", [_removes_what_is_closed, _looks_at_what_is_closed, _looks_at_a_folder_that_is_closed_itself]
)
async def test_guard_04_folders_without_rights_hide_nothing_and_stay_for_nobody(quick, work):
    """Asked for by an ordinary user, whom such a folder stops."""
    quick.chmod(0o777)
    assert await as_user(work, quick) == ([] if work is _removes_what_is_closed else "disk")


def test_guard_04_many_names_of_one_file_count_once_and_a_hole_takes_nothing(tmp_path):
    watch = LimitWatch(None, (tmp_path,), SandboxLimits(disk_mib=4))
    (tmp_path / "one").write_bytes(b"x" * MIB)
    for n in range(20):
        os.link(tmp_path / "one", tmp_path / f"name{n}")
    os.truncate(os.open(tmp_path / "hole", os.O_WRONLY | os.O_CREAT), 1 << 40)
    assert watch.exceeded_limit() is None
    (tmp_path / "more").write_bytes(b"x" * (4 * MIB))
    assert watch.exceeded_limit() == "disk"


ODD = {
    "a pipe": os.mkfifo,
    "a socket": lambda at: socket.socket(socket.AF_UNIX).bind(str(at)),
    "a link to nowhere": lambda at: at.symlink_to("nowhere"),
    "a link to itself": lambda at: at.symlink_to(at.name),
    "a link to the root": lambda at: at.symlink_to("/"),
    "a link to what is above": lambda at: at.symlink_to(".."),
    "a file nobody may read": lambda at: at.touch(0),
    "the longest name": lambda at: (at.parent / ("n" * 255)).mkdir(),
    "no UTF-8": lambda at: (at.parent / "\udcff\udcfe").mkdir(),
    "line breaks": lambda at: (at.parent / "a\nb\r\t").mkdir(),
    "a git directory": lambda at: (at.parent / ".git" / "objects").mkdir(parents=True),
}


@pytest.mark.parametrize("make", ODD.values(), ids=ODD)
def test_whatever_lies_in_a_tree_it_is_measured_given_and_removed(tmp_path, host, make):
    before = {name: known(host / name) for name in ("file", "sub", "sub/file")}
    with locked_folder(tmp_path) as own:
        (own / "a" / "b").mkdir(parents=True)
        make(own / "a" / "b" / "odd")
        assert measure((own,)).entries >= 4
        give_to_run_user(own / "a", owner())
        assert (own / "a" / "b").stat().st_uid == owner()
    assert not own.exists()
    assert {name: known(host / name) for name in before} == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_what_is_mounted_inside_is_not_removed(tmp_path, host):
    """A mount of this host's, left by someone: what is under it is not ours."""
    with locked_folder(tmp_path) as own:
        at = own / "files" / "mounted"
        at.mkdir(parents=True)
        subprocess.run(["mount", "--bind", host, at], check=True)
    try:
        assert (host / "sub" / "file").read_text() == "of the host"
        assert (own / "held").exists()
    finally:
        subprocess.run(["umount", next(iter((own).glob("**/mounted")))], check=True)
    remove_abandoned(tmp_path)
    assert not own.exists()
    assert (host / "sub" / "file").exists()


@pytest.mark.parametrize("act", ["measure", "give", "give_paths", "remove", "inspected"])
def test_guard_01_a_link_that_takes_a_folders_place_in_the_middle_leads_nowhere(tmp_path, host, act):
    """A second hand swaps folders and links all the time, while the tree is worked on."""
    before = {name: known(host / name) for name in (".", "file", "sub", "sub/file")}
    stop, root = threading.Event(), tmp_path / "root"
    a = root / "a"
    a.mkdir(parents=True)

    def swap() -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError):
                (a / "sub").mkdir(parents=True, exist_ok=True)
                (a / "sub" / "file").touch()
                (a / "sub").rename(a / "aside")
                (a / "sub").symlink_to(host / "sub")
                (a / "sub").unlink()
                (a / "aside").rename(a / "sub")
                a.rename(root / "x")
                a.symlink_to(host)
                a.unlink()
                (root / "x").rename(a)

    works = {
        "measure": lambda: measure((root,)),
        "give": lambda: change_owner(root, owner()),
        "give_paths": lambda: change_owner_of_paths(root, [b"a/file", b"a/sub/file", b"x/sub/file"], owner()),
        "remove": lambda: remove_tree(root),
        "inspected": lambda: list(walk_within(root, Bounds())),
    }
    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(1000):
            with contextlib.suppress(OSError, CountersignError):
                works[act]()
    finally:
        stop.set()
        thread.join()
    assert {name: known(host / name) for name in before} == before
    assert sorted(p.name for p in host.rglob("*")) == ["file", "file", "sub"]


async def test_a_repository_that_no_checkout_can_hold_is_refused_with_a_sentence(repo, tmp_path):
    start = await repo.tree_of(await repo.fetch_base())
    for path in ("d/" * 250 + "file", "n" * 256, "/".join(["n" * 250] * 17)):
        tree = await repo.write_tree(start, {path: b"1"}, [], {})
        (tmp_path / "out").mkdir(exist_ok=True)
        with pytest.raises(PermanentError) as refused:
            await repo.export(tree, tmp_path / "out")
        assert refused.value.problem.code == "too_deep"
        with pytest.raises(PermanentError) as refused, ExitStack() as stack:
            await repo.lease(stack, tree, tmp_path / "kept", None)
        assert refused.value.problem.code == "too_deep"


async def test_indexes_that_a_killed_process_left_in_the_store_go_after_a_day(repo):
    base = await repo.fetch_base()
    scratch = repo.store.path / "scratch"
    for name in ("work-old", "work-new"):
        (scratch / name).mkdir()
        (scratch / name / "index").touch()
    os.utime(scratch / "work-old", (1, 1))
    await repo.write_tree(await repo.tree_of(base), {"x": b"x"}, [], {})
    assert origin.names_in(scratch) == ["work-new"]
