"""The page of the work on a task: jobs, checks, transcripts, comparison of revisions, receipt; all texts are inert."""

from __future__ import annotations

import asyncio
import re
from typing import Any, cast

import pytest
from sqlalchemy import text

from bot.web.pages.transcripts import MAX_ENTRY_CHARS, PART_BYTES, entries_of, split_parts
from bot.web.site.live import LiveEvents, News
from core.model.lifecycle import State
from core.model.turn import SYSTEM, Actor
from core.store.unit_of_work import Tx
from tests import builders
from tests.integration.window.test_window_tasks import HOSTILE, REPLY, settled
from tests.window import open_window

pytestmark = [pytest.mark.window, pytest.mark.xdist_group("window")]
WORDS = ("--lane", "scripted", "--repo", "web", "--as", "ana", "--wait")
CODE = "print('<script>alert(1)</script> \\u202e'); open('src/x.txt','w').write('hi')"


async def test_two_revisions_are_compared_and_the_receipt_is_verified(window):
    lee = await window.signed_in("lee")
    assert "nothing to compare yet" in (await lee.get("/tasks/1/compare")).text
    assert (await lee.get("/tasks/1/receipt")).status_code == 404
    await window.served.app.requests.reply(1, REPLY, Actor("ana", "terminal"))
    for _ in range(2_000):
        task = await window.served.task()
        if task.revision == 2 and task.state is State.STAGED:
            break
        await asyncio.sleep(0.03)
    compared = (await lee.get("/tasks/1/compare")).text
    rows = re.findall(r"<tr class=(add|del)>.*?<td class=t>(.*)</td>\n", compared)
    assert [(sign, re.sub(r"<[^>]+>", "", text).strip()) for sign, text in rows] == [
        ("del", "timeout: 30   # seconds"),
        ("add", "timeout: 45   # seconds"),
    ]
    assert "/tasks/1/approve" not in lee.forms
    assert (await lee.get("/tasks/1/compare?from=1&to=9")).status_code == 404
    work = (await lee.get("/tasks/1/work")).text
    assert work.count("config-changes") >= 2
    assert len(re.findall(r'<svg viewBox="0 0 1000 16"', work)) == 4  # two plans, two changes
    await lee.get("/tasks/1")
    assert (await lee.submit("/tasks/1/approve")).status_code == 303
    await settled(window, State.PUBLISHED)
    receipt = (await lee.get("/tasks/1/receipt")).text
    assert "It holds:" in receipt
    (artifact,) = [
        each for each in (await window.served.app.documents.document(1)).artifacts if each.name == "receipt.json"
    ]
    stored = window.served.app.home.artifacts / artifact.sha256[:2] / artifact.sha256[2:]
    stored.chmod(0o600)
    stored.write_bytes(stored.read_bytes().replace(b"a", b"b", 1))
    assert "It does not hold." in (await lee.get("/tasks/1/receipt")).text


async def test_127_143_what_a_program_wrote_is_shown_inert_and_a_revision_without_a_diff_is_not_compared(home):
    home.scripted(CODE)
    asked = await asyncio.to_thread(home.document, "ask", HOSTILE + " run it", *WORDS)
    assert asked["state"] == "staged", asked["error"]
    await asyncio.to_thread(home.call, "ask", "set server.host to b in config/app.yaml", "--as", "bo", "--after", 1)
    async with open_window(home) as window:
        lee = await window.signed_in("lee")
        page = (await lee.get("/tasks/1/work")).text
        (path,) = re.findall(r'href="(/tasks/1/transcripts/[0-9a-f]+)">command.log', page)
        transcript = (await lee.get(path)).text
        assert "&lt;script&gt;alert(1)&lt;/script&gt; \\u{202e}" in transcript
        for text in (page, transcript):
            for acts in ("<script>alert", "<img", "\u202e", "\u200b", "\x1b", " style="):
                assert acts not in text
        assert 'class="box here"' in page
        assert "#2 " in page
        assert (await lee.get(f"{path}?part=2")).status_code == 404
        assert (await lee.get(path.replace("/tasks/1/", "/tasks/2/"))).status_code == 404
        assert (await lee.get("/tasks/1/compare?from=1&to=2")).status_code == 404
        for place in ("work", "work/now", "compare", "receipt", path.removeprefix("/tasks/1/")):
            assert (await window.visit().get(f"/tasks/1/{place}")).status_code in (302, 303, 401)


