"""What 200 open pages cost while nothing happens: a server that they watch, beside one that no page watches.

Both servers idle side by side on equal homes, so that whatever else the machine does meets both. Each viewer is what a
browser holds open for a page: a stream of news, with a session of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from bot.configuration.home import Home
from bot.wiring.app import opened
from core.model.turn import Actor
from core.services.web_sessions import BrowserClient
from tests.bench.one_chat import cpu_s
from tests.homes import CliHome, copy_home, make_home

OUT = Path("build/bench/viewers.json")
MOST_CPU_PERCENT = 15.0
"""Percent of one core that all viewers together may add (issue 11)."""
SESSIONS = 20
"""How many sessions the viewers share, as a person has several pages open."""


def main(argv: list[str]) -> int:
    """Measure, print the table, write the file; 1 when the goal was missed."""
    options = _options(argv)
    with tempfile.TemporaryDirectory(prefix="countersign-viewers-") as folder:
        template = make_home(Path(folder) / "template")
        template.staged()
        watched, alone = (copy_home(template, Path(folder) / name) for name in ("watched", "alone"))
        figures: dict[str, Any] = {"viewers": options.viewers, "seconds": options.seconds}
        figures |= asyncio.run(_measure(watched, alone, options.viewers, options.seconds))
    figures["failed"] = missed(figures)
    for name, value in figures.items():
        print(f"{name:28} {value:.2f}" if isinstance(value, float) else f"{name:28} {value}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({**figures, "machine": platform.machine()}, indent=2) + "\n")
    return 1 if figures["failed"] else 0


def missed(figures: dict[str, Any]) -> list[str]:
    """The goals that these figures do not meet."""
    failed = []
    if figures["viewers_cpu_percent"] > MOST_CPU_PERCENT:
        failed.append(f"viewers_cpu_percent above {MOST_CPU_PERCENT:g} of a core")
    if figures["streams_open_at_the_end"] != figures["viewers"]:
        failed.append("streams ended before the measurement did")
    return failed


def _options(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.viewers", description=__doc__)
    parser.add_argument("--viewers", type=int, default=200, help="how many pages are open")
    parser.add_argument("--seconds", type=float, default=45.0, help="how long nothing happens")
    parser.add_argument("--out", type=Path, default=OUT)
    return parser.parse_args(argv)


async def _measure(watched: CliHome, alone: CliHome, viewers: int, seconds: float) -> dict[str, float]:
    """Processor time of both servers, in percent of one core, once the streams are open."""
    cookies = await _cookies(watched)
    async with AsyncExitStack() as stack:
        port, one = await stack.enter_async_context(_serving(watched))
        _, other = await stack.enter_async_context(_serving(alone))
        streams = [await _stream(port, cookies[n % len(cookies)]) for n in range(viewers)]
        await asyncio.sleep(min(10.0, seconds))  # what opening takes is not idling
        before, began = (cpu_s(one.pid), cpu_s(other.pid)), asyncio.get_running_loop().time()
        await asyncio.sleep(seconds)
        span = asyncio.get_running_loop().time() - began
        used, idle = (
            100 * (cpu_s(process.pid) - earlier) / span for process, earlier in zip((one, other), before, strict=True)
        )
        still_open = sum(not reader.at_eof() for reader, _ in streams)
        for _, writer in streams:
            writer.close()
    return {
        "watched_cpu_percent": used,
        "alone_cpu_percent": idle,
        "viewers_cpu_percent": used - idle,
        "watched_to_alone_ratio": used / idle if idle else 1.0,
        "streams_open_at_the_end": still_open,
    }


async def _cookies(home: CliHome) -> list[str]:
    """The secrets of several sessions of lee."""
    config = home.root / "countersign.yaml"
    config.write_text(config.read_text() + "\nweb: {}\n")
    secrets = []
    async with opened(Home(home.root)) as app:
        for _ in range(SESSIONS):
            link = await app.web_sessions.make_link(Actor("lee", "terminal"))
            session = await app.web_sessions.sign_in(link, BrowserClient("bench"), None)
            assert session is not None
            secrets.append(session.secret)
    return secrets


@asynccontextmanager
async def _serving(home: CliHome) -> AsyncIterator[tuple[int, subprocess.Popen[bytes]]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = home.start("serve", "--port", str(port), stdout=subprocess.DEVNULL)
    assert process.stderr is not None
    line = await asyncio.to_thread(process.stderr.readline)
    assert line.startswith(b"countersign: serving "), line
    try:
        yield port, process
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.communicate, timeout=60)


async def _stream(port: int, secret: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A stream of news, opened as a browser does, up to its first message."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"GET /news HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncookie: countersign-{port}={secret}\r\n\r\n"
    writer.write(head.encode())
    async with asyncio.timeout(60):
        answer = await reader.readuntil(b": open\n\n")
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    return reader, writer


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
