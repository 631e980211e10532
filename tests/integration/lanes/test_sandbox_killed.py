"""kill -9 of Countersign in the middle of a run: its sandbox is dead, and who starts next removes what it left."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from pathlib import Path

import pytest

from lanes.executors.workplace import Workplaces
from lanes.sandbox import SandboxRun
from lanes.sandbox.folders import locked_folder, record_pipe, remove_abandoned
from tests.integration.lanes import origin

pytestmark = [pytest.mark.lanes, pytest.mark.sandbox]
ROOT = Path(__file__).parents[3]
ALIVE = "import time\nwhile 1: open('/work/alive', 'w').write(str(time.time())); time.sleep(.01)"

SLOW = """#!{python} -IS
import os, subprocess, sys, time
parent = os.getppid()
open('{at}/began', 'w').close()
while os.getppid() == parent: time.sleep(.02)
status = int(sys.argv[sys.argv.index('--json-status-fd') + 1])
os.dup2(os.open('/dev/null', os.O_WRONLY), status)  # or bwrap would end of having nobody to tell
code = subprocess.run(['{bwrap}', *sys.argv[1:]], close_fds=False).returncode
open('{at}/ended', 'w').write(str(code))
"""
WORKER = """
import asyncio, sys
from pathlib import Path
from lanes.executors.workplace import Workplaces
from lanes.sandbox import SandboxRun
from lanes.sandbox.bwrap import Bwrap, BwrapSandbox
from tests.integration.lanes import origin
async def work():
    git = origin.store(Path({bare!r}), Path({state!r}))
    sandbox = BwrapSandbox({bwrap!r})
    async with Workplaces(Path({scratch!r})).open(git, {tree!r}, sandbox) as place:
        assert place.lower is not None or sandbox.overlay is None
        print(place.directory, flush=True)
        await sandbox.run(SandboxRun(("python3", "-c", {code!r}), place.directory, lower=place.lower))
asyncio.run(work())
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where folders of runs lie, for this test alone."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


async def begun(program: str) -> tuple[asyncio.subprocess.Process, Path]:
    """A worker of its own, once its command writes to the work folder."""
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert worker.stdout is not None
    alive = Path((await worker.stdout.readline()).decode().strip()) / "alive"
    while not alive.exists():
        assert worker.returncode is None
        await asyncio.sleep(0.02)
    return worker, alive


async def test_a_killed_workers_sandbox_dies_and_the_next_start_removes_what_it_left(found, tmp_path, temporary):
    bare = origin.remote(tmp_path / "origin.git", {"README.md": "# Web\n"})
    git = origin.store(bare, tmp_path / "state")
    tree = await git.tree_of(await git.fetch_base())
    scratch = tmp_path / "scratch"
    program = WORKER.format(
        bare=str(bare), state=str(tmp_path / "state"), scratch=str(scratch), bwrap=found.bwrap, tree=tree, code=ALIVE
    )
    (dead, left), (living, alive) = await asyncio.gather(begun(program), begun(program))
    assert len(list(temporary.iterdir())) == 2
    dead.kill()
    await dead.wait()
    last = left.read_text()
    for _ in range(300):
        await asyncio.sleep(0.1)
        if last == (last := left.read_text()):
            break
    else:
        pytest.fail("its command lives on")
    assert len(list(temporary.iterdir())) == 2, "nobody has started since"

    async with Workplaces(scratch).open(git, tree, found) as place:
        ran = await found.run(SandboxRun(("cat", "/work/README.md"), place.directory, lower=place.lower))
    assert ran.log == b"# Web\n"
    assert not left.parent.parent.exists()
    assert alive.parent.parent.exists()
    assert len(list(temporary.iterdir())) == 1, "the living one's"
    last = alive.read_text()
    while alive.read_text() == last:  # noqa: ASYNC110 - it works on
        await asyncio.sleep(0.02)
    living.kill()
    await living.wait()


async def test_a_command_does_not_start_once_who_asked_for_it_is_dead(found, tmp_path, temporary):
    """bwrap is slow, and begins when its worker was killed: no one would watch over what it started."""
    slow, work, ended = tmp_path / "bwrap", tmp_path / "work", tmp_path / "ended"
    work.mkdir()
    slow.write_text(SLOW.format(python=sys.executable, at=str(tmp_path), bwrap=found.bwrap.program))
    slow.chmod(0o755)
    code = f"""
import asyncio, dataclasses, pathlib
from lanes.sandbox import SandboxRun
from lanes.sandbox.bwrap import Bwrap, BwrapSandbox
bwrap = dataclasses.replace({found.bwrap!r}, program={str(slow)!r})
asyncio.run(BwrapSandbox(bwrap).run(SandboxRun(("touch", "/work/ran"), pathlib.Path({str(work)!r}))))
"""
    worker = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=ROOT)
    while not (tmp_path / "began").exists():
        assert worker.returncode is None
        await asyncio.sleep(0.02)
    worker.kill()
    await worker.wait()
    while not (ended.exists() and ended.read_text()):  # noqa: ASYNC110 - a file has no event
        await asyncio.sleep(0.05)
    assert ended.read_text() == "125"
    assert not (work / "ran").exists()


async def test_what_stands_still_in_the_middle_of_its_start_is_ended_by_the_next(tmp_path):
    reading, writing = os.pipe()
    stuck = await asyncio.create_subprocess_exec("sleep", "600", stdin=reading)
    other = await asyncio.create_subprocess_exec("sleep", "600", stdin=asyncio.subprocess.DEVNULL)
    owner = os.fork()
    if owner == 0:
        with locked_folder(tmp_path) as own:
            record_pipe(own, reading)
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(owner, 0)  # noqa: ASYNC222 - it has ended
    with locked_folder(tmp_path) as mine:
        record_pipe(mine, writing)
        remove_abandoned(tmp_path)
        assert await stuck.wait() == -signal.SIGKILL
        assert list(tmp_path.iterdir()) == [mine]
        assert other.returncode is None
    other.kill()
    await other.wait()
    os.close(reading)
    os.close(writing)


def test_what_is_not_ours_is_left_alone(tmp_path):
    held = tmp_path / "elsewhere"
    held.mkdir()
    (held / "held").touch()
    (tmp_path / "countersign-run-link").symlink_to(held)
    (tmp_path / "countersign-run-file").touch()
    (tmp_path / "countersign-run-of-an-older-version").mkdir()
    (tmp_path / "countersign-run-of-an-older-version" / "etc").mkdir()
    (tmp_path / "countersign-run-empty").mkdir()
    others = tmp_path / "countersign-run-of-another-user"
    others.mkdir()
    (others / "held").touch()
    if os.geteuid() == 0:
        os.chown(others, 61_999, 61_999)
    remove_abandoned(tmp_path)
    assert (held / "held").exists()
    assert not (tmp_path / "countersign-run-empty").exists()
    kept = {p.name.rpartition("-")[2] for p in tmp_path.glob("countersign-run-*")}
    assert kept == {"link", "file", "version", *(["user"] if os.geteuid() == 0 else [])}


def test_folders_are_closed_to_others(tmp_path):
    with locked_folder(tmp_path) as own:
        assert stat.S_IMODE(own.stat().st_mode) == 0o700
    assert not own.exists()
