# ruff: noqa: E501 - programs for the inside, written as densely as they are read
"""What a sandbox is shown beside its folder: forwards to our sockets, files of its own home, programs of the host."""

from __future__ import annotations

import asyncio
import signal
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.model.errors import PermanentError
from lanes.sandbox import PortForward, SandboxLimits, SandboxRun
from tests.integration.lanes.conftest import given_to_user

pytestmark = [pytest.mark.lanes, pytest.mark.sandbox]
QUICK = SandboxLimits(wall_s=60, memory_mib=256, processes=32, log_bytes=64_000)
PORT = 8099


@pytest.fixture
def ours(sandbox) -> Iterator[Path]:
    """A closed folder for sockets; of the ordinary user where one asks for the run."""
    with tempfile.TemporaryDirectory(prefix="countersign-door-") as name:
        given_to_user(sandbox, Path(name))
        yield Path(name)


@asynccontextmanager
async def broker(sandbox, ours: Path, name: str = "door.sock"):
    """A server that turns every line around, and tells what came when the other side has ended."""
    came: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        whole = b""
        while line := await reader.readline():
            whole += line
            writer.write(line.rstrip(b"\n")[::-1] + b"\n")
            await writer.drain()
        came.append(whole)
        writer.write(b"bye\n")
        writer.close()

    socket = ours / name
    server = await asyncio.start_unix_server(serve, path=socket, limit=1 << 26)
    given_to_user(sandbox, socket)
    async with server:
        yield socket, came


async def run(sandbox, work, code: str, *doors: PortForward, **more):
    return await sandbox.run(SandboxRun(("python3", "-c", textwrap.dedent(code)), work, QUICK, forwards=doors, **more))


async def test_what_is_sent_to_the_port_comes_out_at_our_socket(sandbox, work, ours):
    async with broker(sandbox, ours) as (socket, came):
        ran = await run(
            sandbox,
            work,
            f"""
            import socket
            s = socket.create_connection(('127.0.0.1', {PORT}))
            s.sendall(b'hello\\n')
            f = s.makefile('rb')
            print(f.readline())
            s.shutdown(socket.SHUT_WR)
            print(f.read())
            """,
            PortForward(socket, PORT),
        )
    assert ran.log.decode().splitlines() == ["b'olleh\\n'", "b'bye\\n'"], ran
    assert came == [b"hello\n"]


async def test_much_goes_both_ways_at_once_whole(sandbox, work, ours):
    async with broker(sandbox, ours) as (socket, came):
        ran = await run(
            sandbox,
            work,
            f"""
            import socket, threading
            lines = [bytes([65 + n % 26]) * 100_000 + b'.\\n' for n in range(40)]
            def one(found):
                s = socket.create_connection(('127.0.0.1', {PORT}))
                threading.Thread(target=lambda: (s.sendall(b''.join(lines)), s.shutdown(socket.SHUT_WR))).start()
                f = s.makefile('rb')
                found.append([f.readline() for _ in lines] == [l[-2::-1] + b'\\n' for l in lines] and f.read())
            found = []
            threads = [threading.Thread(target=one, args=(found,)) for _ in range(3)]
            [t.start() for t in threads]; [t.join() for t in threads]
            print(found)
            """,
            PortForward(socket, PORT),
        )
    assert ran.log == b"[b'bye\\n', b'bye\\n', b'bye\\n']\n", ran
    assert [len(whole) for whole in came] == [40 * 100_002] * 3


async def test_each_door_leads_to_its_own_socket(sandbox, work, ours):
    code = f"""
    import socket
    for port in ({PORT}, {PORT + 1}):
        with socket.create_connection(('127.0.0.1', port)) as s:
            s.sendall(b'to %d\\n' % port); s.recv(99)
    """
    async with broker(sandbox, ours, "a") as (one, at_one), broker(sandbox, ours, "b") as (two, at_two):
        ran = await run(sandbox, work, code, PortForward(one, PORT), PortForward(two, PORT + 1))
    assert ran.exit_code == 0, ran
    assert (at_one, at_two) == ([b"to 8099\n"], [b"to 8100\n"])


