# ruff: noqa: E501 - programs for the inside, written as densely as they are read
"""The landlock sandbox: what it shuts, that all of it ends, and that it refuses what it cannot hold."""

from __future__ import annotations

import asyncio
import codecs
import concurrent.futures.thread  # noqa: F401 - an ordinary user may be unable to read our own Python
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.model.errors import PermanentError, Problem
from lanes.sandbox import PortForward, SandboxLimits, SandboxRun
from lanes.sandbox.landlock_sandbox import LandlockSandbox, find_landlock
from tests.integration.lanes.conftest import USER, as_user

pytestmark = pytest.mark.lanes
QUICK = SandboxLimits(wall_s=60, memory_mib=256, processes=32, log_bytes=64_000)
CANARY = "canary-of-landlock"


class Asked:
    """The sandbox of this host, asked for by an ordinary user."""

    async def run(self, run: SandboxRun) -> Any:
        return await as_user(_asked, run)


def _asked(run: SandboxRun) -> Any:
    if not os.access(sys.executable, os.X_OK):
        sys.executable = "/usr/bin/python3"
    found = find_landlock()
    return found if isinstance(found, Problem) else asyncio.run(found.run(run))


@pytest.fixture(scope="module")
def box() -> Asked:
    if importlib.util.find_spec("landlock") is None:
        pytest.skip("needs the PyPI package landlock")
    for name in ("ascii", "idna"):  # the same
        codecs.lookup(name)
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        found = asyncio.run(Asked().run(SandboxRun(("true",), Path(name), QUICK)))
    if isinstance(found, Problem):
        pytest.skip(f"needs Linux 6.12 with Landlock: {found.message}")
    return Asked()


@pytest.fixture
def work() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="countersign-test-") as name:
        if os.geteuid() == 0:
            os.chown(name, USER, USER)
        yield Path(name)


async def inside(box, work, code: str, confines: SandboxLimits = QUICK, **more):
    ran = await box.run(SandboxRun(("python3", "-c", textwrap.dedent(code)), work, confines, **more))
    assert not isinstance(ran, Problem), ran
    return ran


async def test_it_reads_and_writes_its_own_folders_and_no_others(box, work, monkeypatch):
    monkeypatch.setenv("CANARY", CANARY)
    with tempfile.TemporaryDirectory(prefix="countersign-state-") as state:
        Path(state).chmod(0o755)
        (Path(state) / "secret").write_text(CANARY)
        ran = await inside(
            box, work,
            f"""
            import glob, json, os
            said = []
            for path in ['{state}/secret', '/etc/shadow', '/etc/hostname', '/etc/hosts', '/proc/self/environ', '/proc/1/environ', *glob.glob('/proc/*/environ')]:
                try: said.append(open(path).read())
                except OSError: pass
            for path in ('/root', '/home', '/tmp', '/proc', '/sys', '/run', '/var', '/', '{state}'):
                try: said.append(os.listdir(path))
                except OSError: pass
            for path in ('{state}/new', '/tmp/escaped', '/dev/shm/escaped', '/usr/escaped', '/var/tmp/escaped', '/etc/escaped'):
                try: open(path, 'w'); said.append(path)
                except OSError: pass
            open('new', 'w').write('out'); open(os.path.expanduser('~/x'), 'w'); open(os.environ['TMPDIR'] + '/x', 'w')
            print(json.dumps([said, sorted(os.environ), open(os.path.expanduser('~/.tool')).read(), os.getcwd()]))
            """,
            home={".tool": b"mine"},
        )  # fmt: skip
        assert sorted(p.name for p in Path(state).iterdir()) == ["secret"]
    assert CANARY.encode() not in ran.log
    said, names, tool, at = json.loads(ran.log)
    assert said == []
    assert set(names) <= {"PATH", "HOME", "USER", "TMPDIR", "LANG", "LC_ALL", "PWD", "LC_CTYPE"}
    assert (tool, at) == ("mine", str(work))
    assert (work / "new").read_text() == "out"


async def test_no_socket_can_be_made_and_pairs_still_can(box, work):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        ran = await inside(
            box, work,
            f"""
            import socket
            for family in range(1, 46):
                for kind in (1, 2, 3):
                    try: socket.socket(family, kind); print('OUT', family)
                    except OSError: pass
            try: socket.create_connection(('127.0.0.1', {port}))
            except OSError: pass
            a, b = socket.socketpair(); a.send(b'x'); print(b.recv(1))
            """,
        )  # fmt: skip
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            listening.accept()
    assert ran.log == b"b'x'\n"


