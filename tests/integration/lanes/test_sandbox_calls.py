# ruff: noqa: E501 - programs for the inside, written as densely as they are read
"""The filter of system calls, asked by real calls from inside: refused ones by their number, and what must go on."""

from __future__ import annotations

import errno
import json
import platform
import struct

import pytest

from lanes.sandbox import SandboxLimits, SandboxRun
from lanes.sandbox.seccomp import _BY_PATH, _DENIED, _MACHINES, _SHARED_MEMORY, _UNSUPPORTED, syscall_filter

pytestmark = [pytest.mark.lanes, pytest.mark.sandbox]
QUICK = SandboxLimits(wall_s=60, memory_mib=256, processes=32, log_bytes=64_000)
needs_filter = pytest.mark.skipif(platform.machine() not in _MACHINES, reason="no filter for this kind of machine")


async def told(sandbox, work, code: str):
    before = "import ctypes, json, os, socket, sys\nlibc = ctypes.CDLL(None, use_errno=True)\n"
    before += "def call(*words):\n  ctypes.set_errno(0); libc.syscall(*map(ctypes.c_long, words)); return ctypes.get_errno()\n"
    ran = await sandbox.run(SandboxRun(("python3", "-c", before + code), work, QUICK))
    assert ran.exit_code == 0, ran
    return json.loads(ran.log)


@needs_filter
async def test_every_call_on_the_list_is_refused(sandbox, work):
    column = _MACHINES[platform.machine()][0]
    asked = {name: n[column] for name, n in {**_DENIED, **_UNSUPPORTED}.items() if n[column] >= 0}
    said = await told(sandbox, work, f"print(json.dumps({{n: call(c, 0, 0, 0, 0, 0) for n, c in {asked}.items()}}))")
    expected = {name: errno.ENOSYS if name in _UNSUPPORTED else errno.EPERM for name in asked}
    assert said == expected


@needs_filter
async def test_no_namespace_is_made_by_clone_either(sandbox, work):
    clone = {"x86_64": 56, "aarch64": 220}[platform.machine()]
    spaces = [0x10000000, 0x00020000, 0x40000000, 0x20000000, 0x10000000 | 17]
    said = await told(sandbox, work, f"print(json.dumps([call({clone}, f, 0, 0, 0, 0) for f in {spaces}]))")
    assert said == [errno.EPERM] * len(spaces)


async def test_kinds_of_sockets_that_no_namespace_confines_cannot_be_made(sandbox, work):
    said = await told(
        sandbox,
        work,
        """
said = {}
for family in (*range(1, 46),):
    try: socket.socket(family, socket.SOCK_DGRAM).close(); said[family] = 'made'
    except OSError as error: said[family] = error.errno
print(json.dumps([f for f, what in said.items() if what == 'made']))
""",
    )
    assert set(said) <= {1, 2, 10, 16}


@needs_filter
async def test_nothing_can_be_typed_for_the_terminal(sandbox, work):
    said = await told(
        sandbox,
        work,
        """
import fcntl, pty, termios
_, tty = pty.openpty()
said = []
for what in (termios.TIOCSTI, 0x541C, termios.TIOCSTI | 1 << 32):
    said.append(call({"x86_64": 16, "aarch64": 29}[os.uname().machine], tty, what, 0))
print(json.dumps(said))
""",
    )
    assert said == [errno.EPERM] * 3


async def test_what_ordinary_programs_do_goes_on(sandbox, work):
    said = await told(
        sandbox,
        work,
        """
import multiprocessing, subprocess, tempfile, threading, time
threads = [threading.Thread(target=time.sleep, args=(0.01,)) for _ in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
with tempfile.NamedTemporaryFile() as f: os.chmod(f.name, 0o600); os.utime(f.name, (1, 1))
a, b = socket.socketpair(); a.send(b'x')
pool = multiprocessing.get_context('fork').Pool(2)
print(json.dumps([b.recv(1) == b'x', pool.map(abs, [-1, -2]), subprocess.run(['ls', '/usr'], capture_output=True).returncode,
                  socket.create_server(('127.0.0.1', 0)).getsockname()[0]]))
os._exit(0) if sys.stdout.flush() is None else 0
""",
    )
    assert said == [True, [1, 2], 0, "127.0.0.1"]


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("landlock", [False, True])
def test_the_filter_is_a_program_that_always_answers(machine, landlock):
    """Every jump lands inside, the last instruction answers, and each listed call gets its refusal."""
    words = list(struct.iter_unpack("=HBBI", syscall_filter(machine, landlock=landlock)))
    assert len(words) < 4096
    column, number = _MACHINES[machine]
    refused = {**_DENIED, **(_BY_PATH if landlock else {})}
    unknown = {**_UNSUPPORTED, **(_SHARED_MEMORY if landlock else {})}
    for calls, answer in ((refused, errno.EPERM), (unknown, errno.ENOSYS)):
        for name, numbers in calls.items():
            if numbers[column] >= 0:
                assert answered(words, number, numbers[column], 0) == 0x50000 | answer, name
    assert answered(words, number, 0, 0) == 0x7FFF0000
    assert answered(words, number ^ 1, 0, 0) == 0x80000000
    assert answered(words, number, 0x40000000, 0) == 0x50000 | errno.ENOSYS


