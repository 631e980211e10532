# ruff: noqa: E501 - programs for the inside, written as densely as they are read
"""Programs that act on processes and memory of others, or hide memory from those who count it: in every sandbox."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import subprocess
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lanes.sandbox import SandboxLimits, SandboxRun
from lanes.sandbox.bwrap import Bwrap
from lanes.sandbox.find_bwrap import known_options
from tests import campaign
from tests.integration.lanes.conftest import USER, AsOrdinaryUser
from tests.integration.lanes.test_sandbox_landlock import Asked, box  # noqa: F401 - a fixture

pytestmark = [pytest.mark.lanes, pytest.mark.sandbox]
ROOMY = SandboxLimits(wall_s=60, memory_mib=256, processes=32, log_bytes=64_000)
WAYS = ["bwrap", "bwrap as an ordinary user", "landlock"]


@pytest.fixture(params=WAYS if os.geteuid() == 0 else [WAYS[0], WAYS[2]])
def confined(request: pytest.FixtureRequest) -> Iterator[tuple[Any, Path]]:
    """A sandbox of each kind, with a folder to work in; bwrap as this host finds it and as an ordinary user would."""
    name = "box" if request.param == "landlock" else "found"
    sandbox = request.getfixturevalue(name)
    if request.param == "bwrap as an ordinary user":
        program = sandbox.bwrap.program
        sandbox = AsOrdinaryUser(Bwrap(program, known_options(program), syscall_filter=sandbox.bwrap.syscall_filter))
    with folder_for(ours=request.param == "bwrap") as folder:
        yield sandbox, folder


@contextlib.contextmanager
def folder_for(*, ours: bool = False) -> Iterator[Path]:
    """A folder of the ordinary user's."""
    with tempfile.TemporaryDirectory(prefix="countersign-test-") as name:
        if os.geteuid() == 0 and not ours:
            os.chown(name, USER, USER)
        yield Path(name)


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """A process of the same user as a run of landlock's, and a group and session of its own."""
    sleeping = subprocess.Popen(["/bin/sleep", "600"], user=USER if os.geteuid() == 0 else None, start_new_session=True)
    yield sleeping
    sleeping.kill()
    sleeping.wait()


def state_of(pid: int) -> tuple[object, ...]:
    """What of a process others could change."""
    limits = Path(f"/proc/{pid}/limits").read_text()
    return (
        limits,
        os.getpriority(os.PRIO_PROCESS, pid),
        os.sched_getaffinity(pid),
        os.sched_getscheduler(pid),
        ionice(pid),
    )


def ionice(pid: int) -> str:
    """Its class and priority at the disk."""
    return subprocess.run(["ionice", "-p", str(pid)], capture_output=True, text=True, check=True).stdout


async def inside(confined: tuple[Any, Path], code: str, confines: SandboxLimits = ROOMY):
    sandbox, folder = confined
    return await sandbox.run(SandboxRun(("python3", "-c", BEFORE + textwrap.dedent(code)), folder, confines))


BEFORE = """
import ctypes, errno, json, mmap, os, resource, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
def call(name, *words):
    number = {'prlimit64': (302, 261), 'setpriority': (141, 140), 'sched_setaffinity': (203, 122), 'sched_setparam': (142, 118),
              'sched_setscheduler': (144, 119), 'sched_setattr': (314, 274), 'ioprio_set': (251, 30), 'kill': (62, 129), 'mq_open': (240, 180),
              'process_madvise': (440, 440), 'process_mrelease': (448, 448), 'memfd_create': (319, 279), 'memfd_secret': (447, 447)}[name]
    ctypes.set_errno(0)
    came = libc.syscall(ctypes.c_long(number[os.uname().machine == 'aarch64']), *(w if isinstance(w, (bytes, ctypes.Array)) else ctypes.c_long(w) for w in words))
    return came if came >= 0 else -ctypes.get_errno()
def said(act, *words):
    try: return act(*words) or 0
    except OSError as error: return -error.errno
"""

ACTS = """
small = (ctypes.c_ulong * 2)(7, 7)
mask, param = (ctypes.c_ulong * 16)(1), (ctypes.c_int * 4)(0)
attr = (ctypes.c_uint32 * 12)(48, 3)
came = {}
for pid in PIDS:
    for limit in (0, 1, 3, 7, 9): came[f'prlimit64 {limit} {pid}'] = call('prlimit64', pid, limit, small, 0)
    for n in range(3): came[f'setpriority {n} {pid}'] = call('setpriority', n, pid, 19)
    came[f'affinity {pid}'] = call('sched_setaffinity', pid, 8, mask)
    came[f'scheduler {pid}'] = call('sched_setscheduler', pid, 3, param)
    came[f'param {pid}'] = call('sched_setparam', pid, param)
    came[f'attr {pid}'] = call('sched_setattr', pid, attr, 0)
    for n in range(1, 4): came[f'ioprio {n} {pid}'] = call('ioprio_set', n, pid, 3 << 13)
    for n in (0, 15, 19): came[f'kill {n} {pid}'] = call('kill', pid, n)
for n in (1, 2):
    came[f'all nice {n}'] = call('setpriority', n, os.getuid() if n == 2 else 0, 19) if LANDLOCK else -1
    came[f'all idle {n}'] = call('ioprio_set', n + 1, os.getuid() if n == 2 else 0, 3 << 13) if LANDLOCK else -1
print(json.dumps({what: n for what, n in came.items() if n >= 0}))
"""