async def test_a_broker_that_is_gone_is_a_closed_connection(sandbox, work, ours):
    async with broker(sandbox, ours) as (socket, _):
        pass
    ran = await run(
        sandbox,
        work,
        f"import socket; s = socket.create_connection(('127.0.0.1', {PORT})); s.settimeout(20); print(s.recv(9))",
        PortForward(socket, PORT),
    )
    assert ran.log == b"b''\n" or b"ConnectionResetError" in ran.log


@pytest.mark.parametrize("end", [0, 1, 127, 255, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGPIPE, -signal.SIGSEGV])
async def test_with_a_forward_the_exit_code_is_the_commands(sandbox, work, ours, end):
    how = (
        f"os._exit({end})"
        if end >= 0
        else f"signal.signal({-end}, 0) if {end} != -9 else 0; os.kill(os.getpid(), {-end})"
    )
    async with broker(sandbox, ours) as (socket, _):
        ran = await run(sandbox, work, f"import os, signal; {how}", PortForward(socket, PORT), home={"x": b""})
    assert ran.exit_code == (end if end >= 0 else 128 - end), ran


async def test_a_command_behind_a_forward_starts_like_any_other(sandbox, work, ours):
    async with broker(sandbox, ours) as (socket, _):
        doors = (PortForward(socket, PORT),)
        code = """
            import os
            ignored = [l.split()[1] for l in open('/proc/self/status') if l.startswith('SigIgn')]
            kids = open(f'/proc/self/task/{os.getpid()}/children').read().split()
            print(ignored, kids, sorted(os.listdir('/proc/self/fd')))
            """
        said = await run(sandbox, work, code, *doors)
        other = await run(sandbox, work, code)
        words = await sandbox.run(SandboxRun(("printf", "%s|", "$(id)", "--", "a b", ""), work, QUICK, forwards=doors))
        missing = await sandbox.run(SandboxRun(("no-such-program",), work, QUICK, forwards=doors))
        plain = await sandbox.run(SandboxRun(("./mine",), work, QUICK, forwards=doors))
    assert said.log == other.log
    assert said.log.endswith(b"[] ['0', '1', '2', '3']\n"), said
    assert words.log == b"$(id)|--|a b||"
    assert (missing.exit_code, plain.exit_code) == (127, 126)
    assert b"no-such-program" in missing.log


async def test_the_relay_dies_with_the_command(sandbox, work, ours):
    async with broker(sandbox, ours) as (socket, _):
        ran = await run(sandbox, work, "print('done')", PortForward(socket, PORT))
    assert ran.log == b"done\n"
    mine = [p for p in Path("/proc").glob("[0-9]*/cmdline") if str(ours).encode() in _read(p)]
    assert not mine


async def test_without_a_forward_nothing_listens_and_nothing_runs_beside(sandbox, work):
    code = "import os; print(len([p for p in os.listdir('/proc') if p.isdigit()]), open('/proc/net/tcp').read().count('\\n'))"
    ran = await run(sandbox, work, code)
    assert ran.log == b"2 1\n"
    assert (await sandbox.run(SandboxRun(("ls", "/run"), work, QUICK))).exit_code != 0


async def test_the_home_is_the_runs_own_and_can_be_written(sandbox, work):
    home = {".tool/config.toml": b"model = 1\n", ".tool.json": b"{}", "bin/run": b"#!/bin/sh\necho ran\n"}
    ran = await run(
        sandbox,
        work,
        """
        import os, subprocess
        os.chdir(os.environ['HOME'])
        print(open('.tool/config.toml').read(), {os.stat(p).st_uid == os.getuid() for p in ('.tool', '.tool.json')})
        open('.tool/config.toml', 'a').write('x'); open('.new', 'w').write('y'); os.replace('.new', '.tool.json')
        os.chmod('.tool', 0o700)
        print(subprocess.run(['bin/run'], capture_output=True).stdout)
        """,
        home=home,
    )
    assert ran.log == b"model = 1\n {True}\nb'ran\\n'\n", ran
    assert sorted(p.name for p in work.iterdir()) == ["mine"]


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", ""])
async def test_a_home_file_outside_the_home_is_refused(sandbox, work, name):
    with pytest.raises((PermanentError, RuntimeError), match="below the home"):
        await run(sandbox, work, "", home={name: b"x"})