@pytest.mark.parametrize(
    ("call", "arguments", "landlock", "answer"),
    [
        (56, (0x11,), False, 0), (56, (0x10000011,), False, errno.EPERM), (56, (0x3D0F00,), False, 0),
        (41, (1,), False, 0), (41, (2,), False, 0), (41, (10,), False, 0), (41, (16,), False, 0),
        (41, (40,), False, errno.EAFNOSUPPORT), (41, (17,), False, errno.EAFNOSUPPORT),
        (41, (1,), True, errno.EACCES), (41, (2,), True, errno.EACCES), (53, (1,), True, 0),
        (16, (0, 0x5412), False, errno.EPERM), (16, (0, 0x541B), False, 0),
        (280, (0, 0), True, 0), (280, (0, 99), True, errno.EPERM), (280, (0, 99), False, 0), (90, (), False, 0),
        (302, (0, 7), True, 0), (302, (1, 7), True, errno.EPERM), (302, (1, 7), False, 0),
        (203, (0,), True, 0), (203, (1,), True, errno.EPERM), (314, (1,), True, errno.EPERM),
        (141, (0, 0, 5), True, 0), (141, (0, 1, 5), True, errno.EPERM), (141, (2, 0, 5), True, errno.EPERM),
        (251, (1, 0), True, 0), (251, (1, 9), True, errno.EPERM), (251, (2, 0), True, errno.EPERM),
        (29, (0, 4096), False, 0), (29, (0, 4097), False, errno.EINVAL), (29, (0, 0), False, 0),
        (54, (3, 1, 2), False, 0), (54, (3, 6, 7), False, 0),
    ],
)  # fmt: skip
def test_calls_are_judged_by_their_arguments(call, arguments, landlock, answer):
    words = list(struct.iter_unpack("=HBBI", syscall_filter("x86_64", landlock=landlock)))
    expected = 0x50000 | answer if answer else 0x7FFF0000
    assert answered(words, _MACHINES["x86_64"][1], call, *arguments) == expected


@pytest.mark.parametrize("option", [7, 8, 32, 33])
def test_a_sockets_buffers_stay_and_who_asks_is_told_that_it_was_done(option):
    words = list(struct.iter_unpack("=HBBI", syscall_filter("x86_64")))
    assert answered(words, _MACHINES["x86_64"][1], 54, 3, 1, option) == 0x50000


def test_a_segment_of_more_than_32_bits_is_large_too():
    words = list(struct.iter_unpack("=HBBI", syscall_filter("x86_64")))
    assert answered(words, _MACHINES["x86_64"][1], 29, 0, 1 << 32) == 0x50000 | errno.EINVAL


def test_a_machine_without_a_table_gets_no_filter():
    assert syscall_filter("riscv64") == b""


def answered(words, machine: int, call: int, *arguments: int):
    """What the kernel would answer: the few instructions of classic BPF that the filter uses."""
    loaded, at = 0, 0
    memory = {0: call, 4: machine} | {
        16 + 8 * n + 4 * half: value >> 32 * half & 0xFFFFFFFF for n, value in enumerate(arguments) for half in (0, 1)
    }
    while True:
        code, yes, no, value = words[at]
        at += 1
        if code == 0x20:
            loaded = memory.get(value, 0)
        elif code == 0x06:
            return value
        else:
            holds = {0x15: loaded == value, 0x45: bool(loaded & value), 0x35: loaded >= value}[code]
            at += yes if holds else no
