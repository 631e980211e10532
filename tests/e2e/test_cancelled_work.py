"""A cancelled task's running work ends within seconds: its processes, its model's stream, and its lease."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.configuration.home import Home
from bot.wiring.app import App, opened
from core.model.lifecycle import State
from core.model.model_lease import LeaseState
from core.model.turn import Actor
from core.services.model_leases import ModelLeaseBook
from core.services.requests import NewRequest
from tests import killer
from tests.homes import CliHome, make_home
from tests.shims.ollama.scheduler import GIB, Hardware, ShimModel
from tests.shims.ollama.server import GpuShim, words
from tests.worker_harness import eventually

pytestmark = [pytest.mark.queue]

ANA = Actor("ana", "terminal")
RARE_HEARTBEATS = "worker: {heartbeat_s: 100, lease_s: 500, poll_s: 0.05}\n"
"""Heartbeats that no test waits for: only the watch over running jobs ends them in time."""
WITHIN_S = 20.0
"""Far more than the second or two that it takes, for machines with busy cores."""
NAP_S = 28_417
"""The argument of the sandboxed `sleep`, by which the test finds it among all processes."""


@pytest.fixture
def home(tmp_path: Path) -> CliHome:
    made = make_home(tmp_path)
    config = made.root / "countersign.yaml"
    config.write_text(re.sub(r"worker: \{.*\}\n", "", config.read_text()) + RARE_HEARTBEATS)
    return made


@asynccontextmanager
async def worked_on(home: CliHome) -> AsyncIterator[App]:
    """The opened home, on which a real worker process works."""
    worker = killer.start(killer.Order(home=home.root, act="worker"))
    try:
        async with opened(Home(home.root)) as app:
            yield app
    finally:
        worker.kill()
        worker.join(60)


async def begun(app: App, lane: str) -> int:
    number = await app.requests.ask(NewRequest(text="do it", actor=ANA, repo="web", lane=lane))

    async def runs() -> bool:
        return (await app.documents.document(number)).task.state is State.RUNNING

    await eventually(runs)
    return number


async def cancelled(app: App, number: int, is_over: Callable[[], bool | Awaitable[bool]]) -> float:
    """Cancel a task; how many seconds passed until its work was over."""
    await app.requests.cancel(number, ANA)
    started = time.monotonic()
    await eventually(is_over, within_s=WITHIN_S)
    return time.monotonic() - started


def sleepers() -> int:
    """How many processes sleep for `NAP_S`, in whatever sandbox."""
    found = 0
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += file.read_bytes().split(b"\0")[:2] == [b"sleep", str(NAP_S).encode()]
        except OSError:  # it ended meanwhile
            continue
    return found


@pytest.mark.sandbox
async def test_the_processes_of_a_cancelled_command_are_gone(home: CliHome, record_property) -> None:
    script = f"sleep {NAP_S} & setsid sleep {NAP_S} & trap '' TERM INT; sleep {NAP_S}"
    lane = (
        'name: nap\ndescribe: sleeps\nwrite: ["**"]\nexecutor: command\n'
        f'command: ["/bin/sh", "-c", "{script}"]\nlimits: {{wall_s: 600}}\n'
    )
    (home.root / "lanes" / "nap.yaml").write_text(lane)
    _allow(home, "nap")
    async with worked_on(home) as app:
        number = await begun(app, "nap")
        await eventually(lambda: sleepers() == 3)
        record_property("seconds", await cancelled(app, number, lambda: sleepers() == 0))
        assert (await app.documents.document(number)).task.state is State.CANCELLED


async def test_the_stream_of_a_cancelled_model_is_closed_and_its_lease_given_back(home: CliHome, record_property):
    models = {"alpha": ShimModel(2 * GIB, 1024, load_s=0.1, wake_s=0.1)}
    hardware = Hardware(memory_bytes=8 * GIB)
    async with GpuShim(models, hardware, reply=words(100_000), tokens_s=20.0) as shim:  # for more than an hour
        config = home.root / "countersign.yaml"
        endpoint = f"models:\n  gpu: {{url: {shim.url!r}, gpu_memory_mib: [8192]}}\n"
        config.write_text(config.read_text() + endpoint)
        lane = 'name: slow\ndescribe: asks\nwrite: ["**"]\nexecutor: ollama\nmodels: ["gpu/alpha"]\n'
        (home.root / "lanes" / "slow.yaml").write_text(lane)
        _allow(home, "slow")
        async with worked_on(home) as app:
            book = ModelLeaseBook(app.database)
            number = await begun(app, "slow")

            async def is_granted() -> bool:
                return [each.state for each in (await book.alive()).leases] == [LeaseState.GRANTED]

            async def is_over() -> bool:
                return shim.hung_up == 1 and not (await book.alive()).leases

            await eventually(lambda: bool(shim.requests))
            await eventually(is_granted)
            record_property("seconds", await cancelled(app, number, is_over))
            assert len(shim.requests) == 1


def _allow(home: CliHome, lane: str) -> None:
    policy = home.root / "policy.yaml"
    rule = (
        f"  - name: {lane}-changes\n    when: {{lane: {lane}, from: [member, maintainer]}}\n"
        "    allow: {approvals: {count: 1, from: [maintainer]}, self_approve: false}\n"
    )
    policy.write_text(policy.read_text().replace("rules:\n", f"rules:\n{rule}", 1))
