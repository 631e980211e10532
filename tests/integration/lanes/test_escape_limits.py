# ruff: noqa: E501 - programs for the inside, written as densely as they are read
"""Programs that take all there is, or stay when they should be gone: each is stopped, and the host does not suffer."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lanes.sandbox import SandboxLimits, SandboxResult
from lanes.sandbox.processes import NICE
from tests import campaign
from tests.integration.lanes.escapes import ROOMY, World, probe, seen
from tests.integration.lanes.test_escape import MODES, host_for, place_for, sandbox_of

pytestmark = [pytest.mark.lanes, pytest.mark.sandbox, campaign.BY_TURNS("cell")]
TIGHT = replace(ROOMY, wall_s=60, memory_mib=256, processes=32, disk_mib=64, files=2000, log_bytes=64_000)
MIB = 1024 * 1024


@dataclass(frozen=True)
class Cell:
    """A sandbox with a host around it and a place to work in."""

    sandbox: object
    host: World
    work: Path
    beneath: Path | None

    async def probe(self, code: str, confines: SandboxLimits = ROOMY, **more) -> SandboxResult:
        """Run one probe; what lies beneath is as it was."""
        before = seen(self.beneath) if self.beneath else {}
        ran = await probe(self.sandbox, self.host, self.work, code, confines, lower=self.beneath, **more)
        assert not self.beneath or seen(self.beneath) == before
        return ran


@pytest.fixture(params=[mode for mode in MODES if mode != "as an ordinary user, layered"])
def cell(request) -> Iterator[Cell]:
    sandbox = sandbox_of(request.param)
    with host_for(sandbox) as host, place_for(sandbox, layered="layered" in MODES[request.param]) as (work, beneath):
        yield Cell(sandbox, host, work, beneath)


MANY = """
for _ in range(20):
    if os.fork() == 0: x = bytearray(b'x' * 60_000_000); time.sleep(50)
time.sleep(50)
"""
SHARED = """
import mmap
for m in [mmap.mmap(-1, 50_000_000) for _ in range(20)]: m.write(b'x' * 50_000_000)
time.sleep(50)
"""
NAMELESS = """
held = []
while True:
    held.append(os.open('/work/gone', os.O_RDWR | os.O_CREAT)); os.unlink('/work/gone')
    os.write(held[-1], b'x' * 8_000_000)
    if len(held) > 100: time.sleep(50)
"""
SCRATCH = """
for at in ('/tmp', '/dev/shm', os.environ['HOME']):
    with open(at + '/big', 'wb', buffering=0) as f:
        try:
            while True: f.write(bytes(1 << 20))
        except OSError as e: print(e)
time.sleep(2)
"""
GREEDY = {
    "fork-bomb": ("while True:\n    try: os.fork()\n    except OSError: time.sleep(.01)", ("processes", "memory", "wall")),
    "fork-bomb-of-a-shell": ("os.execv('/bin/sh', ['sh', '-c', 'f() { f | f & }; f; while :; do :; done'])", ("processes", "memory", "wall", None)),
    "memory-bomb": ("x = []\nwhile True: x.append(bytearray(10_000_000))", ("memory", None)),
    "memory-of-many": (MANY, ("memory",)),
    "shared-memory": (SHARED, ("memory", None)),
    "memory-in-scratch": (SCRATCH, ("memory", None)),
    "disk-fill": ("n = 0\nwhile True:\n    n += 1; open(f'/work/f{n}', 'wb').write(b'x' * 8_000_000)", ("disk", "files")),
    "one-large-file": ("f = open('/work/big', 'wb')\nwhile True: f.write(b'x' * (1 << 20))", ("disk", None)),
    "inodes": ("for n in range(30_000): open(f'/work/n{n}', 'w').close()\ntime.sleep(50)", ("files",)),
    "folders": ("for n in range(20_000): os.mkdir(f'/work/n{n}')\ntime.sleep(50)", ("files",)),
    "files-without-a-name": (NAMELESS, ("disk",)),
    "memory-without-a-name": ("f = []\nwhile True: f.append(os.memfd_create('m')); os.write(f[-1], bytes(8_000_000))", (None,)),
    "inodes-in-scratch": ("for n in range(30_000): open(f'/tmp/n{n}', 'w').close()\ntime.sleep(50)", ("files",)),
    "processors": ("os.fork(), os.fork()\nwhile True: pass", ("cpu",)),
    "processors-by-turns": ("while True:\n    if os.fork() == 0: sum(range(3_000_000)); os._exit(0)\n    os.wait()", ("cpu",)),
}  # fmt: skip


@pytest.mark.parametrize("name", GREEDY)
async def test_what_takes_too_much_is_stopped(cell, name):
    code, bounds = GREEDY[name]
    before = shutil.disk_usage(cell.work).free
    confines = replace(TIGHT, wall_s=3) if "wall" in bounds else TIGHT
    confines = replace(TIGHT, cpu_s=1) if "cpu" in bounds else confines
    ran = await cell.probe(code, confines)
    assert ran.limit_hit in bounds, ran
    assert ran.limit_hit or ran.exit_code or b"Errno" in ran.log, ran
    assert before - shutil.disk_usage(cell.work).free < 4096 * MIB


async def test_a_sparse_file_ends_where_a_full_one_would(cell):
    code = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for size in (100 << 30, 1 << 40, 65 << 20):
    fd = os.open('/work/sparse', os.O_WRONLY | os.O_CREAT)
    if says(os.ftruncate, fd, size): out(size)
    if says(os.pwrite, fd, b'x', size): out('beyond', size)
    if says(os.posix_fallocate, fd, 0, size): out('promised', size)
"""
    ran = await cell.probe(code, TIGHT)
    assert (ran.exit_code, ran.limit_hit) == (0, None), ran
    assert (cell.work / "sparse").stat().st_size <= 64 * MIB


