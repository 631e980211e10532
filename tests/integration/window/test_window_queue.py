"""The queue and the endpoints on their pages: who may pause, drain, reorder and ask "what if", and what that does."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from bot.simulation.what_if import MAX_REQUESTS, answer
from bot.web.pages.memory_bars import endpoint_bars
from bot.web.pages.what_if import question_in, rows_of
from core.model.errors import PermanentError
from core.scheduler.demand import WorkClass
from core.simulator.trace import Request
from core.simulator.what_if import WhatIfQuestion
from tests.window import open_window

pytestmark = [pytest.mark.window, pytest.mark.queue, pytest.mark.xdist_group("window")]
GIB = 1024**3


def shown_order(page: str) -> list[int]:
    """The tasks of the queue's page in their order."""
    return [int(number) for number in re.findall(r'<a id="job-(\d+)"', page)]


async def test_maintainers_move_waiting_jobs_by_buttons_and_the_audit_trail_says_who(home):
    await asyncio.to_thread(home.call, "pause", "--reason", "new disk")
    for n in range(4):
        await asyncio.to_thread(home.document, "ask", f'append "row {n}" to README.md', "--as", "ana")
    async with open_window(home) as window:
        lee, ana = await window.signed_in("lee"), await window.signed_in("ana")
        assert shown_order((await lee.get("/queue")).text) == [1, 2, 3, 4]
        for task, to, order in (
            (1, "down", [2, 1, 3, 4]),
            (4, "up", [2, 1, 4, 3]),
            (3, "first", [3, 2, 1, 4]),
            (2, "last", [3, 1, 4, 2]),
            (4, "down", [3, 1, 2, 4]),
            (3, "up", [3, 1, 2, 4]),
        ):
            moved = await lee.post("/queue/move", {"csrf": lee.csrf, "task": str(task), "to": to})
            assert (moved.status_code, moved.headers["location"]) == (303, f"/queue#job-{task}")
            assert shown_order((await lee.get("/queue")).text) == order, (task, to)
        for wrong in ({"task": "9" * 30, "to": "up"}, {"task": "1", "to": "away"}, {"task": "x", "to": "up"}):
            assert (await lee.post("/queue/move", {"csrf": lee.csrf, **wrong})).status_code == 400
        assert (await lee.post("/queue/move", {"csrf": lee.csrf, "task": "77", "to": "up"})).status_code == 409
        page = await ana.get("/queue")
        assert not {"/queue/move", "/queue/pause", "/queue/resume", "/queue/what-if"} & set(ana.forms)
        assert "/queue/what-if" not in page.text
        assert (await ana.post("/queue/move", {"csrf": ana.csrf, "task": "1", "to": "last"})).status_code == 403
        events = await window.served.app.queries.events(number=3)
        moves = [event for event in events if event.kind == "job.moved"]
        assert [(event.person, event.surface) for event in moves] == [("lee", "web")] * 2


async def test_a_lane_is_paused_with_a_reason_that_everyone_sees_and_resumed(window):
    lee, ana = await window.signed_in("lee"), await window.signed_in("ana")
    await lee.get("/queue")
    paused = await lee.submit("/queue/pause", scope="lane docs", reason="<b>rewrite</b>")
    assert paused.status_code == 303
    page = (await ana.get("/queue")).text
    assert "The lane docs is paused by lee: &lt;b&gt;rewrite&lt;/b&gt;." in page
    assert (await ana.post("/queue/resume", {"csrf": ana.csrf, "scope": "lane docs"})).status_code == 403
    assert (await ana.post("/queue/pause", {"csrf": ana.csrf, "scope": ""})).status_code == 403
    assert (await lee.submit("/queue/pause", scope="lane none")).status_code == 404
    assert (await lee.submit("/queue/pause", scope="planet x")).status_code == 400
    await lee.get("/queue")
    assert lee.forms["/queue/resume"]["scope"] == "lane docs"
    assert (await lee.submit("/queue/resume")).status_code == 303
    assert "is paused" not in (await lee.get("/queue")).text


