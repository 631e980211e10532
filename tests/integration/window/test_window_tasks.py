"""Deciding on a task from its page: by the same rules as in chat, on exactly what was shown."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from html import unescape

import pytest

from core.model.lifecycle import State
from core.model.turn import Actor
from tests.window import open_window

pytestmark = [pytest.mark.window, pytest.mark.law, pytest.mark.xdist_group("window")]

REPLY = "set server.timeout to 45 in config/app.yaml"
WORDS = ("--lane", "scripted", "--repo", "web", "--as", "ana", "--wait")
HOSTILE = "<img src=x onerror=alert(1)>\u202e\u200b\x07\x1b[31m" + "e" + "\u0301" * 30
"""A text that acts, hides, reorders and paints over, wherever it is shown as it is (security.md 127, 143)."""


async def settled(window, state: State, number: int = 1) -> None:
    """Wait until a task is in `state`."""
    for _ in range(2_000):
        if (await window.served.task(number)).state is state:
            return
        await asyncio.sleep(0.03)
    raise AssertionError(f"#{number} never became {state.value}")


async def test_an_approval_on_the_page_publishes_and_says_web_and_the_loser_learns_who_decided(window):
    lee, max_ = await window.signed_in("lee"), await window.signed_in("max")
    for visit in (lee, max_):
        page = await visit.get("/tasks/1")
        assert "Approve" in page.text
    answers = await asyncio.gather(lee.submit("/tasks/1/approve"), max_.submit("/tasks/1/approve"))
    assert sorted(answer.status_code for answer in answers) == [303, 409]
    loser = next(answer for answer in answers if answer.status_code == 409)
    winner = "lee" if answers[0].status_code == 303 else "max"
    assert f"decided by {winner}: approve" in loser.text
    await settled(window, State.PUBLISHED)
    document = await window.served.app.documents.document(1)
    assert [(a.person, a.surface) for a in document.approvals] == [(winner, "web")]
    (receipt,) = [artifact for artifact in document.artifacts if artifact.name == "receipt.json"]
    statement = json.loads(await window.served.app.queries.artifact(receipt))
    assert '"surface": "web"' in json.dumps(_payload(statement))
    page = await lee.get("/tasks/1")
    assert "receipt.json" in page.text
    assert "Pull request" in page.text
    assert "/tasks/1/approve" not in lee.forms


def _payload(envelope):
    """The signed statement in a receipt."""
    return json.loads(base64.b64decode(envelope["payload"]))


async def test_a_stale_form_explains_itself_and_the_current_diff_must_be_read_first(window):
    lee, ana = await window.signed_in("lee"), await window.signed_in("ana")
    await lee.get("/tasks/1")
    old = dict(lee.forms["/tasks/1/approve"])
    await ana.get("/tasks/1")
    assert "/tasks/1/approve" not in ana.forms
    nonce = ana.forms["/tasks/1/reply"]
    for _ in range(2):  # sent twice, it counts once
        assert (
            await ana.post("/tasks/1/reply", {**nonce, "text": "set server.timeout to 45 in config/app.yaml"})
        ).status_code == 303
    await _revised(window)
    document = await window.served.app.documents.document(1)
    assert [(turn.person, turn.surface) for turn in document.turns] == [("ana", "terminal"), ("ana", "web")]
    stale = await lee.post("/tasks/1/approve", old)
    assert stale.status_code == 409
    assert "is revision 1 of #1, superseded by ana&#39;s revision 2" in stale.text
    unread = await window.signed_in("max")
    await unread.get("/sessions")
    digest = await window.served.digest()
    hidden = await unread.post("/tasks/1/approve", {"csrf": unread.csrf, "digest": digest})
    assert hidden.status_code == 409
    assert "was shown to you yet" in hidden.text
    short = await unread.post("/tasks/1/approve", {"csrf": unread.csrf, "digest": digest[:20]})
    assert short.status_code == 409
    assert (await window.served.task()).state is State.STAGED
    await unread.get("/tasks/1")
    assert (await unread.submit("/tasks/1/approve")).status_code == 303


async def _revised(window) -> None:
    for _ in range(2_000):
        task = await window.served.task()
        if task.revision == 2 and task.state is State.STAGED:
            return
        await asyncio.sleep(0.03)
    raise AssertionError("revision 2 was never staged")


async def test_a_rejection_needs_a_reason_and_its_words_stay_inert(window):
    lee = await window.signed_in("lee")
    await lee.get("/tasks/1")
    assert (await lee.submit("/tasks/1/reject", reason="  ")).status_code == 400
    assert (await lee.submit("/tasks/1/reject", reason=HOSTILE)).status_code == 303
    await settled(window, State.REJECTED)
    page = (await (await window.signed_in("ana")).get("/tasks/1")).text
    for acts in ("<img", "\u202e", "\u200b", "\x07", "\x1b", "\u0301" * 10):
        assert acts not in page
    assert "&lt;img src=x onerror=alert(1)&gt;\\u{202e}\\u{200b}" in page
    assert (await (await window.signed_in("ana")).get("/")).text.count("only you") == 1


CODE = """
import pathlib
lines = [f"value_{n} = {n}" for n in range(40)]
pathlib.Path("src/shown.py").write_text("\\n".join(lines) + "\\nprint('<script>alert(1)</script>')\\n")
pathlib.Path("src/a&b <i>.txt").write_text("x\\u202ey\\u200bz \\x1b[31m\\x07 </td></table><script>alert(1)</script>\\n")
pathlib.Path("src/big.txt").write_text("".join(f"line {n} of many\\n" for n in range(3000)))
pathlib.Path("src/bytes.bin").write_bytes(b"\\x00\\xff\\x00\\xfe" * 50)
"""


async def test_127_143_nothing_in_a_diff_or_a_name_acts_and_a_long_one_is_read_to_its_end_before_approval(home):
    home.scripted(CODE, write='["**"]')
    lane = home.root / "lanes" / "scripted.yaml"
    lane.write_text(lane.read_text() + "binaries: true\nbidi: true\nodd_names: true\n")
    said = await asyncio.to_thread(home.document, "ask", "<script>alert(2)</script> now", *WORDS)
    assert said["state"] == "staged", said["error"]
    async with open_window(home) as window:
        lee = await window.signed_in("lee")
        pages = [(await lee.get("/tasks/1")).text]
        parts = int(re.findall(r"Part 1 of (\d+)", pages[0])[0])
        assert parts >= 3
        csrf, digest = lee.csrf, await window.served.digest()
        for part in range(2, parts + 1):
            assert "/tasks/1/approve" not in lee.forms
            assert (await lee.post("/tasks/1/approve", {"csrf": csrf, "digest": digest})).status_code == 409
            prefetched = await lee.get(f"/tasks/1?part={part}", **{"sec-purpose": "prefetch"})
            assert "/tasks/1/approve" not in lee.forms or part < parts, prefetched.status_code
            pages.append((await lee.get(f"/tasks/1?part={part}")).text)
        assert "/tasks/1/approve" in lee.forms
        whole = "".join(pages)
        for page in pages:
            assert "<script>alert" not in page
            assert not set("\u202e\u200b\x1b\x07") & set(page)
        shown = {unescape(re.sub(r"<[^>]+>", "", cell)) for cell in re.findall(r"<td class=t>(.*)</td>\n", whole)}
        assert {f"line {n} of many" for n in range(3000)} <= shown
        assert "print('<script>alert(1)</script>')" in shown
        assert "<b class=odd>\\u{202e}</b>" in whole
        assert "src/a&amp;b &lt;i&gt;.txt" in whole
        split = (await lee.get("/tasks/1?view=split")).text
        assert 'class="lines split"' in split
        assert "<script>alert" not in split
        assert (await lee.post("/tasks/1/approve", {"csrf": csrf, "digest": digest})).status_code == 303
        await settled(window, State.PUBLISHED)


async def test_context_and_whole_files_come_from_the_blobs_and_only_for_the_current_diff(home):
    old = "".join(f"line {n}\n" for n in range(1, 201))
    home.commit({"src/long.txt": old})
    home.scripted("p='src/long.txt';s=open(p).read();open(p,'w').write(s.replace('line 100\\n','line C\\n'))")
    said = await asyncio.to_thread(home.document, "ask", "change the middle", *WORDS)
    assert said["state"] == "staged", said["error"]
    async with open_window(home) as window:
        lee = await window.signed_in("lee")
        page = (await lee.get("/tasks/1")).text
        gaps = [unescape(link) for link in re.findall(r'hx-get="([^"]+context[^"]+)"', page)]
        assert len(gaps) == 2
        rows = await lee.get(gaps[0])
        numbers = [int(n) for n in re.findall(r"<tr class=ctx><td class=n>(\d+)", rows.text)]
        assert numbers == list(range(1, 21))
        assert "unchanged lines" in rows.text
        whole = (await lee.get(unescape(re.findall(r'href="(/tasks/1/files/0[^"]*)"', page)[0]))).text
        assert [f"line {n}" in whole for n in (1, 99, 200)] == [True] * 3
        digest = await window.served.digest()
        for side, text in (("old", "line 100"), ("new", "line C")):
            answer = await lee.get(f"/tasks/1/files/0/{side}?digest={digest}")
            assert text in answer.text
            assert answer.headers["content-disposition"].startswith("attachment")
        for path in ("context/0?old=1&new=1&count=5", "files/0?", "files/0/new?"):
            assert (await lee.get(f"/tasks/1/{path}&digest={'0' * 64}")).status_code == 409
        assert (await lee.get(f"/tasks/1/files/7?digest={digest}")).status_code == 404
        assert (await lee.get("/tasks/99999999999")).status_code == 404
        assert (await lee.get("/tasks?before=x")).status_code == 400


async def test_132_news_reach_open_pages_and_end_with_the_session(window):
    lee = await window.signed_in("lee")
    site = window.served.app
    received: list[str] = []

    async def listen() -> None:
        async with lee.client.stream("GET", "/news") as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            async for line in response.aiter_lines():
                received.append(line)  # noqa: PERF401 (what has arrived so far is looked at meanwhile)

    listening = asyncio.create_task(listen())
    await window.served.until(lambda: ": open" in received, "the stream")
    await site.requests.reply(1, REPLY, Actor("ana", "terminal"))
    await window.served.until(lambda: "event: task-1" in received, "news of the task")
    assert "event: changed" in received
    (session,) = await site.web_sessions.listed(Actor("lee", "web"))
    await site.web_sessions.revoke(session.id, Actor("lee", "web"))
    await site.queue_control.pause(Actor("lee", "web"), "to wake the stream")
    await asyncio.wait_for(listening, 60)
    assert (await window.visit().get("/news")).status_code == 401


async def test_the_list_of_tasks_has_states_and_pages(home):
    for n in range(3):
        await asyncio.to_thread(home.staged, f"set server.timeout to {40 + n} in config/app.yaml")
    async with open_window(home) as window:
        lee = await window.signed_in("lee")
        assert (await lee.get("/tasks")).text.count('<li><a href="/tasks/') == 3
        assert (await lee.get("/tasks?state=staged&before=3")).text.count('<li><a href="/tasks/') == 2
        assert "No task is merged" in (await lee.get("/tasks?state=merged")).text
        assert (await lee.get("/tasks?state=nonsense")).status_code == 400
        inbox = (await lee.get("/")).text
        assert inbox.count("waits for your approval") == 3
        bo = (await (await window.signed_in("bo")).get("/")).text
        assert "Nothing waits for you" in bo
        assert "countersign ask" in bo
