"""Control groups of runs: where they can be created, and that they are removed after their run."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from core.model.errors import TransientError
from lanes.sandbox import SandboxLimits, SandboxRun
from lanes.sandbox.cgroup import (
    _V1,
    _V2,
    CgroupParent,
    _candidates,
    _has_memory_controller,
    enter_run_cgroup,
    find_cgroup_parent,
    memory_accounting,
)

pytestmark = [pytest.mark.lanes, pytest.mark.sandbox]
V1 = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
V2 = "24 18 0:21 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
INSIDE = "24 18 0:21 /docker/ab /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n"


def host(folder: Path, mounts: str, groups: str) -> Path:
    """What ``/proc/self`` says of such a host."""
    (folder / "mountinfo").write_text(mounts)
    (folder / "cgroup").write_text(groups)
    return folder


@pytest.mark.parametrize(
    ("mounts", "groups", "expected"),
    [
        (V1, "9:name=systemd:/\n4:memory:/own\n0::/\n", [("/sys/fs/cgroup/memory/own", _V1)]),
        (V1, "4:memory:/\n", [("/sys/fs/cgroup/memory", _V1)]),
        (V1, "4:cpu,cpuacct:/own\n", []),
        (V2, "0::/system.slice/countersign.service/worker\n",
         [("/sys/fs/cgroup/system.slice/countersign.service/worker", _V2)]),
        (INSIDE, "0::/docker/ab/x\n", [("/sys/fs/cgroup/x", _V2)]),
        (INSIDE, "0::/docker/abc\n", []),
        ("", "0::/\n", []),
    ],
)  # fmt: skip
def test_the_groups_that_we_are_in_are_found_where_they_are_mounted(tmp_path, mounts, groups, expected):
    assert list(_candidates(host(tmp_path, mounts, groups))) == [(Path(path), files) for path, files in expected]


def test_a_host_that_tells_nothing_has_none(tmp_path):
    assert list(_candidates(tmp_path / "nowhere")) == []


def test_the_group_above_counts_if_it_was_handed_to_us(tmp_path):
    service = tmp_path / "service"
    (service / "worker").mkdir(parents=True)
    where = host(tmp_path, f"24 18 0:21 / {tmp_path} rw - cgroup2 cgroup2 rw\n", "0::/service/worker\n")
    assert list(_candidates(where)) == [(service / "worker", _V2)]
    os.setxattr(service, "user.delegate", b"1")
    assert list(_candidates(where)) == [(service / "worker", _V2), (service, _V2)]


def test_a_group_that_hands_no_memory_down_is_asked_to(tmp_path):
    assert not _has_memory_controller(tmp_path)
    control = tmp_path / "cgroup.subtree_control"
    control.write_text("cpu pids\n")
    assert not _has_memory_controller(tmp_path / "elsewhere")
    _has_memory_controller(tmp_path)
    assert control.read_text() == "+memory"
    control.write_text("cpu memory pids\n")
    assert _has_memory_controller(tmp_path)


def test_who_counts_is_said():
    assert "no control group" in memory_accounting(None)
    assert "a control group" in memory_accounting(CgroupParent(Path("/x"), _V1))


@pytest.fixture
def groups() -> CgroupParent:
    """Where this host lets us make groups."""
    found = find_cgroup_parent()
    if found is None:
        pytest.skip("needs a host that lets us make control groups of memory: as root, with cgroup v1")
    return found


async def test_a_run_has_a_group_that_ends_with_it(found, groups, tmp_path):
    seen: list[list[str]] = []

    def look(_chunk: bytes) -> None:
        mine = list(groups.parent.glob(f"countersign-{os.getpid()}-*"))
        seen.extend((path / "cgroup.procs").read_text().split() for path in mine)

    ran = await found.run(
        SandboxRun(("sh", "-c", "echo x; sleep 1"), tmp_path, SandboxLimits(memory_mib=64), on_output=look)
    )
    assert ran.exit_code == 0
    assert any(seen), "nothing ran in it"
    groups.remove_abandoned()
    assert list(groups.parent.glob(f"countersign-{os.getpid()}-*")) == []


async def test_a_run_that_is_cancelled_leaves_no_group(found, groups, tmp_path):
    began = asyncio.Event()
    running = asyncio.create_task(
        found.run(SandboxRun(("sh", "-c", "echo x; sleep 600"), tmp_path, on_output=lambda _: began.set()))
    )
    await began.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await found.run(SandboxRun(("true",), tmp_path))
    assert list(groups.parent.glob(f"countersign-{os.getpid()}-*")) == []


def test_the_next_start_removes_what_a_killed_worker_left(groups):
    code = (
        "import os, signal\nfrom lanes.sandbox.cgroup import find_cgroup_parent\n"
        "with find_cgroup_parent().create(64): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False)
    assert [p for p in groups.parent.glob("countersign-*") if not Path(f"/proc/{p.name.split('-')[1]}").exists()]
    with groups.create(64):
        pass
    left = [p for p in groups.parent.glob("countersign-*") if not Path(f"/proc/{p.name.split('-')[1]}").exists()]
    assert left == []


def test_without_its_group_no_run_starts(tmp_path):
    with ExitStack() as stack, pytest.raises(TransientError) as refused:
        enter_run_cgroup(stack, CgroupParent(tmp_path / "gone", _V1), SandboxLimits())
    assert refused.value.problem.code == "sandbox_failed"
