"""What a lane adds to the time of its model or command, on a large repository; `make bench-lane`.

`python -m tests.bench.lane` prints and writes build/bench/lane.json. The model answers at once and the command is
``true``-like, so all that is measured is ours: listing, checking out, the sandbox, taking the result back, comparing.
The peers are git's own commands in the same run: `ls-tree` for a lane that reads objects, and a checkout with `add`
and `write-tree` for one that needs files. The bounds are 1 s on 10,000 files and 5 s on 100,000.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from core.model.errors import Problem
from core.model.intent import Intent
from core.model.lane import Lane, Limits
from core.model.provenance import Usage
from core.ports.executor import Executor, WorkOrder
from lanes.models import ChatReply, ChatRequest, Endpoint, ToolCall
from lanes.repository import GitRepository
from lanes.sandbox import Sandboxes
from lanes.wiring import ExecutorResources, build_executors
from tests.integration.lanes import origin

OUT: Final = Path(__file__).parents[2] / "build" / "bench" / "lane.json"
BOUNDS_S: Final = {10_000: 1.0, 100_000: 5.0}
ROUNDS: Final = 3
FOLDERS: Final = 100
COMMAND: Final = ("sh", "-c", "echo changed > src/0/0.py")


class AtOnce:
    """A model that edits one file and is done."""

    def __init__(self) -> None:
        self._turns = [
            ToolCall("write_file", {"path": "src/0/0.py", "text": "changed\n"}),
            ToolCall("finish", {"summary": "done"}),
        ]

    async def ask(self, ask: ChatRequest) -> ChatReply:
        """The next call, without thinking."""
        turn = self._turns[sum(message.role == "assistant" for message in ask.messages)]
        return ChatReply("", (turn,), "local/at-once", Usage("local/at-once", 1, 1, 1))


def large(at: Path, files: int) -> GitRepository:
    """A repository of that many small files in folders of ours and other sizes."""
    work = at / "work"
    for folder in range(FOLDERS):
        (work / "src" / str(folder)).mkdir(parents=True)
        for n in range(files // FOLDERS):
            (work / "src" / str(folder) / f"{n}.py").write_text(f"value = {folder} * {n}\n" * (n % 40 + 1))
    origin.git("init", "-q", "-b", "main", ".", at=work)
    origin.git("add", "-A", at=work)
    origin.git("commit", "-q", "-m", "start", at=work)
    origin.git("clone", "-q", "--bare", work, at / "origin.git", at=at)
    shutil.rmtree(work)
    return origin.store(at / "origin.git", at / "state")


async def lane_s(web: GitRepository, executor: Executor, lane: Lane) -> float:
    """Seconds from the order to the change that the guard would be given."""
    base = await web.fetch_base()
    order = WorkOrder(1, 1, lane, Intent("change it"), (), base, await web.tree_of(base))
    began = time.perf_counter()
    made = await executor.produce(order, web)
    change = await web.change(base, made.tree)
    took = time.perf_counter() - began
    assert [file.path for file in change.files] == [b"src/0/0.py"], change
    return took


async def listing_s(web: GitRepository, at: Path) -> float:
    """What git takes to list the tree, and to compare it with itself changed by nothing."""
    return await _git_s(web, at, ("ls-tree", "-r", "-z", "HEAD"), ("diff-tree", "-r", "-z", "HEAD", "HEAD"))


async def checkout_s(web: GitRepository, at: Path) -> float:
    """What git takes to write all files out, and to take them back as a tree."""
    work = at / "peer"
    work.mkdir()
    try:
        flag = f"--work-tree={work}"
        return await _git_s(
            web, at, (flag, "checkout", "-f", "HEAD"), (flag, "add", "-A", "."), ("write-tree",), within=work
        )
    finally:
        shutil.rmtree(work)


async def _git_s(web: GitRepository, at: Path, *commands: tuple[str, ...], within: Path | None = None) -> float:
    index = {"GIT_INDEX_FILE": str(at / "peer.index")}
    began = time.perf_counter()
    for command in commands:
        process = await asyncio.create_subprocess_exec(
            "git", "--git-dir", str(at / "origin.git"), *command, cwd=within or at, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL, env={**os.environ, **origin.WHO, **index},
        )  # fmt: skip
        assert await process.wait() == 0, command
    took = time.perf_counter() - began
    (at / "peer.index").unlink(missing_ok=True)
    return took


async def compare(files: int, rounds: int = ROUNDS) -> dict[str, float]:
    """Medians in seconds of our lanes and their peers, which take turns."""
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder:
        at = Path(folder)
        web = large(at, files)
        endpoints = {"local": Endpoint("local", "ollama", "http://127.0.0.1:1")}
        have = build_executors(ExecutorResources(at / "scratch", Sandboxes().get, lambda _names: AtOnce(), endpoints))
        limits = Limits(wall_s=300)
        coder = Lane("code", "x", ("src/**",), "ollama", limits, models=("local/at-once",))
        command = Lane("run", "x", ("src/**",), "command", limits, command=COMMAND)
        measured: dict[str, Callable[[], Awaitable[float]]] = {
            "model": lambda: lane_s(web, have["ollama"], coder),
            "listing": lambda: listing_s(web, at),
        }
        if not isinstance(Sandboxes().get("bwrap"), Problem):
            measured["command"] = lambda: lane_s(web, have["command"], command)
            measured["checkout"] = lambda: checkout_s(web, at)
        for name in ("model", "command"):  # the first piece of work fills the store and the kept files, once
            if name in measured:
                await measured[name]()
        rows: dict[str, list[float]] = {name: [] for name in measured}
        for _ in range(rounds):
            for name, measure in measured.items():
                rows[name].append(await measure())
        return {name: statistics.median(took) for name, took in rows.items()}


def figures(found: dict[int, dict[str, float]]) -> dict[str, Any]:
    """Ratios to the bound and to git's own commands, and the goals that were missed."""
    told: dict[str, Any] = {}
    failed = []
    for files, took in found.items():
        for lane, peer in (("model", "listing"), ("command", "checkout")):
            if lane not in took:
                continue
            told[f"{lane}_{files}_of_bound"] = round(took[lane] / BOUNDS_S[files], 3)
            told[f"{lane}_{files}_of_git"] = round(took[lane] / took[peer], 2)
            if took[lane] > BOUNDS_S[files]:
                failed.append(f"{lane} lane on {files} files takes {took[lane]:.2f} s, over {BOUNDS_S[files]:g} s")
    return {**told, "failed": failed}


def main(sizes: tuple[int, ...] = tuple(BOUNDS_S), rounds: int = ROUNDS, out: Path = OUT) -> int:
    """Measure, print, write; 1 when a bound is missed."""
    found = {files: asyncio.run(compare(files, rounds)) for files in sizes}
    for files, took in found.items():
        for name, seconds in took.items():
            sys.stdout.write(f"{files:>8} files  {name:<10} {seconds:8.3f} s\n")
    told = figures(found)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write("".join(f"missed: {goal}\n" for goal in told["failed"]))
    return 1 if told["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
