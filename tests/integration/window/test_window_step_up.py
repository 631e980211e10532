"""A rule with `step_up: passkey`: only signed approvals count, and every other way says where to go."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing

import pytest
import pytest_asyncio

from core.model.lifecycle import State
from tests.integration.window.test_window_passkeys import LEE, signer, staged
from tests.window import open_window

pytestmark = [pytest.mark.window, pytest.mark.law, pytest.mark.xdist_group("window")]

__all__ = ["signer"]
BEFORE = "approvals: {count: 1, from: [maintainer]}\n"
NEEDED = "rule config-changes counts only approvals that are signed with a passkey"


@pytest_asyncio.fixture
async def window(home_staged):
    """A served home in which #1 is staged under a rule that demands a passkey."""
    policy = home_staged.root / "policy.yaml"
    policy.write_text(policy.read_text().replace(BEFORE, f"{BEFORE}      step_up: passkey\n"))
    async with open_window(home_staged) as opened:
        yield opened


async def test_only_a_signed_approval_counts_and_publishes(window, signer):
    lee = await signer()
    digest = await staged(window, lee)
    page = await lee.visit.get("/tasks/1")
    assert "by passkey" in page.text
    assert "Add a passkey" in page.text
    assert 'id="approve"' not in page.text
    refused = await lee.approve(digest, "")
    assert refused.status_code == 403
    assert NEEDED in refused.text
    await lee.register()
    assert (await lee.approve(digest, await lee.sign(digest))).status_code == 303
    await until(window, State.PUBLISHED)
    home = window.served.home
    trusted = home.folder / "lee.json"
    (row,) = await window.served.app.passkeys.listed(LEE)
    trusted.write_text(json.dumps({"passkeys": [row.trusted().to_json()]}))
    said = await asyncio.to_thread(home.call, "verify", 1, "--passkey", trusted, "--json")
    assert (said.code, said.json()["verified"]) == (0, True)


async def until(window, state: State) -> None:
    end = asyncio.get_running_loop().time() + 60
    while (task := await window.served.task()).state is not state:
        assert asyncio.get_running_loop().time() < end, task
        await asyncio.sleep(0.05)


async def test_the_terminal_and_a_programs_approval_say_where_to_approve_instead(window):
    task = await window.served.task()
    home = window.served.home
    said = await asyncio.to_thread(home.call, "approve", 1, task.staged.digest, "--as", "lee")
    assert said.code == 3
    assert said.sentence().endswith("Open the page of #1 in a browser, and approve it there with your passkey.")
    outcome = await window.served.app.approvals.approve(1, task.staged.digest, LEE)
    assert outcome.problem is not None
    assert outcome.problem.code == "needs_passkey"
    assert (await window.served.task()).state is State.STAGED


async def test_a_signature_that_was_written_into_the_database_publishes_nothing(window, signer):
    """The forger writes rows; they do not have the home's keys, and lee's device signed something else."""
    lee = await signer()
    await lee.register()
    digest = await staged(window, lee)
    credential = await lee.sign(digest)
    await window.served.app.queue_control.pause(LEE, "a test")
    assert (await lee.approve(digest, credential)).status_code == 303

    def forge() -> None:
        with closing(sqlite3.connect(window.served.home.database)) as database, database:
            (row,) = database.execute("SELECT signature FROM approvals").fetchone()
            signature = json.loads(row)
            signature["statement"]["nonce"] = "0" * 32
            database.execute("UPDATE approvals SET signature = ?", (json.dumps(signature),))

    await asyncio.to_thread(forge)
    await window.served.app.queue_control.resume(LEE)
    await until(window, State.FAILED)
    assert (await window.served.task()).pull_request is None