async def test_running_jobs_that_go_on_are_news_without_an_event():
    class Queries:
        def __init__(self):
            self.words = {}

        async def newest_event(self):
            return 7

        async def progress(self):
            return self.words

        async def visible_numbers(self, _numbers, _actor):
            return None

    async def always():
        return True

    queries = Queries()
    live = LiveEvents(cast("Any", queries))
    stream = live.stream(7, SYSTEM, always)
    assert await anext(stream) == b": open\n\n"
    last = await live._look(None)
    queries.words = {3: "reads src/a.py"}
    assert await live._look(last) == 7
    (viewer,) = live._viewers
    news = await viewer.next(1)
    assert news == News(frozenset(), 7, frozenset({3}))
    assert news.message() == b"id: 7\nevent: progress\ndata: 7\n\nid: 7\nevent: task-3\ndata: 7\n\n"
    await live._look(last)
    assert await viewer.next(0.01) is None  # the same words are no news
    await stream.aclose()


def test_a_transcript_is_divided_at_line_ends_and_nothing_of_it_is_lost():
    content = b"".join(b"line %d\n" % n for n in range(20_000)) + b"x" * (3 * PART_BYTES)
    parts = split_parts(content)
    assert b"".join(parts) == content
    assert all(len(part) <= PART_BYTES for part in parts)
    assert parts[0].endswith(b"\n")
    assert split_parts(b"") == [b""]


def test_messages_have_their_speaker_and_secrets_are_masked_before_a_text_is_cut():
    secret = "s" * 40
    long = "a" * (MAX_ENTRY_CHARS - 20) + secret
    part = (
        b'{"role": "assistant", "text": "ok", "calls": [{"name": "read", "arguments": {"path": "a"}}], "tool": ""}\n'
        + b'{"role": "tool", "tool": "read", "text": "%s"}\n' % long.encode()
        + b"not json\n"
    )
    said, read, other = entries_of("transcript.jsonl", part, lambda text: text.replace(secret, "***"))
    assert (said.who, said.text) == ("assistant", 'ok\n→ read {"path": "a"}')
    assert read.who == "tool: read"
    assert read.text.endswith("***")
    assert other.text == "not json"


async def test_two_runs_are_compared_side_by_side_with_those_of_their_schedule_and_of_no_one_else(window):
    lee, app = await window.signed_in("lee"), window.served.app
    assert "There is no second run yet" in (await lee.get("/tasks/1/runs")).text
    other, sibling = [await builders.put_task(app.database, State.REJECTED) for _ in range(2)]

    async def by_schedule(tx: Tx) -> None:
        for number in (other, sibling):
            values = {"dedup": f"schedule:sch_1:{number}", "number": number}
            await tx.session.execute(text("UPDATE turns SET dedup = :dedup WHERE number = :number"), values)

    await app.database.write(by_schedule)
    assert await app.run_comparisons.siblings(other, Actor("lee", "web")) == [(sibling, 1)]
    assert await app.run_comparisons.siblings(1, Actor("lee", "web")) == []
    page = (await lee.get(f"/tasks/1/runs?with={other}.1")).text
    assert re.search(r'<tr class="differs"><td>State</td><td>staged</td>', page)
    assert re.search(r"<td>All files</td><td>1 file, \+1 -1</td><td>.", page)
    assert "<td>Waited for a worker</td>" in page
    assert (await lee.get("/tasks/1/runs?with=99.1")).status_code == 404
    assert (await lee.get("/tasks/1/runs?with=1.77")).status_code == 404
    assert (await lee.get("/tasks/1/runs?with=<b>")).status_code == 400
