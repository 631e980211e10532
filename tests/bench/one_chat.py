"""What an idle `serve` with one chat costs: memory, processor time, and how soon after its start it answers a message.

The peer is a process that only imports the libraries that this takes: python-telegram-bot, SQLModel and aiosqlite.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tests.fakes.telegram import FakeTelegram
from tests.homes import CliHome
from tests.served_home import introduce
from tests.shims.ollama import GpuShim, ShimModel

LIMITS: Final = {
    "chat_rss_mib": 100.0,
    "chat_cpu_percent": 1.0,
    "chat_cpu_with_endpoint_percent": 1.0,
    "chat_ack_s": 1.5,
}
"""The greatest value of each figure that meets its goal."""
_LIBRARIES: Final = "telegram, sqlmodel, aiosqlite"
_SETTLES_S: Final = 6.0
"""How long a server may do what comes after its start: its first look at this host, and freeing memory."""
ASK: Final = "@ourbot set server.timeout to 31 in config/app.yaml"


async def measure(home: CliHome, seconds: float) -> dict[str, float]:
    """The figures of a home that nothing runs in; `seconds` is how long each server idles."""
    async with FakeTelegram() as telegram, GpuShim({"qwen3:8b": ShimModel(2**30)}) as shim:
        ana, group = telegram.person("Ana"), telegram.group()
        (home.root / "telegram").write_text(telegram.token)
        (home.root / "telegram").chmod(0o600)
        chat = {"token_file": "telegram", "base_url": telegram.base_url, "chats": {str(group.id): {}}}
        introduce(home, {"telegram": {"ana": str(ana.id)}}, f"telegram: {json.dumps(chat)}")
        config = home.root / "countersign.yaml"
        config.write_text(re.sub("^worker: .*$", "", config.read_text(), flags=re.MULTILINE))  # as it is without tests
        async with _serving(home) as process:
            figures = {"chat_cpu_percent": await _idle_percent(process.pid, seconds)}
            figures |= {f"chat_{kind}_mib": size for kind, size in memory_mib(process.pid).items()}
        libraries_mib, libraries_s = await asyncio.to_thread(_libraries)
        began_s = time.monotonic()
        asked = ana.says(group, ASK)
        async with _serving(home) as process:
            await telegram.until(lambda: asked.reactions, 120)
            figures["chat_ack_s"] = time.monotonic() - began_s
            figures["chat_ack_cpu_s"] = cpu_s(process.pid)
            await telegram.until(group.by_bot, 120)
            figures["chat_card_s"] = time.monotonic() - began_s
        with config.open("a") as more:
            more.write(f"models:\n  gpu: {{url: '{shim.url}', gpu_memory_mib: [24576]}}\n")
        async with _serving(home) as process:
            figures["chat_cpu_with_endpoint_percent"] = await _idle_percent(process.pid, seconds)
    figures |= {"chat_rss_of_libraries": figures["chat_rss_mib"] / libraries_mib}
    return {**figures, "chat_ack_of_imports": figures["chat_ack_s"] / libraries_s}


def memory_mib(pid: int) -> dict[str, float]:
    """The resident memory of a process (proc(5), smaps_rollup): `rss` with all shared pages, `pss` with its share."""
    sizes = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]:
        name, _, size = line.partition(":")
        sizes[name] = int(size.split()[0]) / 1024
    return {"rss": sizes["Rss"], "pss": sizes["Pss"]}


@asynccontextmanager
async def _serving(home: CliHome) -> AsyncIterator[subprocess.Popen[bytes]]:
    process = home.start("serve", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 120)


async def _idle_percent(pid: int, seconds: float) -> float:
    """The share of one core that a server takes once it has settled."""
    await asyncio.sleep(min(_SETTLES_S, 3 + seconds))
    for _ in range(5):
        before_s = cpu_s(pid)
        await asyncio.sleep(1)
        if cpu_s(pid) - before_s < 0.05:
            break
    before_s, began_s = cpu_s(pid), time.monotonic()
    await asyncio.sleep(seconds)
    return 100 * (cpu_s(pid) - before_s) / (time.monotonic() - began_s)


def _libraries() -> tuple[float, float]:
    """The memory and the start of the peer."""
    program = f"import {_LIBRARIES}; print(flush=True); input()"
    began_s = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        took_s = time.monotonic() - began_s
        found = memory_mib(process.pid)["rss"]
        process.kill()
    return found, took_s


def cpu_s(pid: int) -> float:
    """The processor time that a process has used, user and system."""
    stat = Path(f"/proc/{pid}/stat")
    if stat.exists():
        fields = stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    said = subprocess.run(["ps", "-o", "time=", "-p", str(pid)], capture_output=True, text=True, check=True).stdout
    seconds = 0.0
    for part in said.strip().replace("-", ":").split(":"):
        seconds = seconds * 60 + float(part)
    return seconds