async def test_one_file_ends_where_the_folder_would(cell):
    """Who writes on ends of it, by the signal that the kernel has for it; the run is not stopped."""
    code = "signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\nos.execv('/usr/bin/head', ['head', '-c', '100000000', '/dev/zero'])"
    code = "os.dup2(os.open('/work/big', os.O_WRONLY | os.O_CREAT), 1)\n" + code
    ran = await cell.probe(code, TIGHT)
    assert (ran.exit_code, ran.limit_hit) in ((128 + signal.SIGXFSZ, None), (None, "disk")), ran
    assert (cell.work / "big").stat().st_size <= 64 * MIB


async def test_it_waits_for_those_who_asked(cell):
    """A build that takes every processor takes them after the bot, and cannot change that."""
    code = "print(os.nice(0)); says(os.nice, -1) and out('nicer'); says(os.sched_setscheduler, 0, 1, os.sched_param(1)) and out('at once')"
    ran = await cell.probe(code, TIGHT)
    assert int(ran.log.split()[0]) == max(NICE, os.nice(0)), ran


async def test_open_files_run_out_inside_only(cell):
    code = """
files = []
try:
    while len(files) < 100_000: files.append(os.open('/dev/null', os.O_RDONLY))
    out(len(files))
except OSError as error: print(error.errno == errno.EMFILE, len(files) < 2000)
pairs = files[0]
[os.close(f) for f in files[:100]]
"""
    ran = await cell.probe(code, TIGHT)
    assert b"True True" in ran.log
    with Path("/dev/null").open() as still:  # noqa: ASYNC230 - a device answers at once
        assert still.fileno() < resource.getrlimit(resource.RLIMIT_NOFILE)[0]


async def test_threads_count_as_processes(cell):
    code = """
import threading
born = 0
try:
    for _ in range(500): threading.Thread(target=time.sleep, args=(3,), daemon=True).start(); born += 1
except RuntimeError: pass
print(born)
if born > 250: out(born)
sys.stdout.flush(); print('END', flush=True); os._exit(0)
"""
    await cell.probe(code, TIGHT)


async def test_a_log_bomb_is_cut_and_the_end_is_kept(cell):
    code = "for _ in range(3000): os.write(1, b'x' * 65536)"
    ran = await cell.probe(code, TIGHT)
    assert ran.exit_code == 0
    assert len(ran.log) < 70_000
    assert ran.log.endswith(b"END\n")


@pytest.mark.parametrize("ignored", ["range(1, 32)", "()"], ids=["signals ignored", "no signal ignored"])
async def test_out_of_time_means_dead_with_all_children(cell, ignored):
    code = f"""
for n in {ignored}:
    if n not in (9, 19): signal.signal(n, signal.SIG_IGN)
for _ in range(3):
    if os.fork() == 0: os.setsid(); os.fork()
open('/work/begun', 'w').close()
while True: time.sleep(1)
"""
    ran = await cell.probe(code, replace(TIGHT, wall_s=3))
    assert (ran.limit_hit, ran.exit_code) == ("wall", None)
    assert (cell.work / "begun").exists()


async def test_a_daemon_does_not_outlive_its_run(cell):
    """Twice forked, in a session of its own, deaf to signals, holding nothing: `probe` asks the host for it by name."""
    code = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for n in range(1, 32):
            if n not in (9, 19): signal.signal(n, signal.SIG_IGN)
        [os.close(n) for n in (0, 1, 2)]
        while True: open('/work/alive', 'w').write(str(time.time())); time.sleep(.01)
    os._exit(0)
while not os.path.exists('/work/alive'): time.sleep(.01)
"""
    ran = await cell.probe(code, TIGHT)
    assert ran.exit_code == 0
    last = (cell.work / "alive").read_text()
    await asyncio.sleep(0.3)
    assert (cell.work / "alive").read_text() == last


async def test_a_daemon_that_holds_the_output_does_not_hold_us(cell):
    code = "if os.fork() == 0:\n    os.setsid(); time.sleep(600)\n"
    ran = await cell.probe(code, TIGHT)
    assert ran.exit_code == 0
    assert ran.wall_s < 50


async def test_stopped_processes_die_as_well(cell):
    code = "if os.fork() == 0:\n    os.kill(os.getpid(), signal.SIGSTOP)\ntime.sleep(.2)\n"
    assert (await cell.probe(code, TIGHT)).exit_code == 0


async def test_a_flood_at_the_forward_is_bounded_inside(cell):
    """Hundreds of connections: the relay takes so many and lets the others wait; the run and its end are as always."""
    code = """
held = []
for _ in range(400):
    s = socket.socket(); s.setblocking(False)
    s.connect_ex(('127.0.0.1', @DOOR@)); held.append(s)
time.sleep(.5)
print(len(os.listdir(f'/proc/{relay()[0]}/fd')) < 300)
"""
    ran = await cell.probe(code, TIGHT)
    assert ran.log.endswith(b"True\nEND\n"), ran
    assert len(cell.host.came) <= 400
