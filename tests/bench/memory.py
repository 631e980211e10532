"""What `countersign serve` keeps in memory with a Telegram group and a Slack channel, after a request through each.

The peer is a process that has done nothing but import the libraries that both chats, the database and the engine need.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from tests.fakes.slack.people import slack_before
from tests.fakes.slack.program import ANA, APP_TOKEN, BOT_TOKEN, DEV, LEE, TEAM, program
from tests.fakes.telegram import FakeTelegram
from tests.homes import CliHome, make_home
from tests.served_home import introduce

OUT: Final = Path("build/bench/memory.json")
MOST_MIB: Final = 120.0
"""What serving two chats may keep in memory while no job has run: the engine and the executors come with the first."""
LIBRARIES: Final = "telegram.ext, slack_bolt.async_app, sqlmodel, aiosqlite, dbos"
ASK: Final = "set server.timeout to {} in config/app.yaml"


def main(argv: list[str]) -> int:
    """Measure, print the table, write the file; 1 when the goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.memory", description=__doc__)
    parser.add_argument("--requests", type=int, default=5, help="in each chat")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder:
        figures: dict[str, object] = asyncio.run(_measure(make_home(Path(folder)), options.requests))
    figures["failed"] = [f"started_mib above {MOST_MIB}"] if float(str(figures["started_mib"])) > MOST_MIB else []
    for name, value in figures.items():
        print(f"{name:>24}  {value}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(figures, indent=2) + "\n")
    return 1 if figures["failed"] else 0


async def _measure(home: CliHome, requests: int) -> dict[str, object]:
    libraries = _libraries_mib()
    async with AsyncExitStack() as stack:
        telegram = await stack.enter_async_context(FakeTelegram())
        slack = await stack.enter_async_context(slack_before(stack.enter_context(program())))
        ana, group = telegram.person("Ana"), telegram.group()
        ids = {"telegram": {"ana": str(ana.id)}, "slack": {"ana": f"{TEAM}/{ANA}", "lee": f"{TEAM}/{LEE}"}}
        chats = {
            "telegram": {"token_file": "telegram", "base_url": telegram.base_url, "chats": {str(group.id): {}}},
            "slack": {"team": TEAM, "bot_token_file": "bot", "app_token_file": "app", "base_url": slack.url,
                      "channels": {DEV: {}}},
        }  # fmt: skip
        for name, secret in (("telegram", telegram.token), ("bot", BOT_TOKEN), ("app", APP_TOKEN)):
            (home.root / name).write_text(secret)
            (home.root / name).chmod(0o600)
        introduce(home, ids, "\n".join(f"{name}: {json.dumps(said)}" for name, said in chats.items()))
        process = home.start("serve")
        stack.callback(process.kill)
        await slack.until(slack.connected)
        resting = await _settled_mib(process.pid)
        for n in range(requests):
            ana.says(group, f"@ourbot {ASK.format(100 + n)}")
            await telegram.until(lambda n=n: sum("staged" in m.text for m in group.by_bot()) > n, 60)  # type: ignore[misc]
            await slack.mentions(ASK.format(200 + n))
            await slack.message(containing=f"#{2 * n + 2}")
        serving = await _settled_mib(process.pid)
    return {
        "libraries_mib": libraries,
        "started_mib": resting,
        "serving_mib": serving,
        "serving_over_libraries": round(serving / libraries, 2),
    }


def _libraries_mib() -> float:
    program = f"import {LIBRARIES}, os; print(os.getpid(), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = _resident_mib(process.pid)
        process.kill()
    return found


async def _settled_mib(pid: int) -> float:
    """The memory once it stays the same for a while."""
    seen = [_resident_mib(pid)]
    while len(seen) < 5 or max(seen[-5:]) - min(seen[-5:]) > 1:
        await asyncio.sleep(0.5)
        seen.append(_resident_mib(pid))
    return seen[-1]


def _resident_mib(pid: int) -> float:
    """The resident memory of a process, shared libraries included (proc(5), VmRSS)."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1024, 1)
    raise ProcessLookupError(pid)


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main(sys.argv[1:]))
