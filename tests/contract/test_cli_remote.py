"""`countersign --server`: the same commands, output and exit codes as at the home itself."""

from __future__ import annotations

import http.server
import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.homes import SCRIPT, CliHome, Said, clean_environment

pytestmark = pytest.mark.surfaces

WITHIN_S = 90
ASK = "set server.timeout to 31 in config/app.yaml"


class Remote:
    """Runs commands against the server of a home."""

    def __init__(self, home: CliHome, url: str) -> None:
        self.home, self.url = home, url
        self.tokens: dict[str, Path] = {}

    def token_file(self, person: str) -> Path:
        if person not in self.tokens:
            scopes = [word for scope in ("read", "request", "approve", "operate") for word in ("--scope", scope)]
            made = self.home.document("tokens", "create", f"{person}'s", "--as", person, *scopes)
            path = self.home.folder / f"token-{person}"
            path.write_text(made["token"] + "\n")
            self.tokens[person] = path
        return self.tokens[person]

    def call(self, person: str, *words: object) -> Said:
        """Run a command with a token of `person`, in this process."""
        whole = CliHome(self.home.folder)
        argv = ["--server", self.url, "--token-file", str(self.token_file(person)), *map(str, words)]
        return _Bare(whole.folder).call(*argv)


class _Bare(CliHome):
    """A command line without --home."""

    def argv(self, *words: object) -> list[str]:
        return [*map(str, words)]


@contextmanager
def served(home: CliHome) -> Iterator[Remote]:
    process = home.start("serve", "--port", "0")
    try:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, b"")
        found = next(filter(None, (re.search(r"listening on (\S+)\.$", line.decode().strip()) for line in lines)))
        yield Remote(home, found[1])
    finally:
        process.terminate()
        process.communicate(timeout=WITHIN_S)


def without_times(text: str) -> str:
    return re.sub(r"\d+ (s|min) ago|just now", "then", text)


def test_the_whole_path_works_from_another_machine_and_shows_what_the_home_shows(home_staged):
    with served(home_staged) as remote:
        asked = remote.call("ana", "ask", ASK, "--repo", "web", "--wait", "--json")
        assert asked.code == 0, asked
        number, digest = asked.json()["number"], asked.json()["staged"]["digest"]
        for words in (
            ("show", number),
            ("show", number, "--diff"),
            ("show", number, "--transcript"),
            ("show", number, "--json"),
            ("list",),
            ("list", "--search", "timeout 31", "--person", "ana", "--json"),
            ("list", "--limit", "1"),
            ("pick", number),
            ("pick", number, "--json"),
            ("queue", "--json"),
            ("events", "--task", number, "--json"),
            ("show", number, "--receipt"),
            ("show", 999),
        ):
            there, here = remote.call("lee", *words), home_staged.call(*words)
            assert there.code == here.code, (there, here)
            assert without_times(there.out) == without_times(here.out), words
        own = remote.call("ana", "approve", number, digest)
        assert own.code == 3, own
        assert "ana may not approve under rule config-changes" in own.sentence()
        short = remote.call("lee", "approve", number, digest[:8])
        assert (short.code, short.sentence()) == (
            2,
            home_staged.call("approve", number, digest[:8], "--as", "lee").sentence(),
        )
        stale = remote.call("lee", "approve", number, "f" * 64, "--json")
        assert (stale.code, stale.json()["error"]["code"]) == (5, "stale_digest")
        unknown = remote.call("lee", "pick", number, "--hunk", "0" * 20)
        assert (unknown.code, unknown.sentence()) == (
            6,
            home_staged.call("pick", number, "--hunk", "0" * 20, "--as", "lee").sentence(),
        )
        replied = remote.call("ana", "reply", number, "set server.timeout to 45 in config/app.yaml", "--wait", "--json")
        assert replied.json()["revision"] == 2
        again = remote.call("lee", "approve", number, replied.json()["staged"]["digest"], "--wait", "--json")
        assert (again.code, again.json()["state"]) == (0, "published"), again
        assert remote.call("lee", "reject", 1, "--reason", "no").code == 0
        assert remote.call("ana", "cancel", number).code == 5
        assert remote.call("ana", "pause").code == 3
        assert remote.call("lee", "pause", "--reason", "moving").out == "The queue is paused.\n"
        assert home_staged.document("queue")["paused"] == {"reason": "moving", "by": "lee"}
        moves_are_alike(remote, home_staged)
        assert remote.call("lee", "resume").code == 0
        events = home_staged.call("events", "--task", number, "--json").out.splitlines()
        assert {json.loads(line)["surface"] for line in events} == {"api", "terminal", None}
        follow(remote, number, len(events))


