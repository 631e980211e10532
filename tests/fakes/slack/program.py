"""The program that plays Slack, on a free port: npm `local-slack-linux-x64`, pinned in tests/counterparts.txt."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.counterparts import package

TEAM, STRANGERS = "T0OURS", "T0THEIRS"
APP, BOT = "A0CS", "U0BOT"
BOT_TOKEN, APP_TOKEN, SECRET = "xoxb-tests-0", "xapp-tests-0", "8f742231b10e8888abcd99yyyzzz85a5"
ANA, LEE, KIM = "U0ANA", "U0LEE", "U0KIM"
GUEST, GONE, STRANGER = "U0GUEST", "U0GONE", "U0STRANGER"
PEOPLE = {ANA: "ana", LEE: "lee", KIM: "kim", GUEST: "gus", GONE: "gina", STRANGER: "ana"}
DEV, OTHER = "C0DEV", "C0OTHER"
WORKSPACE: dict[str, Any] = {
    "workspace": {"teamId": TEAM, "name": "Ours", "domain": "ours"},
    "apps": [
        {
            "appId": APP,
            "botUserId": BOT,
            "botName": "countersign",
            "signingSecret": SECRET,
            "botToken": BOT_TOKEN,
            "appToken": APP_TOKEN,
        }
    ],
    "users": [{"id": user, "name": name} for user, name in PEOPLE.items()],
    "channels": [
        {"id": DEV, "name": "dev", "members": [BOT, *PEOPLE]},
        {"id": OTHER, "name": "other", "members": [BOT, *PEOPLE]},
    ],
}
_UI = re.compile(r"Web UI:\s+http://127\.0\.0\.1:(\d+)")


@contextmanager
def program() -> Iterator[str]:
    """Its address while it runs; a test without it skips, or fails with CI=true."""
    binary = package("local-slack-linux-x64") / "bin" / "local-slack"
    with tempfile.TemporaryDirectory(prefix="local-slack-") as folder:
        config, output = Path(folder) / "config.json", Path(folder) / "output"
        config.write_text(json.dumps(WORKSPACE), encoding="utf-8")
        with output.open("wb") as stream:
            argv: list[str | Path] = [
                binary,
                "--config",
                config,
                "--port",
                "0",
                "--base-host",
                "127.0.0.1",
                "--files-dir",
                folder,
            ]
            running = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, cwd=folder)
        try:
            yield f"http://127.0.0.1:{_port(running, output)}"
        finally:
            running.kill()
            running.wait()


def _port(running: subprocess.Popen[bytes], output: Path) -> int:
    deadline = time.monotonic() + 60
    while running.poll() is None and time.monotonic() < deadline:
        if found := _UI.search(output.read_text(encoding="utf-8")):
            return int(found[1])
        time.sleep(0.02)
    raise RuntimeError(f"local-slack did not start: {output.read_text(encoding='utf-8')}")
