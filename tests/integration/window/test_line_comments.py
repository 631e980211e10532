"""Comments on lines are collected as drafts, quote the staged bytes, and are sent as one reply; without JavaScript."""

from __future__ import annotations

import asyncio
import re
from html import unescape

import pytest

from core.model.turn import Actor
from tests.window import open_window

pytestmark = [pytest.mark.window, pytest.mark.xdist_group("window")]

WORDS = ("--lane", "scripted", "--repo", "web", "--as", "ana", "--wait")
CODE = r"open('src/a.py','wb').write(b'value = 1\nprint(\'<b>\xe2\x80\xae\xff\')\n')"
FORM, SEND, DISCARD = "/tasks/1/comment", "/tasks/1/comments/send", "/tasks/1/comments/discard"


@pytest.fixture
async def window(home):
    """A served home in which #1 changes `src/a.py` by a script that does the same for any words."""
    home.scripted(CODE, write='["**"]')
    lane = home.root / "lanes" / "scripted.yaml"
    lane.write_text(lane.read_text() + "binaries: true\nbidi: true\nodd_names: true\n")
    said = await asyncio.to_thread(home.document, "ask", "make it longer", *WORDS)
    assert said["state"] == "staged", said["error"]
    async with open_window(home) as opened:
        yield opened


async def write(visit, at: str, text: str, file: int = 0, digest: str = ""):
    """Open the form for a line through its link on the open page, as a click on the number does, and send it."""
    page = (await visit.get("/tasks/1")).text
    links = [unescape(link) for link in re.findall(rf'<td class=n><a href="({FORM}[^"]+)"', page)]
    link = next(link for link in links if link.endswith(f"file={file}&at={at}"))
    assert (await visit.get(link)).status_code == 200
    return await visit.submit(FORM, text=text)


async def revised(window) -> None:
    for _ in range(2_000):
        if (await window.served.task()).revision == 2:
            return
        await asyncio.sleep(0.03)
    raise AssertionError("revision 2 was never begun")


async def test_comments_are_collected_and_sent_as_one_turn_that_quotes_the_staged_lines(window):
    ana, lee = await window.signed_in("ana"), await window.signed_in("lee")
    saved = await write(ana, "n2", "Leave the\nodd characters out.")
    assert saved.status_code == 303
    assert saved.headers["location"].endswith("#c-0-n2")
    assert (await write(ana, "n1", "Call it count.")).status_code == 303
    assert (await write(ana, "n1", "Call it total <i>now</i>.")).status_code == 303  # in the place of the first words
    page = (await ana.get("/tasks/1")).text
    assert page.count("<tr class=comment>") == 2
    assert "Call it total &lt;i&gt;now&lt;/i&gt;." in page
    assert "Call it count." not in page
    assert len((await window.served.app.documents.document(1)).turns) == 1
    others = (await lee.get("/tasks/1")).text
    assert "total" not in others, "a draft is its writer's alone"
    form = dict(ana.forms[SEND])
    for _ in range(2):  # sent twice, it counts once
        assert (await ana.post(SEND, {**form, "text": "Two things:"})).status_code in (303, 400)
    await revised(window)
    (_, turn) = (await window.served.app.documents.document(1)).turns
    assert (turn.person, turn.surface) == ("ana", "web")
    digest = form["digest"][:20]
    assert turn.text == (
        f"Two things:\n\nOn lines of revision 1, diff {digest}:\n\n"
        "src/a.py:1\n> value = 1\nCall it total <i>now</i>.\n\n"
        "src/a.py:2\n> print('<b>\\u{202e}\\xff')\nLeave the\nodd characters out."
    )
    assert SEND not in (await ana.get("/tasks/1"), ana.forms)[1]


async def test_a_draft_of_an_older_diff_says_so_and_can_still_be_sent_or_discarded(window):
    ana = await window.signed_in("ana")
    await write(ana, "n1", "Call it total.")
    await write(ana, "o1", "Why not keep this?")
    lane = window.served.home.root / "lanes" / "scripted.yaml"
    lane.write_text(lane.read_text().replace("value = 1", "value = 2"))
    await window.served.app.requests.reply(1, "make it another", Actor("ana", "terminal"))
    await revised(window)
    for _ in range(2_000):
        if (await window.served.task()).staged is not None:
            break
        await asyncio.sleep(0.03)
    page = (await ana.get("/tasks/1")).text
    assert "Written on an older diff: revision 1" in page
    assert "<tr class=comment>" not in page
    assert "src/a.py:1 (before the change)" in page
    stale = await ana.post(FORM, {**ana.forms[SEND], "file": "0", "at": "n1", "text": "typed meanwhile"})
    assert stale.status_code == 409
    assert "typed meanwhile</textarea>" in stale.text, "what was typed is kept"
    await ana.get("/tasks/1")
    assert (await ana.submit(SEND)).status_code == 303
    turn = (await window.served.app.documents.document(1)).turns[-1]
    assert "src/a.py:1 (before the change)\n> print(1)\nWhy not keep this?" in turn.text


async def test_a_comment_is_removed_and_a_draft_discarded(window):
    ana = await window.signed_in("ana")
    await write(ana, "n1", "one")
    await write(ana, "n2", "two")
    await ana.get(f"{FORM}?digest={await window.served.digest()}&file=0&side=n&line=1")
    assert (await ana.submit(FORM, do="remove")).status_code == 303
    page = (await ana.get("/tasks/1")).text
    assert page.count("<tr class=comment>") == 1
    assert (await ana.submit(DISCARD)).status_code == 303
    assert DISCARD not in (await ana.get("/tasks/1"), ana.forms)[1]
    assert len((await window.served.app.documents.document(1)).turns) == 1


async def test_what_cannot_be_commented_is_refused(window):
    ana, bo = await window.signed_in("ana"), await window.signed_in(None)
    await ana.get("/tasks/1")
    digest = await window.served.digest()
    for query in ("file=0&at=n9999", "file=7&at=n1", "file=0&at=x1", "file=0&at=n0", "file=-1&at=n1", "at=n1"):
        assert (await ana.get(f"{FORM}?digest={digest}&{query}")).status_code == 404, query
    assert (await ana.get(f"{FORM}?digest={digest[:12]}&file=0&at=n1")).status_code == 409
    fields = {"csrf": ana.csrf, "digest": digest, "file": "0", "at": "n1"}
    assert (await ana.post(FORM, {**fields, "text": "  "})).status_code == 400
    assert (await ana.post(FORM, {**fields, "text": "x" * 4_001})).status_code == 400
    assert (await ana.post(SEND, fields)).status_code == 400
    assert (await ana.post(FORM, {**fields, "csrf": "", "text": "x"})).status_code == 403
    page = (await bo.get("/tasks/1")).text
    assert FORM not in page, "the operator is no person who replies"
    assert (await bo.get(f"{FORM}?digest={digest}&file=0&at=n1")).status_code in (403, 404)


async def test_complete_requests_are_sent_without_quotations(home_staged):
    async with open_window(home_staged) as window:
        ana = await window.signed_in("ana")
        page = (await ana.get("/tasks/1")).text
        (at,) = re.findall(r'<tr class=add>.*?at=(n\d+)"', page)
        await write(ana, at, "set server.timeout to 45 in config/app.yaml")
        await ana.get("/tasks/1")
        assert (await ana.submit(SEND)).status_code == 303
        await revised(window)
        assert (await window.served.task()).current.n == 2
        turn = (await window.served.app.documents.document(1)).turns[-1]
        assert turn.text == "set server.timeout to 45 in config/app.yaml"
