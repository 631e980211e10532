# ruff: noqa: E501 - programs for the inside, written as densely as they are read
"""Programs that take all there is, or stay when they should be gone: each is stopped, and the host does not suffer."""

from __future__ import annotations

import resource
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.lanes.escapes import ROOMY, probe
from tests.integration.lanes.test_escape import host  # noqa: F401 - a fixture

pytestmark = [pytest.mark.lanes, pytest.mark.sandbox]
TIGHT = replace(ROOMY, wall_s=60, memory_mib=256, processes=32, disk_mib=64, files=2000, log_bytes=64_000)
MIB = 1024 * 1024

MANY = """
for _ in range(20):
    if os.fork() == 0: x = bytearray(b'x' * 60_000_000); time.sleep(50)
time.sleep(50)
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
    "fork-bomb-of-a-shell": ("os.execv('/bin/sh', ['sh', '-c', 'f() { f | f & }; f; while :; do :; done'])", ("processes", "memory", "wall")),
    "memory-bomb": ("x = []\nwhile True: x.append(bytearray(10_000_000))", ("memory", None)),
    "memory-of-many": (MANY, ("memory",)),
    "memory-in-scratch": (SCRATCH, ("memory", None)),
    "disk-fill": ("n = 0\nwhile True:\n    n += 1; open(f'/work/f{n}', 'wb').write(b'x' * 8_000_000)", ("disk", "files")),
    "one-large-file": ("f = open('/work/big', 'wb')\nwhile True: f.write(b'x' * (1 << 20))", ("disk", None)),
    "inodes": ("for n in range(100_000): open(f'/work/n{n}', 'w').close()\ntime.sleep(50)", ("files",)),
    "folders": ("for n in range(100_000): os.mkdir(f'/work/n{n}')\ntime.sleep(50)", ("files",)),
}  # fmt: skip


@pytest.mark.parametrize("name", GREEDY)
async def test_what_takes_too_much_is_stopped(sandbox, work, host, name):  # noqa: F811
    code, bounds = GREEDY[name]
    before = shutil.disk_usage(work).free
    confines = replace(TIGHT, wall_s=4) if "wall" in bounds else TIGHT
    ran = await probe(sandbox, host, work, code, confines)
    assert ran.limit_hit in bounds, ran
    assert ran.limit_hit or ran.exit_code or b"Errno" in ran.log, ran
    assert before - shutil.disk_usage(work).free < 4096 * MIB
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(exist_ok=True)


async def test_a_sparse_file_ends_where_a_full_one_would(sandbox, work, host):  # noqa: F811
    code = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for size in (100 << 30, 1 << 40, 65 << 20):
    fd = os.open('/work/sparse', os.O_WRONLY | os.O_CREAT)
    if says(os.ftruncate, fd, size): out(size)
    if says(os.pwrite, fd, b'x', size): out('beyond', size)
    if says(os.posix_fallocate, fd, 0, size): out('promised', size)
"""
    ran = await probe(sandbox, host, work, code, TIGHT)
    assert (ran.exit_code, ran.limit_hit) == (0, None), ran
    assert (work / "sparse").stat().st_size <= 64 * MIB


async def test_open_files_run_out_inside_only(sandbox, work, host):  # noqa: F811
    code = """
files = []
try:
    while len(files) < 100_000: files.append(os.open('/dev/null', os.O_RDONLY))
    out(len(files))
except OSError as error: print(error.errno == errno.EMFILE, len(files) < 2000)
pairs = files[0]
[os.close(f) for f in files[:100]]
"""
    ran = await probe(sandbox, host, work, code, TIGHT)
    assert b"True True" in ran.log
    with Path("/dev/null").open() as still:  # noqa: ASYNC230 - a device answers at once
        assert still.fileno() < resource.getrlimit(resource.RLIMIT_NOFILE)[0]


async def test_threads_count_as_processes(sandbox, work, host):  # noqa: F811
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
    await probe(sandbox, host, work, code, TIGHT)


async def test_a_log_bomb_is_cut_and_the_end_is_kept(sandbox, work, host):  # noqa: F811
    code = "for _ in range(3000): os.write(1, b'x' * 65536)"
    ran = await probe(sandbox, host, work, code, TIGHT)
    assert ran.exit_code == 0
    assert len(ran.log) < 70_000
    assert ran.log.endswith(b"END\n")


@pytest.mark.parametrize("ignored", ["range(1, 32)", "()"], ids=["signals ignored", "no signal ignored"])
async def test_out_of_time_means_dead_with_all_children(sandbox, work, host, ignored):  # noqa: F811
    code = f"""
for n in {ignored}:
    if n not in (9, 19): signal.signal(n, signal.SIG_IGN)
for _ in range(3):
    if os.fork() == 0: os.setsid(); os.fork()
open('/work/begun', 'w').close()
while True: time.sleep(1)
"""
    ran = await probe(sandbox, host, work, code, replace(TIGHT, wall_s=4))
    assert (ran.limit_hit, ran.exit_code) == ("wall", None)
    assert (work / "begun").exists()


async def test_a_daemon_does_not_outlive_its_run(sandbox, work, host):  # noqa: F811
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
    ran = await probe(sandbox, host, work, code, TIGHT)
    assert ran.exit_code == 0
    assert (work / "alive").exists()


async def test_a_daemon_that_holds_the_output_does_not_hold_us(sandbox, work, host):  # noqa: F811
    code = "if os.fork() == 0:\n    os.setsid(); time.sleep(600)\n"
    ran = await probe(sandbox, host, work, code, TIGHT)
    assert ran.exit_code == 0
    assert ran.wall_s < 50


async def test_stopped_processes_die_as_well(sandbox, work, host):  # noqa: F811
    code = "if os.fork() == 0:\n    os.kill(os.getpid(), signal.SIGSTOP)\ntime.sleep(.2)\n"
    assert (await probe(sandbox, host, work, code, TIGHT)).exit_code == 0


async def test_a_flood_at_the_door_is_bounded_inside(sandbox, work, host):  # noqa: F811
    """Hundreds of connections: the relay takes so many and lets the others wait; the run and its end are as always."""
    code = """
held = []
for _ in range(400):
    s = socket.socket(); s.setblocking(False)
    s.connect_ex(('127.0.0.1', @DOOR@)); held.append(s)
time.sleep(.5)
print(len(os.listdir(f'/proc/{relay()[0]}/fd')) < 300)
"""
    ran = await probe(sandbox, host, work, code, TIGHT)
    assert ran.log.endswith(b"True\nEND\n"), ran
    assert len(host.came) <= 400