async def test_programs_are_seen_at_their_own_path_and_not_written(sandbox, work, ours):
    tool = ours / "tool"
    (tool / "bin").mkdir(parents=True)
    (tool / "bin" / "go").write_text("#!/bin/sh\necho went\n")
    (ours / "secret").write_text("canary")
    for path in (tool, tool / "bin", tool / "bin" / "go"):
        path.chmod(0o755)
        given_to_user(sandbox, path)
    code = f"""
    import os, subprocess
    print(subprocess.run(['{tool}/bin/go'], capture_output=True).stdout, os.listdir('{ours}'))
    for at in ('{tool}/new', '{tool}/bin/go', '{tool}/bin/new'):
        try: open(at, 'w'); print('wrote', at)
        except OSError: pass
    """
    ran = await run(sandbox, work, code, programs=(tool,))
    assert ran.log == b"b'went\\n' ['tool']\n", ran
    assert sorted(p.name for p in ours.rglob("*")) == ["bin", "go", "secret", "tool"]


@pytest.mark.parametrize(
    "path", ["/", "/etc", "/etc/ssl", "/proc", "/sys", "/dev", "/run", "/var", "/root", "/home", "/home/somebody", "/tmp",
             "relative", "/usr/../etc", "/nowhere", "/var/run", "/work"]
)  # fmt: skip
async def test_programs_that_would_show_more_are_refused(found, tmp_path, path):
    with pytest.raises(PermanentError, match="cannot mount"):
        await found.run(SandboxRun(("true",), tmp_path, QUICK, programs=(Path(path),)))


async def test_programs_that_hold_secrets_or_lead_to_them_are_refused(found, tmp_path):
    (tmp_path / "whole" / ".ssh").mkdir(parents=True)
    (tmp_path / "link").symlink_to("/etc")
    for path in (tmp_path / "whole", tmp_path / "whole" / ".ssh", tmp_path / "link", Path.home()):
        with pytest.raises(PermanentError, match="cannot mount"):
            await found.run(SandboxRun(("true",), tmp_path, QUICK, programs=(path,)))


async def test_a_forward_in_a_folder_open_to_others_is_refused(found, work, ours):
    if found.bwrap.setpriv is None:
        pytest.skip("an ordinary user's sockets are its own")
    async with broker(found, ours) as (socket, _):
        ours.chmod(0o755)
        with pytest.raises(PermanentError, match="open to others"):
            await run(found, work, "", PortForward(socket, PORT))
    with pytest.raises(PermanentError, match="not a socket"):
        await run(found, work, "", PortForward(ours / "none", PORT))


async def test_output_is_accepted_as_it_comes(found, tmp_path):
    heard: list[bytes] = []
    waiting = tmp_path / "go"

    def listen(chunk: bytes) -> None:
        heard.append(chunk)
        waiting.touch()

    code = "import os, time\nprint('one', flush=True)\nwhile not os.path.exists('go'): time.sleep(.01)\nprint('two')"
    ran = await run(found, tmp_path, code, on_output=listen)
    assert ran.log == b"one\ntwo\n"
    assert heard[0] == b"one\n"
    assert b"".join(heard) == ran.log


async def test_a_listener_that_fails_ends_the_run(found, tmp_path):
    def listen(chunk: bytes) -> None:
        raise ValueError(chunk)

    with pytest.raises(ValueError, match="one"):
        await run(found, tmp_path, "import time\nprint('one', flush=True)\ntime.sleep(600)", on_output=listen)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
