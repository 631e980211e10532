"""How quickly requests are taken in: 10,000 signed comments in a minute, from 1,000 people, over HTTP.

They are sent by another process to a real server with the GitHub surface: signature, JSON, Markdown, commit, and only
then the 202. Beside them the conversation hears them and makes tasks of them, as `serve` does. The peer is the same
server with a route that checks the signature alone, sent to by the same program in the same run. Nothing may be lost.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from bot.configuration.home import Home
from bot.messaging.channel_scopes import ChannelScopes
from bot.surfaces.github.surface import PATH, GitHubSurface
from bot.surfaces.port import GitHubSurfaceConfig, Inbox, Place
from bot.wiring.app import App, opened
from bot.wiring.surfaces import serve_surfaces
from bot.wiring.worker import build_worker
from core.store import inbox
from core.store.tables import TaskRow
from core.store.unit_of_work import Tx
from tests.homes import CliHome, make_home
from tests.integration.github_surface.memory_comments import MemoryComments

OUT: Final = Path("build/bench/intake.json")
SECRET: Final = "a-made-up-secret-of-a-benchmark"
REPOSITORY: Final = 7
PEER: Final = "/peer"
BOUND_S: Final = 1.0
"""Within which every request of a hundred but one must be acknowledged."""


def main(argv: list[str]) -> int:
    """Measure, print the table, write the file; 1 when a goal was missed."""
    options = _options(argv)
    if options.send:
        asyncio.run(_send(options))
        return 0
    with tempfile.TemporaryDirectory(prefix="countersign-intake-") as folder:
        figures = asyncio.run(_measure(Path(folder), options))
    failed = []
    if figures["ack_p99_of_bound"] > 1.0:
        failed.append(f"ack p99 above {BOUND_S} s")
    failed += [f"{figures[name]} {name}" for name in ("lost", "refused") if figures[name]]
    _report({**figures, "failed": failed}, options.out)
    return 1 if failed else 0


def _options(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.intake", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--people", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=60.0, help="in how long they are sent")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--send", help=argparse.SUPPRESS)
    parser.add_argument("--path", default=PATH, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


async def _measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    home = await asyncio.to_thread(_home, folder, options.people)
    comments = MemoryComments(writers={_id_of(n) for n in range(options.people)})
    surface = _WithPeer(GitHubSurfaceConfig(SECRET, {str(REPOSITORY): "web"}), comments, name_at_github="countersign")
    async with opened(Home(home.root)) as app:
        serving = serve_surfaces(
            app, {"github": surface}, EveryChannelScopes(app.config.surfaces(), app.conversations), "127.0.0.1", 0
        )
        worker = build_worker(app)
        running = asyncio.create_task(serving.run(worker, claims=False))
        assert serving.web is not None
        await serving.web.started.wait()
        url = f"http://127.0.0.1:{serving.web.port}"
        peer = await _sent(url, options, PEER, options.requests // 6, options.seconds / 6)
        ours = await _sent(url, options, PATH, options.requests, options.seconds)
        heard_s = await _all_heard(app)
        tasks = await app.database.read(_count)
        worker.stop()
        await running
    return {
        "requests": options.requests,
        "people": options.people,
        "seconds": round(ours["seconds"], 1),
        "ack_p50_ms": round(ours["p50_ms"], 1),
        "ack_p99_ms": round(ours["p99_ms"], 1),
        "ack_max_ms": round(ours["max_ms"], 1),
        "peer_p99_ms": round(peer["p99_ms"], 1),
        "ack_p99_of_bound": round(ours["p99_ms"] / 1000 / BOUND_S, 3),
        "ack_p99_ratio": round(ours["p99_ms"] / peer["p99_ms"], 2),
        "heard_after_s": round(heard_s, 1),
        "refused": ours["refused"],
        "lost": options.requests - tasks,
    }


class _WithPeer(GitHubSurface):
    """The surface, and beside its route one that checks a signature and keeps nothing."""

    def routes(self, inbox: Inbox) -> Sequence[BaseRoute]:
        return [*GitHubSurface.routes(self, inbox), Route(PEER, _checked, methods=["POST"])]


class EveryChannelScopes(ChannelScopes):
    """Everything may be asked for everywhere: the benchmark's home has no GitHub in its configuration."""

    def of(self, _place: Place) -> tuple[str, ...] | None:
        return None