async def test_guard_05_nothing_acts_on_processes_outside(confined, victim):
    landlock = isinstance(confined[0], Asked)
    pids = [victim.pid, os.getpid(), *([-victim.pid] if landlock else [])]
    before = {pid: state_of(pid) for pid in (victim.pid, os.getpid())}
    ran = await inside(confined, f"PIDS, LANDLOCK = {pids}, {landlock}\n" + ACTS)
    assert ran.exit_code == 0, ran
    assert json.loads(ran.log) == {}
    assert {pid: state_of(pid) for pid in before} == before
    assert victim.poll() is None


async def test_guard_05_the_launcher_outside_of_landlock_is_left_alone(box):  # noqa: F811
    """It is the parent, and runs as the same user."""
    with folder_for() as folder:
        ran = await inside((box, folder), "PIDS, LANDLOCK = [os.getppid()], True\n" + ACTS)
    assert (ran.exit_code, json.loads(ran.log)) == (0, {}), ran


async def test_guard_05_a_program_still_rules_itself(confined):
    code = """
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)); os.sched_setaffinity(0, os.sched_getaffinity(0)); os.nice(3)
    print(call('ioprio_set', 1, 0, 3 << 13), resource.getrlimit(resource.RLIMIT_NOFILE), os.nice(0) >= 13)
    """
    ran = await inside(confined, code)
    assert ran.log == b"0 (64, 64) True\n", ran


SYSTEM_V = """
came = {}
for key in (0, 0x1234):
    number = libc.shmget(key, 1 << 20, 0o1666)
    came[f'shm {key}'] = number
    if number >= 0: ctypes.memmove(libc.shmat(number, None, 0), b'from job to job', 15)
    came[f'sem {key}'] = libc.semget(key, 100, 0o1666)
    came[f'msg {key}'] = libc.msgget(key, 0o1666)
came['mq'] = call('mq_open', b'job', 0o102, 0o666, 0)
came['memfd'] = call('memfd_create', b'm', 0)
came['secret'] = call('memfd_secret', 0)
print(json.dumps({what: n for what, n in came.items() if n >= 0}))
"""


async def test_guard_05_no_memory_and_no_queue_passes_from_job_to_job(confined):
    ran = await inside(confined, SYSTEM_V)
    assert (ran.exit_code, json.loads(ran.log)) == (0, {}), ran
    for kind in ("shm", "sem", "msg"):
        assert " 4660 " not in Path(f"/proc/sysvipc/{kind}").read_text()


async def test_guard_05_memory_of_the_host_is_not_read(confined):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    number = libc.shmget(0, 4096, 0o1666)
    assert number >= 0
    try:
        ctypes.memmove(libc.shmat(number, None, 0), b"canary", 6)
        code = f"at = libc.shmat({number}, None, 0)\nif at not in (None, 2**64 - 1): print(ctypes.string_at(at, 6))\nprint(libc.shmctl({number}, 0, None), 'END')"
        ran = await inside(confined, code)
    finally:
        still = libc.shmctl(number, 0, None)
    assert ran.log == b"-1 END\n", ran
    assert still == 0, "it was removed from inside"


async def test_guard_05_a_page_of_shared_memory_is_had_where_it_is_the_runs_own(sandbox, work):
    """PostgreSQL asks for 56 bytes, to know that it runs once."""
    code = "n = libc.shmget(7, 56, 0o1600)\nctypes.memmove(libc.shmat(n, None, 0), b'x', 1)\nprint(n >= 0, libc.shmget(8, 4097, 0o1600), libc.shmget(9, ctypes.c_size_t(1 << 32), 0o1600))"
    assert (await inside((sandbox, work), code)).log == b"True -1 -1\n"


