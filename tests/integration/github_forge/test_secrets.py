"""A token is nowhere but in its request: not on a command line, in a file, a log, an error or a repr."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import pytest

from core.model.errors import CountersignError
from core.ports.forge import CommitStatus
from lanes.forge.github import GitHubAccess
from lanes.forge.github.faults import error_text
from lanes.forge.github.forge import GitHubForge
from tests.integration.github_forge.conftest import BRANCH, commit, published, store_of

pytestmark = pytest.mark.surfaces


class CommandLines(threading.Thread):
    """Reads every command line of this host, again and again."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: set[bytes] = set()
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    self.seen.add(file.read_bytes())
            time.sleep(0.001)


async def test_a_canary_token_is_never_seen_outside_its_requests(hub, make_client, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    token = hub.token("bot")
    access = GitHubAccess(hub.url, token=token)
    client = make_client(access)
    hub_repo, forge = store_of(hub, client, tmp_path / "state"), GitHubForge(client)
    said: list[str] = [repr(access), repr(client), repr(hub_repo.spec)]
    watching = CommandLines()
    watching.start()
    pull = await published(forge, hub_repo)
    await forge.attach(hub_repo, pull, {"a": b"1"})
    said += [repr(pull), pull.url]
    faults: list[dict[str, Any]] = [
        {"status": 403, "message": f"no {token}"},
        {"status": 422, "message": f"bad {token}"},
        {"status": 500},
        {"drop": True},
        {"status": 401},
    ]
    for fault in faults:
        for method, path in (("GET", "/repositories/.*"), ("GET", ".*info/refs.*")):
            hub.faults.clear()
            hub.fail(method, path, times=3, **fault)
            for asked in (
                forge.poll(hub_repo, pull),
                hub_repo.fetch_base(),
                forge.push(hub_repo, BRANCH, await commit_here(hub_repo), None),
            ):
                try:
                    await asked
                except CountersignError as error:
                    said += [str(error), repr(error.problem), "".join(traceback.format_exception(error))]
    hub.faults.clear()
    watching.over.set()
    await asyncio.to_thread(watching.join)
    basic = base64.b64encode(f"x-access-token:{token}".encode())
    kept = b"".join(file.read_bytes() for file in (tmp_path / "state").rglob("*") if file.is_file())
    everywhere = "\n".join([*said, caplog.text]).encode() + kept + b"\n".join(watching.seen)
    assert any(b"git-receive-pack" in line or b"push" in line for line in watching.seen), "pushes were watched"
    assert token.encode() not in everywhere
    assert basic not in everywhere


async def commit_here(hub_repo):
    """A commit made without asking the remote."""
    listed = await asyncio.to_thread(hub_repo.store.git.line, "for-each-ref", "--format=%(objectname)")
    return await commit(hub_repo, "print(11)\n", parent=listed.split()[0])


def test_what_looks_like_a_token_is_taken_out_of_githubs_error_text():
    from github import GithubException

    said = "see ghp_abcDEF123 and github_pat_11AA_x, Authorization: Bearer abc.def.ghi \x1b[31m"
    shown = error_text(GithubException(403, {"message": said}, {}))
    assert "abc" not in shown
    assert "11AA" not in shown
    assert "\x1b" not in shown


async def test_a_mark_reaches_github_with_the_token_in_its_header_alone(hub, forge, hub_repo):
    await forge.set_commit_status(hub_repo, CommitStatus(await hub_repo.fetch_base(), "success", "x"))
    assert all("gh" not in path.split("?")[-1] or "?" not in path for _, path in hub.requests)
