"""The sandbox, asked from inside by real programs: what is there, what is not, and that all of it ends."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

from core.model.errors import Problem
from lanes.sandbox import SandboxLimits, SandboxRun, find_bwrap
from tests.integration.lanes.conftest import AsOrdinaryUser

pytestmark = [pytest.mark.lanes, pytest.mark.sandbox]
QUICK = SandboxLimits(wall_s=20, memory_mib=256, processes=32, log_bytes=64_000)


async def run(sandbox, work, code: str, confines: SandboxLimits = QUICK, **environment):
    return await sandbox.run(SandboxRun(("python3", "-c", textwrap.dedent(code)), work, confines, environment))


async def assert_still(file: Path) -> None:
    """No one writes to `file` any more."""
    assert await _quiet(file, 0.15)


async def assert_becomes_still(file: Path) -> None:
    """No one writes to `file` soon: who asked for the run was killed, so no one waited for its last process."""
    async with asyncio.timeout(20):
        while not await _quiet(file, 0.5):
            pass


async def _quiet(file: Path, for_s: float) -> bool:
    last = file.read_text()
    await asyncio.sleep(for_s)
    return file.read_text() == last


async def told(sandbox, work, code: str, **environment):
    """What a program inside prints as JSON."""
    ran = await run(sandbox, work, "import json, os, sys\n" + textwrap.dedent(code), **environment)
    assert ran.exit_code == 0, ran
    return json.loads(ran.log)


async def test_reads_and_writes_its_folder_and_gives_the_exit_code(sandbox, work):
    ran = await run(sandbox, work, "print(open('mine').read()); open('new', 'w').write('out'); raise SystemExit(7)")
    assert (ran.exit_code, ran.log, ran.limit_hit) == (7, b"in\n\n", None)
    assert (work / "new").read_text() == "out"
    killed = await run(sandbox, work, "import os; os.kill(os.getpid(), 11)")
    assert killed.exit_code == 128 + signal.SIGSEGV


async def test_no_environment_of_ours_is_readable(sandbox, work, monkeypatch):
    monkeypatch.setenv("CANARY_TOKEN", "canary-in-the-environment")
    ran = await run(
        sandbox,
        work,
        """
        import os
        print(sorted(os.environ))
        for pid in filter(str.isdigit, os.listdir('/proc')):
            for name in ('environ', 'cmdline'):
                try: print(open(f'/proc/{pid}/{name}', 'rb').read())
                except OSError: pass
        """,
        FOO="bar",
    )
    assert ran.exit_code == 0
    assert b"canary" not in ran.log
    assert str(work).encode() not in ran.log
    expected = ["FOO", "HOME", "LANG", "LC_ALL", "PATH", "PWD", "TMPDIR", "USER"]
    seen = ran.log.decode().splitlines()[0]
    assert set(seen.strip("[]").replace("'", "").split(", ")) <= {*expected, "LC_CTYPE"}


async def test_no_open_file_of_ours_is_inherited(sandbox, work, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("canary")
    with secret.open() as file:
        os.set_inheritable(file.fileno(), True)
        fds = await told(
            sandbox,
            work,
            """
            open_ = {n: f'/proc/self/fd/{n}' for n in os.listdir('/proc/self/fd')}
            print(json.dumps({n: os.readlink(path) for n, path in open_.items() if os.path.islink(path)}))
            """,
        )
    assert set(fds) <= {"0", "1", "2", "3"}
    assert fds["0"] == "/dev/null"
    assert "secret" not in json.dumps(fds)


async def test_standard_input_is_empty_and_there_is_no_terminal(sandbox, work):
    said = await told(
        sandbox,
        work,
        """
        try: tty = os.open('/dev/tty', os.O_RDWR)
        except OSError as error: tty = error.errno
        print(json.dumps([sys.stdin.read(), os.isatty(1), tty]))
        """,
    )
    assert said[:2] == ["", False]
    assert said[2] in (6, 2)


async def test_the_network_is_not_there(sandbox, work):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        abstract = socket.socket(socket.AF_UNIX)
        abstract.bind(f"\0countersign-test-{port}")
        abstract.listen()
        said = await told(
            sandbox,
            work,
            f"""
            import socket
            said = {{}}
            def probe(name, family, kind, address):
                try:
                    with socket.socket(family, kind) as s:
                        s.settimeout(3); s.connect(address); s.send(b'x'); s.getpeername()
                        said[name] = 'sent'
                except OSError as error:
                    said[name] = error.errno
            probe('loopback', socket.AF_INET, socket.SOCK_STREAM, ('127.0.0.1', {port}))
            probe('metadata', socket.AF_INET, socket.SOCK_STREAM, ('169.254.169.254', 80))
            probe('dns', socket.AF_INET, socket.SOCK_DGRAM, ('192.0.2.53', 53))
            probe('v6', socket.AF_INET6, socket.SOCK_STREAM, ('2001:db8::1', 80))
            probe('abstract', socket.AF_UNIX, socket.SOCK_STREAM, '\\0countersign-test-{port}')
            try: said['name'] = socket.getaddrinfo('example.com', 80)
            except OSError as error: said['name'] = str(error)
            said['links'] = [l.split(':')[0].strip() for l in open('/proc/net/dev').read().splitlines()[2:]]
            print(json.dumps(said))
            """,
        )
        abstract.close()
    assert "sent" not in said.values()
    assert said["links"] == ["lo"]
    assert "[Errno" in said["name"]


async def test_the_hosts_files_are_not_there(sandbox, work, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    paths = ["/etc/shadow", "/root", str(Path.home()), "/home", "/var", "/run", "/srv", "/mnt", "/sys", "/boot", "/opt",
             str(Path(sys.prefix)), str(tmp_path), "/etc/hostname", "/etc/resolv.conf", "/etc/ssh", "/etc/ssl/private",
             "/var/run/docker.sock", "/proc/sys/fs/binfmt_misc/register", "/run/user",
             "/dev/sda", "/dev/vda", "/dev/mem", "/dev/kmsg", "/dev/fuse"]  # fmt: skip
    code = f"there = filter(os.path.exists, {paths})\nprint(json.dumps([[p, os.listdir(p)] for p in there]))"
    assert await told(sandbox, work, code) == [["/home", ["lane"]]]
    assert "canary" not in json.dumps(await told(sandbox, work, "print(json.dumps(open('/etc/passwd').read()))"))


async def test_nothing_but_its_folder_and_scratch_can_be_written(sandbox, work):
    said = await told(
        sandbox,
        work,
        """
        said = {}
        for path in ('/usr/x', '/etc/x', '/etc/passwd', '/x', '/bin/x', '/proc/sys/kernel/core_pattern',
                     '/proc/sysrq-trigger', '/usr/local/etc/x', '/dev/x', '/home/x', '/tmp/x', '/home/lane/x',
                     '/dev/shm/x', '/work/x'):
            try:
                with open(path, 'a') as file: file.write('')
                said[path] = True
            except OSError: said[path] = False
        print(json.dumps([p for p, written in said.items() if written]))
        """,
    )
    assert set(said) <= {"/tmp/x", "/home/lane/x", "/dev/shm/x", "/work/x"}
    assert {"/tmp/x", "/home/lane/x", "/work/x"} <= set(said)


async def test_it_is_nobody_and_can_become_no_other(sandbox, work):
    said = await told(
        sandbox,
        work,
        """
        status = dict(l.split(':', 1) for l in open('/proc/self/status').read().splitlines() if ':' in l)
        caps = {k: int(status[k], 16) for k in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb')}
        try: os.setuid(0); became = True
        except OSError: became = False
        print(json.dumps([os.getuid(), os.getgroups(), caps, status['NoNewPrivs'].strip(), became]))
        """,
    )
    uid, groups, caps, no_new, became = said
    assert uid >= 1000
    assert set(groups) <= {65534}
    assert set(caps.values()) == {0}
    assert no_new == "1"
    assert not became


async def test_a_daemon_that_left_the_session_is_dead_before_we_return(sandbox, work):
    ran = await run(
        sandbox,
        work,
        """
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.close(1); os.close(2)
                while True:
                    open('/work/alive', 'w').write(str(time.time())); time.sleep(0.01)
            os._exit(0)
        time.sleep(0.2)
        """,
    )
    assert ran.exit_code == 0
    await assert_still(work / "alive")


async def test_time_runs_out_for_everything(sandbox, work):
    began = time.monotonic()
    ran = await run(
        sandbox,
        work,
        """
        import os, signal, time
        for n in range(1, 32):
            try: signal.signal(n, signal.SIG_IGN)
            except OSError: pass
        os.fork(); os.setsid() if os.getpid() != 2 else None
        while True: open('/work/alive', 'w').write(str(time.time())); time.sleep(0.01)
        """,
        replace(QUICK, wall_s=1),
    )
    assert ran.timed_out
    assert ran.exit_code is None
    assert time.monotonic() - began < 15
    await assert_still(work / "alive")


async def test_cancelling_kills_it(sandbox, work):
    task = asyncio.create_task(
        run(sandbox, work, "import time\nwhile 1: open('alive','w').write(str(time.time())); time.sleep(.01)")
    )
    while not (work / "alive").exists():  # noqa: ASYNC110 - a file has no event
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert_dead = assert_becomes_still if isinstance(sandbox, AsOrdinaryUser) else assert_still
    await assert_dead(work / "alive")


async def test_killing_the_worker_kills_it(found, tmp_path):
    """kill -9 of the process that started it: no one is left to clean up, and nothing lives on."""
    work = tmp_path / "files"
    work.mkdir()
    code = f"""
import asyncio, pathlib
from lanes.sandbox import SandboxRun
from lanes.sandbox.bwrap import Bwrap, BwrapSandbox
sandbox = BwrapSandbox({found.bwrap!r})
argv = ["python3", "-c", "import time\\nwhile 1: open('alive','w').write(str(time.time())); time.sleep(.01)"]
asyncio.run(sandbox.run(SandboxRun(tuple(argv), pathlib.Path({str(work)!r}))))
"""
    worker = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=Path(__file__).parents[3])
    while not (work / "alive").exists():
        assert worker.returncode is None
        await asyncio.sleep(0.02)
    worker.kill()
    await worker.wait()
    await asyncio.sleep(0.3)
    await assert_still(work / "alive")


async def test_a_flood_of_output_keeps_its_beginning_and_its_end(sandbox, work):
    ran = await run(
        sandbox,
        work,
        "print('first')\nfor n in range(400_000): print('x' * 100)\nprint('last')",
        replace(QUICK, log_bytes=4000),
    )
    assert ran.exit_code == 0
    assert ran.log.startswith(b"first\nxxx")
    assert ran.log.endswith(b"x\nlast\n")
    assert b"bytes left out" in ran.log
    assert len(ran.log) < 4100


async def test_a_program_that_is_not_there_is_told_as_a_shell_would(sandbox, work):
    ran = await sandbox.run(SandboxRun(("no-such-program",), work, QUICK))
    assert ran.exit_code == 127
    assert b"no-such-program" in ran.log


async def test_words_of_the_command_are_never_read_by_a_shell_or_as_options(sandbox, work):
    argv = ["printf", "%s|", "$(id)", "; ls", "--bind", "*", "a b", "", "\n", "ü"]
    ran = await sandbox.run(SandboxRun(tuple(argv), work, QUICK))
    assert ran.log.decode() == "$(id)|; ls|--bind|*|a b||\n|ü|"
    dashed = await sandbox.run(SandboxRun(("--help",), work, QUICK))
    assert dashed.exit_code == 127


async def test_two_at_once_do_not_see_each_other(sandbox, work):
    folders = [work / "one", work / "two"]
    for folder in folders:
        folder.mkdir()
        folder.chmod(0o777)
    code = "import os, time\nopen('/tmp/x', 'x'); time.sleep(.3)\nprint(sum(map(str.isdigit, os.listdir('/proc'))))"
    ran = await asyncio.gather(*(run(sandbox, folder, code) for folder in folders))
    assert [r.exit_code for r in ran] == [0, 0]
    assert all(int(r.log) <= 3 for r in ran)


def test_without_bubblewrap_the_refusal_names_the_package(tmp_path, monkeypatch):
    with monkeypatch.context() as bare:
        bare.setattr(shutil, "which", lambda *_, **__: None)
        problem = find_bwrap()
    assert isinstance(problem, Problem)
    assert "bubblewrap" in problem.mend


def test_a_bubblewrap_that_cannot_start_is_a_refusal(tmp_path, monkeypatch):
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'No permissions to create new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    problem = find_bwrap()
    assert isinstance(problem, Problem)
    assert "No permissions" in problem.message


def test_elsewhere_than_on_linux_the_refusal_says_why(monkeypatch):
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(sys, "platform", "darwin")
        problem = find_bwrap()
    assert isinstance(problem, Problem)
    assert "darwin" in problem.message
