"""Low-risk diffs are confirmed on one page that shows each whole; each is approved by itself, and stale ones drop."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from core.model.lifecycle import State
from core.model.turn import Actor
from tests.integration.window.waiting import settled
from tests.window import open_window

pytestmark = [pytest.mark.window, pytest.mark.law, pytest.mark.xdist_group("window")]

ASKS = (
    "set server.timeout to 41 in config/app.yaml",
    "set server.host to b in config/app.yaml",
    'add the line "- more" to CHANGELOG.md',
    "set project.version to 1.0.1 in pyproject.toml",
)


@pytest.fixture
async def window(home):
    """A served home with four staged requests by ana; the guard warns of the last one."""
    for ask in ASKS:
        await asyncio.to_thread(home.staged, ask)
    async with open_window(home) as opened:
        yield opened


async def test_low_risk_tasks_are_approved_in_one_sitting_with_a_receipt_each_and_a_stale_one_drops_out_alone(window):
    lee, app = await window.signed_in("lee"), window.served.app
    inbox = (await lee.get("/")).text
    assert inbox.count('name="t" value=') == 3, "the guard warns of a change of the build"
    page = (await lee.get("/together?t=1&t=2&t=3&t=4&t=77")).text
    digests = {n: await window.served.digest(n) for n in (1, 2, 3)}
    for number, shown in ((1, "timeout: 41"), (2, "host: b"), (3, "- more")):
        assert f'name="t{number}" value="{digests[number]}" checked' in page
        assert shown in re.sub(r"<[^>]+>", "", page)
    assert "#4 has a warning of the guard. Open it, and approve it by itself." in page
    assert "#77" in page
    assert 'name="t4"' not in page
    await app.requests.reply(2, "set server.host to c in config/app.yaml", Actor("ana", "terminal"))
    await settled(window, State.STAGED, 2, revision=2)
    fields = {f"t{n}": digest for n, digest in digests.items()} | {"t4": await window.served.digest(4)}
    done = await lee.post("/together", {"csrf": lee.csrf, **fields})
    assert done.status_code == 200
    assert "2 of 4 approved" in done.text
    assert "is revision 1 of #2, superseded by ana&#39;s revision 2" in done.text
    assert "all of the diff of #4 was shown to you yet" in done.text
    for number in (1, 3):
        await settled(window, State.PUBLISHED, number)
        document = await app.documents.document(number)
        assert [(a.person, a.surface, a.digest) for a in document.approvals] == [("lee", "web", digests[number])]
        (receipt,) = [artifact for artifact in document.artifacts if artifact.name == "receipt.json"]
        assert json.loads(await app.queries.artifact(receipt))["payload"]
    assert [(await window.served.task(n)).state for n in (2, 4)] == [State.STAGED] * 2
    await lee.get("/tasks/4")
    again = await lee.post("/together", {"csrf": lee.csrf, **fields})
    assert again.status_code == 409
    assert "0 of 4 approved" in again.text
    assert "#4 has a warning of the guard" in again.text


async def test_what_was_not_shown_to_this_session_or_may_not_be_approved_is_left_out(window):
    lee, ana, operator = [await window.signed_in(name) for name in ("lee", "ana", None)]
    fields = {f"t{n}": await window.served.digest(n) for n in (1, 2)}
    unseen = await lee.post("/together", {"csrf": lee.csrf, **fields})
    assert unseen.status_code == 409
    assert unseen.text.count("was shown to you yet") == 2
    author = await ana.get("/together?t=1&t=2")
    assert "ana may not approve under rule" in author.text
    assert "/together" not in ana.forms
    assert (await ana.post("/together", {"csrf": ana.csrf, **fields})).status_code == 409
    assert (await operator.post("/together", {"csrf": operator.csrf, **fields})).status_code == 409
    assert (await lee.post("/together", {"csrf": "", **fields})).status_code == 403
    for query in ("", "t=x", "t=0", "&".join(f"t={n}" for n in range(1, 23))):
        assert (await lee.get(f"/together?{query}")).status_code == 400, query
    assert [(await window.served.task(n)).state for n in (1, 2)] == [State.STAGED] * 2