def moves_are_alike(remote: Remote, home: CliHome) -> None:
    """`move` orders the waiting jobs as it does where the home is, for those who may."""
    first, second = (remote.call("ana", "ask", ASK, "--repo", "web", "--json").json()["number"] for _ in range(2))
    assert remote.call("ana", "move", second, "--first").code == 3
    assert remote.call("lee", "move", second).code == 2
    assert remote.call("lee", "move", 999, "--first").code == 6
    there = remote.call("lee", "move", second, "--before", first, "--reason", "the release", "--json").json()
    assert there == {"task": second, "moved": {"to": "before", "before": first, "reason": "the release"}, "position": 1}
    assert home.document("move", second, "--before", first, "--reason", "the release", "--as", "lee") == there
    assert remote.call("lee", "move", second, "--last").out == f"#{second} is number 2 in the queue now.\n"
    for number in (first, second):
        assert remote.call("ana", "cancel", number).code == 0
    assert remote.call("lee", "move", first, "--first").code == 5


def follow(remote: Remote, number: int, count: int) -> None:
    """`events -f` prints what was there and goes on with what is new."""
    argv = [str(SCRIPT), "--server", remote.url, "--token-file", str(remote.token_file("lee"))]
    process = subprocess.Popen(
        [*argv, "events", "-f", "--json", "--task", str(number)], stdout=subprocess.PIPE, env=clean_environment()
    )
    try:
        assert process.stdout is not None
        seen = [json.loads(process.stdout.readline()) for _ in range(count)]
        assert remote.call("ana", "reply", number, "set server.timeout to 46 in config/app.yaml").code == 0
        new = json.loads(process.stdout.readline())
        assert (new["kind"], new["seq"]) == ("task.replied", seen[-1]["seq"] + 1)
    finally:
        process.kill()
        process.communicate()


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A server that is not Countersign's."""

    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Location", "https://elsewhere.example/")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"<html>"), (404, b"Not Found"), (302, b""), (500, b"{}"), (401, b"[]")]
)
def test_a_server_that_is_not_ours_is_named_as_such(tmp_path, status, body):
    token = tmp_path / "token"
    token.write_text("cst_x")
    with answering(status, body) as url:
        said = _Bare(tmp_path).call("--server", url, "--token-file", token, "list")
    assert said.code == 7, said
    assert "does not answer as Countersign's API does" in said.sentence()


@pytest.mark.parametrize(
    ("url", "code", "words"),
    [
        ("http://127.0.0.1:1", 7, "cannot be reached"),
        ("http://example.com", 2, "unencrypted"),
        ("ftp://x", 2, "is not the address of a server"),
        ("https://", 2, "is not the address of a server"),
        ("https://user:pass@x", 2, "is not the address of a server"),
        ("http://127.0.0.1:99999", 2, "is not the address of a server"),
    ],
)
def test_an_address_that_cannot_work_is_explained(tmp_path, url, code, words):
    token = tmp_path / "token"
    token.write_text("cst_x")
    said = _Bare(tmp_path).call("--server", url, "--token-file", token, "list")
    assert said.code == code, said
    assert words in said.sentence()


def test_a_missing_token_and_a_command_of_the_home_are_explained(tmp_path, monkeypatch):
    monkeypatch.delenv("COUNTERSIGN_TOKEN", raising=False)
    bare = _Bare(tmp_path)
    assert "--server needs a token" in bare.call("--server", "http://localhost:1", "list").sentence()
    gone = bare.call("--server", "http://localhost:1", "--token-file", tmp_path / "gone", "list")
    assert (gone.code, "gone cannot be read" in gone.sentence()) == (2, True)
    said = bare.call("--server", "http://localhost:1", "doctor")
    assert (said.code, "works only where the home is" in said.sentence()) == (2, True)
    both = bare.call("--home", tmp_path, "--server", "http://localhost:1", "list")
    assert both.code == 2
    assert os.environ.get("COUNTERSIGN_TOKEN") is None
