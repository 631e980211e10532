"""A host with things to find and to hit, the probes that try to get at them from inside, and what the host saw of it.

A probe prints ``OUT: what`` for everything it got that it must not get, and ``END`` when it has tried all it knows.
Whatever it says, the host is asked as well: its listeners, its files, its processes, its settings. A campaign runs many
probes one after the other in one sandbox, each in a process of its own.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from lanes.sandbox import PortForward, SandboxLimits, SandboxResult, SandboxRun

HOME = {".tool/config": b"model = 1\n"}
ROOMY = SandboxLimits(wall_s=90, memory_mib=512, processes=64, log_bytes=16 * 1024 * 1024, disk_mib=64)

BEFORE = r"""
import ctypes, errno, fcntl, glob, json, os, signal, socket, stat, struct, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def out(*what): print('OUT:', *what, flush=True)
def says(act, *words):
    'what came of an attempt, None for an error'
    try:
        came = act(*words)
        return True if came is None else came
    except (OSError, ValueError) as error:
        print('no:', words, error)
def read(path, most=1 << 20):
    'the content goes to the log, where the test looks for the canary'
    def act():
        with open(path, 'rb', buffering=0) as f: return f.read(most)
    found = says(act)
    if found: print(path, found)
    return found
def writes(path, what=b'x'):
    def act():
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        os.write(fd, what); os.close(fd)
    return says(act)
def call(number, *words):
    ctypes.set_errno(0)
    came = libc.syscall(ctypes.c_long(number), *(w if isinstance(w, bytes) else ctypes.c_long(w) for w in words))
    return came if came != -1 else -ctypes.get_errno()
def reaches(family, kind, address, what=b'escaped\n'):
    def act():
        with socket.socket(family, kind) as s:
            s.settimeout(1); s.connect(address); s.send(what)
            if kind == socket.SOCK_STREAM: says(s.recv, 1)  # answered or not, it was reached
            return True
    return says(act)
def pids(): return [int(p) for p in os.listdir('/proc') if p.isdigit()]
def relay(): return [p for p in pids() if b'forward.py' in open(f'/proc/{p}/cmdline', 'rb').read() and p > 1]
"""


@dataclass
class World:
    """What the host has, and what came to it."""

    canary: str
    state: Path
    forward: Path
    words: dict[str, object]
    sockets: dict[str, socket.socket]
    victim: subprocess.Popen[bytes]
    came: list[bytes] = field(default_factory=list)
    settings: dict[str, bytes] = field(default_factory=dict)

    def program(self, code: str) -> str:
        """The probe's code with the host's addresses filled in."""
        return BEFORE + self.filled(code) + "\nprint('END', flush=True)\n"

    def filled(self, code: str) -> str:
        """The code with what the host has for its ``@NAME@``."""
        for name, value in self.words.items():
            code = code.replace(f"@{name}@", str(value))
        assert self.canary not in code
        return code

    def hits(self) -> list[str]:
        """Which of our listeners were reached."""
        return [name for name, listening in self.sockets.items() if _reached(listening)]

    def changed(self) -> list[str]:
        """What of the host is not as it was."""
        found = [name for name, before in self.settings.items() if _content(Path(name)) != before]
        if sorted(p.name for p in self.state.rglob("*")) != ["host.sock", "secret"]:
            found.append("the state folder")
        if self.victim.poll() is not None:
            found.append("a process of ours")
        return found


@contextmanager
def world(folder: Path, forward: Path) -> Iterator[World]:
    """A host with secrets in every place where a program keeps them, and listeners that must not be reached."""
    canary = "canary-" + secrets.token_hex(12)
    mark = "escape-" + secrets.token_hex(6)
    state = folder / "state"
    state.mkdir(mode=0o755)
    (state / "secret").write_text(canary)
    memory = bytearray(canary.encode() * 64)
    with ExitStack() as stack:
        held = stack.enter_context((state / "secret").open())
        os.set_inheritable(held.fileno(), True)
        shared = _shared_memory(stack, canary)
        victim = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "victim"])
        stack.callback(victim.wait)
        stack.callback(victim.kill)
        sockets = {
            "tcp": _bound(stack, socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            "udp": _bound(stack, socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            "abstract": _bound(stack, socket.AF_UNIX, socket.SOCK_STREAM, "\0" + mark),
            "path": _bound(stack, socket.AF_UNIX, socket.SOCK_STREAM, str(state / "host.sock")),
        }
        (state / "host.sock").chmod(0o666)
        words = {
            "TCP": sockets["tcp"].getsockname()[1],
            "UDP": sockets["udp"].getsockname()[1],
            "ABSTRACT": mark,
            "STATE": state,
            "VICTIM": victim.pid,
            "US": os.getpid(),
            "DOOR": 20_000 + secrets.randbelow(12_000),  # another each time: some probes share the host's network
            "SHM": shared,
        }
        kept = ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/kernel/modprobe",
                "/proc/sys/vm/overcommit_memory", "/etc/passwd", "/etc/hosts", "/proc/self/oom_score_adj",
                str(state / "secret")]  # fmt: skip
        yield World(
            canary, state, forward, words, sockets, victim, settings={name: _content(Path(name)) for name in kept}
        )
        assert memory.startswith(canary.encode())


# Forks a process for each probe, and prints what it said, and as JSON: [name, how it ended, what got out, the end].
CAMPAIGN = r"""
import select, traceback
def attempt(code, reading, writing):
    os.close(reading); os.dup2(writing, 1); os.dup2(writing, 2); os.close(writing)
    try: exec(code, dict(globals())); print('END', flush=True); os._exit(0)
    except SystemExit: raise
    except BaseException: traceback.print_exc(); sys.stderr.flush(); os._exit(1)