async def _checked(request: Request) -> Response:
    body = await request.body()
    good = hmac.compare_digest(_signed(body), request.headers.get("X-Hub-Signature-256", ""))
    return Response(status_code=202 if good else 401)


def _home(folder: Path, people: int) -> CliHome:
    home = make_home(folder / "made")
    config = home.root / "countersign.yaml"
    text = config.read_text()
    names = "\n".join(f'  p{n}: {{roles: [member], identities: {{github: "{_id_of(n)}"}}}}' for n in range(people))
    config.write_text(f"{text}{names}\n")
    return home


def _id_of(person: int) -> int:
    return 500_000 + person


async def _sent(url: str, options: argparse.Namespace, path: str, count: int, seconds: float) -> dict[str, Any]:
    """What another process measured that sent `count` requests within `seconds`."""
    words = ["--send", url, "--path", path, "--requests", count, "--people", options.people, "--seconds", seconds]
    sender = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.intake", *map(str, words), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await sender.communicate()
    assert sender.returncode == 0
    found: dict[str, Any] = json.loads(out)
    return found


async def _send(options: argparse.Namespace) -> None:
    """Send at an even pace, whatever the answers take, and print how long they took."""
    times: list[float] = []
    bad = 0
    began = time.perf_counter()
    async with aiohttp.ClientSession(options.send, connector=aiohttp.TCPConnector(limit=256)) as http:

        async def one(n: int) -> int:
            body = _payload(n, n % options.people)
            headers = {
                "Content-Type": "application/json",
                "X-GitHub-Event": "issue_comment",
                "X-GitHub-Delivery": f"00000000-0000-4000-8000-{n:012d}",
                "X-Hub-Signature-256": _signed(body),
            }
            at = time.perf_counter()
            async with http.post(options.path, data=body, headers=headers) as answer:
                times.append(time.perf_counter() - at)
                return answer.status

        async with asyncio.TaskGroup() as group:
            sent = []
            for n in range(options.requests):
                await asyncio.sleep(max(0.0, began + n * options.seconds / options.requests - time.perf_counter()))
                sent.append(group.create_task(one(n)))
        bad = sum(task.result() != 202 for task in sent)
    times.sort()
    found = {
        "seconds": time.perf_counter() - began,
        "p50_ms": times[len(times) // 2] * 1000,
        "p99_ms": times[len(times) * 99 // 100] * 1000,
        "max_ms": times[-1] * 1000,
        "refused": bad,
    }
    print(json.dumps(found))


def _payload(n: int, person: int) -> bytes:
    """The delivery of a comment on issue 5, with what GitHub sends of it that anybody reads."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    user = {"login": f"p{person}", "id": _id_of(person), "type": "User"}
    comment = {
        "id": 1_000_000 + n,
        "user": user,
        "body": f"/task set server.timeout to {n + 11} in config/app.yaml",
        "created_at": now,
        "updated_at": now,
        "author_association": "MEMBER",
    }
    repository = {"id": REPOSITORY, "full_name": "acme/web", "name": "web", "owner": {"login": "acme", "id": 1}}
    payload = {
        "action": "created",
        "issue": {"number": 5, "user": user, "state": "open"},
        "comment": comment,
        "repository": repository,
        "sender": user,
    }
    return json.dumps(payload).encode()


def _signed(body: bytes) -> str:
    return "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


async def _all_heard(app: App) -> float:
    """Wait until nothing waits to be heard; the seconds that took."""
    began = time.monotonic()
    async with asyncio.timeout(900):
        while await app.database.read(inbox.waiting):  # noqa: ASYNC110 - rows have no event
            await asyncio.sleep(0.2)
    return time.monotonic() - began


async def _count(tx: Tx) -> int:
    connection = await tx.session.connection()
    return len((await connection.execute(TaskRow.metadata.tables["tasks"].select())).all())


def _report(figures: dict[str, Any], out: Path) -> None:
    shown = {**figures, "machine": platform.machine()}
    width = max(map(len, shown))
    for name, value in shown.items():
        print(f"{name:<{width}}  {value}")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(shown, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