# Each takes what it can of a gigabyte, in pieces, and says how much it holds; 256 MiB are allowed.
HELD = {
    "socket buffers": """
        pairs = []
        while len(pairs) < 490:
            a, b = socket.socketpair()
            for s in (a, b):
                s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20); s.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    while True: held += s.send(bytes(1 << 16))
            pairs.append((a, b))
        if not forks and os.fork() == 0: forks.append(1); exec(again)
        """,
    "buffers of connections": """
        server = socket.create_server(('127.0.0.1', 0)); pairs = []
        while len(pairs) < 300:
            a = socket.create_connection(server.getsockname()); b, _ = server.accept()
            for s in (a, b):
                s.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    while True: held += s.send(bytes(1 << 20))
            pairs.append((a, b))
        """,
    "datagrams of senders that are gone": """
        kept = []
        for n in range(300):
            r = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); r.bind(f'/tmp/{n}'); kept.append(r)
            for _ in range(11):
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s, contextlib.suppress(OSError):
                    s.setblocking(False); held += s.sendto(bytes(200_000), f'/tmp/{n}')
        """,
    "shared memory that is mapped and not resident": """
        maps = []
        for _ in range(20):
            m = mmap.mmap(-1, 50 << 20); m.write(bytes([1]) * (50 << 20)); m.madvise(mmap.MADV_DONTNEED)
            maps.append(m); held += 50 << 20
        """,
    "memory of System V": """
        for _ in range(64):
            n = libc.shmget(0, 16 << 20, 0o1600)
            if n < 0: sys.exit(9)
            at = libc.shmat(n, None, 0); ctypes.memset(at, 1, 16 << 20); libc.shmdt(ctypes.c_void_p(at)); held += 16 << 20
        """,
    "many segments of a page": """
        n = 0
        while libc.shmget(0, 4096, 0o1600) >= 0: n += 1
        sys.exit(9 if n <= 4096 else 0)
        """,
    "semaphores": "sys.exit(9 if libc.semget(0, 32000, 0o1600) < 0 else 0)",
    "files in memory": """
        for at in ('/tmp', '/dev/shm', os.environ['HOME']):
            with open(at + '/big', 'wb', buffering=0) as f, contextlib.suppress(OSError):
                for _ in range(200): held += f.write(bytes(1 << 20))
        """,
    "tables of pages": """
        m = mmap.mmap(-1, 1 << 38, flags=mmap.MAP_PRIVATE | 0x4000, prot=mmap.PROT_READ)
        for at in range(0, 1 << 38, 2 << 20): m[at]
        held = 512 << 20
        """,
    "many processes": """
        for _ in range(20):
            if os.fork() == 0: x = bytearray(b'x' * 60_000_000); time.sleep(50)
            held += 60_000_000
        """,
}  # fmt: skip
TIGHT = replace(ROOMY, processes=64, wall_s=120)


@pytest.fixture(params=WAYS[:2] if os.geteuid() == 0 else WAYS[:1])
def counting(request: pytest.FixtureRequest) -> Iterator[tuple[Any, Path]]:
    """Both ways to count: by a control group, which root finds where there is one, and from outside."""
    sandbox = request.getfixturevalue("found")
    if request.param != "bwrap":
        sandbox = AsOrdinaryUser(
            Bwrap(
                sandbox.bwrap.program, known_options(sandbox.bwrap.program), syscall_filter=sandbox.bwrap.syscall_filter
            )
        )
    with folder_for(ours=request.param == "bwrap") as folder:
        yield sandbox, folder


ALONE = [
    "socket buffers", "shared memory that is mapped and not resident", "memory of System V", "semaphores",
    "tables of pages", "many processes",
]  # fmt: skip


@pytest.mark.parametrize("name", ALONE)
async def test_guard_06_so_it_is_in_landlock(box, name):  # noqa: F811
    with folder_for() as folder:
        await _holds_no_more((box, folder), name)


@campaign.BY_TURNS("counting")
@pytest.mark.parametrize("name", HELD)
async def test_guard_06_memory_that_no_process_shows_is_counted(counting, name):
    await _holds_no_more(counting, name)


async def _holds_no_more(counting, name: str) -> None:
    code = textwrap.dedent(HELD[name])
    whole = f"import contextlib\nheld, forks = 0, []\nagain = {code!r}\nexec(again)\nprint('HELD', held >> 20, flush=True)\ntime.sleep(60 if held >> 20 > 200 else 0)\n"
    ran = await inside(counting, whole, TIGHT)
    bounded = [int(line.split()[1]) <= 200 for line in ran.log.decode().splitlines() if line.startswith("HELD")]
    assert ran.limit_hit == "memory" or ran.exit_code in (9, 137) or (bounded and all(bounded)), ran


MAPPED = """
for n in range(20):
    with open('/work/gone', 'w+b') as f:
        f.truncate(8 << 20); m = mmap.mmap(f.fileno(), 8 << 20); m.write(b'x' * (8 << 20)); globals()[f'm{n}'] = m
    os.unlink('/work/gone')
time.sleep(30)
"""


async def test_guard_04_files_that_are_mapped_and_have_neither_a_name_nor_a_descriptor_take_room(sandbox, work):
    ran = await inside((sandbox, work), MAPPED, replace(ROOMY, disk_mib=64))
    assert ran.limit_hit == "disk", ran


async def test_guard_06_a_file_that_is_open_and_mapped_counts_once_and_by_what_it_takes(sandbox, work):
    """As databases in a test's temporary folder, removed before they are closed."""
    code = """
    f = open('/work/db', 'w+b'); f.truncate(60 << 20); m = mmap.mmap(f.fileno(), 60 << 20); m[0] = 1; os.unlink('/work/db')
    m.write(b'x' * (8 << 20)); time.sleep(2); print('done')
    """
    ran = await inside((sandbox, work), code, replace(ROOMY, disk_mib=64))
    assert (ran.exit_code, ran.log) == (0, b"done\n"), ran