async def test_others_are_neither_killed_nor_traced_nor_their_files_changed_by_name(box, work):
    victim = subprocess.Popen(["/bin/sleep", "600"], user=USER if os.geteuid() == 0 else None)  # noqa: ASYNC220 - at once
    file = Path(tempfile.mkdtemp()) / "theirs"
    file.write_text("x")
    file.parent.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(file, USER, USER)
    try:
        ran = await inside(
            box, work,
            f"""
            import ctypes, os, signal
            libc = ctypes.CDLL(None)
            for pid in ({victim.pid}, os.getppid(), {os.getpid()}):
                for number in (0, 9):
                    try: os.kill(pid, number); print('OUT', pid, number)
                    except OSError: pass
                if libc.ptrace(16, pid, 0, 0) == 0: print('OUT traced', pid)
            for act in ((os.chmod, '{file}', 0o777), (os.utime, '{file}', (1, 1)), (os.chown, '{file}', -1, os.getgid()), (os.truncate, '{file}', 0),
                        (os.setxattr, '{file}', 'user.x', b'x'), (os.link, '{file}', 'linked'), (os.rename, '{file}', 'moved')):
                try: act[0](*act[1:]); print('OUT', act)
                except OSError: pass
            print(libc.unshare(0x10000000), libc.prctl(38, 0, 0, 0, 0))
            """,
        )  # fmt: skip
        assert victim.poll() is None
    finally:
        victim.kill()
        victim.wait()
    assert ran.log == b"-1 -1\n"
    assert file.read_text() == "x"
    assert file.stat().st_mode & 0o777 == 0o644


DAEMON = """
import os, signal, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for n in range(1, 32):
            if n not in (9, 19): signal.signal(n, signal.SIG_IGN)
        while True: open('alive', 'w').write(str(time.time())); time.sleep(.01)
    os._exit(0)
while not os.path.exists('alive'): time.sleep(.01)
"""


async def test_a_daemon_is_dead_before_we_return(box, work):
    ran = await inside(box, work, DAEMON)
    assert ran.exit_code == 0
    await assert_still(work / "alive")


async def test_out_of_time_means_dead_with_all_children(box, work):
    ran = await inside(box, work, DAEMON + "\nos.fork()\ntime.sleep(600)", replace(QUICK, wall_s=3))
    assert (ran.limit_hit, ran.exit_code) == ("wall", None)
    await assert_still(work / "alive")


async def test_too_many_processes_and_too_much_memory_are_stopped(box, work):
    many = await inside(
        box, work, "import os, time\nfor _ in range(200):\n  if os.fork() == 0: time.sleep(60)\ntime.sleep(60)"
    )
    assert many.limit_hit == "processes"
    large = await inside(box, work, "x = []\nwhile True: x.append(bytearray(10_000_000))")
    assert large.limit_hit == "memory" or b"MemoryError" in large.log


@pytest.mark.parametrize(
    ("argv", "code"),
    [(("sh", "-c", "exit 125"), 125), (("sh", "-c", "kill -9 $$"), 137), (("nope",), 127), (("/usr",), 126)],
)
async def test_the_exit_code_is_the_commands(box, work, argv, code):
    assert (await box.run(SandboxRun(argv, work, QUICK))).exit_code == code


async def test_a_way_to_a_model_is_refused(tmp_path):
    with pytest.raises(PermanentError, match="cannot forward connections"):
        await LandlockSandbox().run(SandboxRun(("true",), tmp_path, QUICK, forwards=(PortForward(tmp_path / "x", 1),)))


def test_root_is_refused_and_so_is_another_system(monkeypatch):
    if os.geteuid() == 0:
        problem = find_landlock()
        assert isinstance(problem, Problem)
        assert "root" in problem.message
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(sys, "platform", "darwin")
        problem = find_landlock()
    assert isinstance(problem, Problem)
    assert "darwin" in problem.message


def test_killing_who_asked_kills_it(box, work):
    """kill -9 of the worker: its launcher is told by the kernel, and ends all of it."""
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(
                as_user(_asked, SandboxRun(("python3", "-c", DAEMON + "\ntime.sleep(600)"), work, QUICK), fork=False)
            )
        finally:
            os._exit(0)
    for _ in range(3000):
        if (work / "alive").exists():
            break
        signal.sigtimedwait([], 0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    for _ in range(300):
        last = (work / "alive").read_text()
        signal.sigtimedwait([], 0.1)
        if (work / "alive").read_text() == last:
            return
    pytest.fail("it lives on")


async def assert_still(file: Path) -> None:
    last = file.read_text()
    await asyncio.sleep(0.2)
    assert file.read_text() == last
