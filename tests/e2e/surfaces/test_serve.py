"""`countersign serve` and `doctor` as an operator meets them, with a real process and a surface at GitHub."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.surfaces.hub import REPO, SECRET
from tests.fakes.github import FakeGitHub
from tests.homes import CliHome

pytestmark = pytest.mark.surfaces


@contextmanager
def serving(home: CliHome) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The process, and where it listens."""
    process = home.start("serve", "--port", "0")
    try:
        assert process.stderr is not None
        url = ""
        while not url:
            line = process.stderr.readline().decode()
            assert line, "serve ended"
            if "listening on" in line:
                url = line.split("listening on ")[1].strip().rstrip(".")
        yield process, url
    finally:
        process.kill()
        process.wait(20)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def status_of(url: str, body: bytes | None = None, **headers: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=body, headers=headers), timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_serve_says_where_it_listens_refuses_what_is_not_signed_and_drains_at_sigterm(
    hub: CliHome, github: FakeGitHub
) -> None:
    with serving(hub) as (process, url):
        assert status_of(f"{url}/healthz") == 200
        assert status_of(f"{url}/hooks/github", b"{}", **{"X-GitHub-Event": "ping"}) == 401
        assert status_of(f"{url}/nothing") == 401, "the pages tell who is not signed in nothing, not even what exists"
        github.hooks.to(f"{url}/hooks/github", SECRET)
        issue = github.issue(REPO, "ana", "please")
        github.comment(REPO, issue.number, "ana", "/task set server.timeout to 30 in config/app.yaml")
        github.hooks.settle()
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0, "a signal lets what was heard be finished"
    asked = json.loads(hub.run("list", "--json").out)
    assert [row["requester"] for row in asked] == ["ana"], "what was acknowledged was not lost"


def test_doctor_tells_how_each_surface_is_and_what_mends_it(hub: CliHome, github: FakeGitHub) -> None:
    said = hub.run("doctor", "--json").json()
    rows = {row["name"]: row for row in said["checks"]}
    assert rows["github: account"]["verdict"] == "ok"
    assert rows["repository web"]["verdict"] == "ok"
    (hub.root / "github.token").write_text("ghp_revoked")
    said = hub.run("doctor", "--json")
    assert said.code == 1
    rows = {row["name"]: row for row in said.json()["checks"]}
    assert rows["github: account"]["verdict"] == "fail"
    assert rows["github: account"]["mend"]
    assert "ghp_revoked" not in said.out


def test_a_port_that_is_taken_is_one_sentence(hub: CliHome) -> None:
    with serving(hub) as (_, url):
        other = hub.run("serve", "--port", url.rsplit(":", 1)[1])
    assert other.code in (5, 7), other
    assert "countersign:" in other.err.splitlines()[-1]
