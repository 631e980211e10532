"""A home whose lanes use models of shims, served by real processes: requests by chat and command line, and kills."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import subprocess
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from tests.fakes.ollama.script import Calls, Request
from tests.fakes.telegram import FakeTelegram
from tests.homes import CliHome
from tests.served_home import introduce
from tests.shims.ollama.server import GpuShim, Reply

WORKERS: Final = ("a", "b")
_VISITOR: Final = re.compile(r"visitor ([0-9]+)")
_LEASES: Final = """
    SELECT job.number, lease.model, min(lease.arrived_ms), max(lease.granted_ms), max(lease.ended_ms)
    FROM model_leases AS lease JOIN jobs AS job ON job.id = lease.job
    WHERE lease.granted_ms IS NOT NULL GROUP BY job.number ORDER BY job.number
"""


@dataclass(frozen=True, slots=True)
class ModelUse:
    """What a task waited for and used a model: from its first lease to the end of its last, in seconds."""

    number: int
    model: str
    arrived_s: float
    granted_s: float
    ended_s: float


def reply(tokens: int) -> Reply:
    """A reply of so many tokens that makes the whole change at once, in a file of the request's own."""

    def answer(request: Request) -> Calls:
        visitor = visitor_of(request.text)
        return Calls(
            (
                ("write_file", {"path": f"docs/visitor-{visitor}.md", "text": f"Welcome, visitor {visitor}!\n"}),
                ("finish", {"summary": "The visitor is greeted."}),
            ),
            " ".join(["ok"] * tokens),
        )

    return answer


def visitor_of(text: str) -> int:
    """The number in a request's text; -1 without one."""
    match = _VISITOR.search(text)
    return int(match[1]) if match else -1


def prepare(home: CliHome, shims: Mapping[str, GpuShim], telegram: FakeTelegram, group: int, ana: int) -> None:
    """Configure the endpoints, a lane and a rule for each model, and the group."""
    (home.root / "telegram").write_text(telegram.token)
    (home.root / "telegram").chmod(0o600)
    chat = {"token_file": "telegram", "base_url": telegram.base_url, "chats": {str(group): {}}}
    models = "\n".join(
        f"  {name}: {{url: '{shim.url}', gpu_memory_mib: [{shim.hardware.memory_bytes // 1024**2}], "
        "reserve_mib: 0, context_tokens: 8192}"
        for name, shim in shims.items()
    )
    introduce(home, {"telegram": {"ana": str(ana)}}, f"telegram: {json.dumps(chat)}\nmodels:\n{models}")
    config = home.root / "countersign.yaml"
    worker = "worker: {poll_s: 0.2, slots: 4}"  # the times of leases are those of the product
    config.write_text(re.sub("^worker: .*$", worker, config.read_text(), flags=re.MULTILINE))
    rules = ""
    for model in models_of(shims):
        name = lane_of(model)
        lane = f"name: {name}\ndescribe: greets visitors\nwrite: ['docs/**']\nexecutor: ollama\nmodels: [{model}]\n"
        (home.root / "lanes" / f"{name}.yaml").write_text(lane)
        rules += f"  - name: {name}-changes\n    when: {{lane: {name}, from: [member, maintainer]}}\n"
        rules += "    allow: {approvals: {count: 1, from: [maintainer]}, self_approve: false}\n"
    policy = home.root / "policy.yaml"
    policy.write_text(policy.read_text().replace("\nrules:\n", f"\nrules:\n{rules}", 1))


def models_of(shims: Mapping[str, GpuShim]) -> list[str]:
    """The models of all shims, as lanes name them."""
    return [f"{name}/{model.partition(':')[0]}" for name, shim in shims.items() for model in shim.scheduler.models]


def lane_of(model: str) -> str:
    """The lane that uses a model."""
    return model.replace("/", "-")


@dataclass
class LiveQueue:
    """The processes of a prepared home; `close` ends them."""

    home: CliHome
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    async def start(self) -> None:
        """Start `serve` without a worker, and the workers; returns once models are granted."""
        self._begin("serve", "serve", "--no-worker")
        for name in WORKERS:
            self._begin(name, "worker")
        async with asyncio.timeout(180):
            while not self._ask("SELECT 1 FROM leaders WHERE duty = 'leases' AND worker IS NOT NULL"):  # noqa: ASYNC110
                await asyncio.sleep(0.2)

    async def kill(self, worker: str) -> None:
        """Kill a worker as a power cut would, and start another in its place."""
        self.processes[worker].kill()
        await asyncio.to_thread(self.processes[worker].communicate)
        self._begin(worker, "worker")

    async def ask(self, text: str, model: str) -> None:
        """Make a request by `countersign ask`."""
        process = self.home.start("ask", text, "--lane", lane_of(model), "--as", "ana")
        _, problem = await asyncio.to_thread(process.communicate)
        assert process.returncode == 0, problem

    async def until_rested(self, count: int, within_s: float) -> None:
        """Wait until so many tasks have left the queue, or until the time is over: what is missing then is lost."""
        try:
            async with asyncio.timeout(within_s):
                while len(self._ask("SELECT 1 FROM tasks WHERE state IN ('staged', 'failed')")) < count:  # noqa: ASYNC110
                    await asyncio.sleep(0.5)
        except TimeoutError:
            print("some requests are not done", flush=True)

    def states(self) -> dict[int, str]:
        """The state of each task by its number."""
        return {int(str(number)): str(state) for number, state in self._ask("SELECT number, state FROM tasks")}

    def uses(self) -> list[ModelUse]:
        """What each task used a model for, in the order of their numbers."""
        return [
            ModelUse(int(str(number)), str(model), *(float(str(each or "nan")) / 1000 for each in times))
            for number, model, *times in self._ask(_LEASES)
        ]

    async def close(self) -> None:
        """End every process."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            await asyncio.to_thread(process.communicate)

    def _begin(self, name: str, *words: str) -> None:
        log = (self.home.folder / f"{name}.log").open("ab")
        self.processes[name] = self.home.start(*words, stdout=subprocess.DEVNULL, stderr=log)
        log.close()

    def _ask(self, query: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(f"file:{self.home.database}?mode=ro", uri=True, timeout=30)) as database:
            return database.execute(query).fetchall()