async def test_maintainers_drain_an_endpoint_and_give_it_work_again(home):
    config = home.root / "countersign.yaml"
    config.write_text(config.read_text() + "\nmodels:\n  local: {kind: ollama, url: 'http://127.0.0.1:9'}\n")
    async with open_window(home) as window:
        lee, ana = await window.signed_in("lee"), await window.signed_in("ana")
        await lee.get("/endpoints")
        assert (await lee.submit("/endpoints/drain", reason="new disk")).status_code == 303
        assert "by lee: new disk" in (await ana.get("/endpoints")).text
        assert "/endpoints/resume" not in ana.forms
        for form in ("drain", "resume"):
            refused = await ana.post(f"/endpoints/{form}", {"csrf": ana.csrf, "endpoint": "local"})
            assert refused.status_code == 403
        assert (await lee.post("/endpoints/drain", {"csrf": lee.csrf, "endpoint": "other"})).status_code == 404
        await lee.get("/endpoints")
        assert (await lee.submit("/endpoints/resume")).status_code == 303
        assert "new disk" not in (await lee.get("/endpoints")).text


def history(count: int) -> list[Request]:
    """A busy history of two models that were observed on one endpoint."""
    requests, free_s = [], 0.0
    for n in range(count):
        arrival_s, work_s = n * 6.0, 5.0
        start_s = max(arrival_s, free_s)
        free_s = start_s + work_s
        requests.append(
            Request(
                arrival_s=arrival_s,
                model=f"m{n % 2}:7b",
                prompt_tokens=1000,
                output_tokens=100,
                tenant="ana",
                work_class=WorkClass.BULK,
                deadline_s=None,
                lane="code",
                work_s=work_s,
                start_s=start_s,
                finish_s=free_s,
            )
        )
    return requests


async def test_what_if_answers_maintainers_from_the_history_and_others_not_at_all(window, monkeypatch):
    lee, ana = await window.signed_in("lee"), await window.signed_in("ana")
    assert (await ana.get("/queue/what-if")).status_code == 403
    assert (await ana.post("/queue/what-if", {"csrf": ana.csrf, "today": "1x48GB"})).status_code == 403
    await lee.get("/queue/what-if")
    asked = {"today": "1x8GB", "more": "48GB", "days": "7"}
    empty = await lee.submit("/queue/what-if", **asked)
    assert (empty.status_code, "there is no history" in empty.text) == (404, True)

    class History:
        async def trace(self, since):
            return history(300)

    monkeypatch.setattr(window.served.app.what_ifs, "_history", History())
    answered = await lee.submit("/queue/what-if", **asked)
    assert answered.status_code == 200
    assert "300 requests replayed" in answered.text
    assert "better" in answered.text
    assert (await lee.submit("/queue/what-if", **{**asked, "more": "<script>"})).status_code == 400
    assert (await lee.submit("/queue/what-if", **{**asked, "without": "m9"})).status_code == 400


def test_one_endpoint_more_shortens_waits_and_a_simulation_has_an_end():
    question = question_in({"today": "1x8GB", "more": "48GB", "days": "1"})
    assert question == WhatIfQuestion("1x8GB", "1x8GB,more=48GB", "", 1)
    found = answer(history(400), question)
    assert found.after.wait_mean_s < found.before.wait_mean_s
    assert [row.is_better for row in rows_of(found.before, found.after)][3] is True
    assert answer(history(MAX_REQUESTS + 10), question).requests == MAX_REQUESTS
    with pytest.raises(PermanentError, match="too long"):
        answer(history(2000), question, within_s=0)
    with pytest.raises(PermanentError, match="more than 50"):
        answer(history(10), WhatIfQuestion("60x8GB", "1x8GB"))


def test_the_parts_of_a_bar_are_the_whole_memory():
    gpu = {"name": "A", "total_bytes": 48 * GIB, "free_bytes": 10 * GIB, "reserve_bytes": 2 * GIB, "processes": []}
    resident = {"name": "<b>qwen</b>", "vram_bytes": 26 * GIB}
    row = {"gpus": [gpu], "residents": [resident], "ram": None}
    (bar,) = endpoint_bars(json.loads(json.dumps(row)))
    sizes = {part.name: part.size // GIB for part in bar.parts}
    assert sizes == {"<b>qwen</b>": 26, "other programs": 12, "reserved": 2, "free": 8}
    assert "<b>" not in bar.bar
    assert [bar.label for bar in endpoint_bars({**row, "gpus": [gpu, gpu]})] == ["2 GPUs", "GPU 0 A", "GPU 1 A"]