for name, code in json.load(open('/work/probes.json')).items():
    reading, writing = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0: attempt(code, reading, writing)
    os.close(writing)
    said, until = b'', time.monotonic() + 60
    while select.select([reading], [], [], max(0, until - time.monotonic()))[0]:
        piece = os.read(reading, 1 << 20)
        if not piece: break
        said += piece
    os.close(reading); says(os.kill, child, 9)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    words = said.decode('utf-8', 'replace').splitlines()
    sys.stdout.buffer.write(said)
    print('\nTOLD:', json.dumps([name, status, [l for l in words if l.startswith('OUT:')], words[-3:]]), flush=True)
"""
BENEATH = {
    "kept/text": 0o644, "kept/other": 0o644, "kept/stays": 0o600, "kept/linked": 0o644, "kept/run": 0o755,
    "kept/deep/er/file": 0o644, "kept/deep/stays": 0o444,
}  # fmt: skip


@dataclass(frozen=True)
class Campaign:
    """What came of many probes in one sandbox: their words by name, and the host afterwards."""

    said: dict[str, tuple[int, list[str], list[str]]]
    ran: SandboxResult
    found: list[str]

    def assert_held(self, name: str) -> None:
        """One probe tried all it knows, and got nothing."""
        assert name in self.said, self.ran.log[-3000:]
        status, out, last = self.said[name]
        assert out == []
        assert (status, last[-1:]) == (0, ["END"]), last


def lay_beneath(folder: Path, owner: int) -> None:
    """Files for a layer to lie on, which belong to the user `owner`."""
    for name, mode in BENEATH.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"what {name} holds\n")
        path.chmod(mode)
    (folder / "kept" / "link").symlink_to("text")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner, owner, follow_symlinks=False)


def seen(folder: Path) -> dict[str, object]:
    """All that can be told of the files below `folder`: bytes, modes, owners, times, names and numbers."""
    found: dict[str, object] = {}
    for path in (folder, *sorted(folder.rglob("*"))):
        at = path.lstat()
        content: object = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
        told = (at.st_ino, at.st_mode, at.st_nlink, at.st_uid, at.st_gid, at.st_size, at.st_mtime_ns, at.st_ctime_ns)
        found[str(path.relative_to(folder))] = (*told, content, tuple(os.listxattr(path, follow_symlinks=False)))
    return found


async def campaign(sandbox, host: World, work: Path, probes: dict[str, str], beneath: Path | None = None) -> Campaign:
    """Run all the probes in one sandbox, behind a proxy and with a home."""
    (work / "probes.json").write_text(json.dumps({name: host.filled(code) for name, code in probes.items()}))
    before = seen(beneath) if beneath else {}
    ran = await _run(sandbox, host, work, CAMPAIGN, replace(ROOMY, wall_s=280, log_bytes=1 << 27), lower=beneath)
    found = [f"changed beneath: {beneath}"] if beneath and seen(beneath) != before else []
    found += got_out(host, work, ran)
    told = (json.loads(line[5:]) for line in ran.log.splitlines() if line.startswith(b"TOLD:"))
    return Campaign({name: (status, out, last) for name, status, out, last in told}, ran, found)


async def probe(sandbox, host: World, work: Path, code: str, confines: SandboxLimits = ROOMY, **more) -> SandboxResult:
    """Run one probe behind a proxy and with a home, and let the host say that nothing got out."""
    ran = await _run(sandbox, host, work, code, confines, **more)
    assert [line for line in ran.log.decode("utf-8", "replace").splitlines() if line.startswith("OUT:")] == []
    assert got_out(host, work, ran) == []
    return ran


async def _run(sandbox, host: World, work: Path, code: str, confines: SandboxLimits, **more) -> SandboxResult:
    mark = "probe-" + secrets.token_hex(8)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host.came.append(await reader.readline())
        writer.write(b"answer\n")
        writer.close()

    async with await asyncio.start_unix_server(serve, path=host.forward):
        host.forward.chmod(0o666)
        (work / "probe.py").write_text(host.program(code))
        argv = more.pop("argv", ("/usr/bin/python3", "/work/probe.py", mark))
        run = SandboxRun(
            argv, work, confines, home=HOME, forwards=(PortForward(host.forward, int(str(host.words["DOOR"]))),), **more
        )
        ran: SandboxResult = await sandbox.run(run)
    assert not living(mark)
    return ran


def got_out(host: World, work: Path, ran: SandboxResult) -> list[str]:
    """What the host has to say: the canary in the words or the files that were left, its listeners, its own things."""
    found = ["the canary was said"] if host.canary.encode() in ran.log else []
    left = [path for path in work.rglob("*") if path.is_file() and not path.is_symlink()]
    found += [f"the canary is in {path}" for path in left if host.canary.encode() in _content(path)]
    found += ["the canary came through the door"] if host.canary in "".join(map(str, host.came)) else []
    return [*found, *host.hits(), *host.changed()]


def living(mark: str) -> list[str]:
    """The processes of the host that carry `mark` in their command line, but for those that only ask for the run."""
    told = {path: _content(path) for path in Path("/proc").glob("[0-9]*/cmdline")}
    return [
        str(path) for path, words in told.items() if mark.encode() in words and int(path.parent.name) != os.getpid()
    ]


def _bound(stack: ExitStack, family: int, kind: int, address: tuple[str, int] | str) -> socket.socket:
    made = stack.enter_context(socket.socket(family, kind))
    made.bind(address)
    if kind == socket.SOCK_STREAM:
        made.listen()
    made.setblocking(False)
    return made


def _reached(listening: socket.socket) -> bool:
    try:
        if listening.type == socket.SOCK_DGRAM:
            listening.recv(100)
        else:
            listening.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def _shared_memory(stack: ExitStack, canary: str) -> int:
    """A segment of System V memory, open to all, that holds the canary; its key."""
    libc = ctypes.CDLL(None)
    libc.shmat.restype = ctypes.c_void_p
    key = 0x43530000 + secrets.randbelow(0xFFFF)
    number = libc.shmget(key, 4096, 0o1666)
    assert number >= 0
    stack.callback(libc.shmctl, number, 0, None)
    ctypes.memmove(libc.shmat(number, None, 0), canary.encode(), len(canary))
    return key


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
