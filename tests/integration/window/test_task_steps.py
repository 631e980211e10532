"""What the chats can do beside verdicts is on a page for exactly those who may do it: ask, merge, undo, repeat."""

from __future__ import annotations

import pytest

from core.model.lifecycle import State
from tests.integration.window.waiting import settled

pytestmark = [pytest.mark.window, pytest.mark.xdist_group("window")]


async def test_a_request_is_made_approved_merged_and_undone_from_pages_alone(window):
    ana, lee = await window.signed_in("ana"), await window.signed_in("lee")
    await ana.get("/ask")
    empty = await ana.submit("/ask", text="  ")
    assert empty.status_code == 400
    form = dict(ana.forms["/ask"])
    asked = [await ana.post("/ask", {**form, "text": "set server.host to c in config/app.yaml"}) for _ in range(2)]
    assert [answer.headers["location"] for answer in asked] == ["/tasks/2"] * 2, "a form that is sent twice counts once"
    await settled(window, State.STAGED, 2)
    turns = (await window.served.app.documents.document(2)).turns
    assert [(turn.person, turn.surface) for turn in turns] == [("ana", "web")]
    await lee.get("/tasks/2")
    assert "/tasks/2/merge" not in lee.forms
    assert (await lee.submit("/tasks/2/approve")).status_code == 303
    await settled(window, State.PUBLISHED, 2)
    await ana.get("/tasks/2")
    assert "/tasks/2/merge" not in ana.forms, "a member may not merge"
    refused = await ana.post("/tasks/2/merge", {"csrf": ana.csrf})
    assert refused.status_code == 403
    await lee.get("/tasks/2")
    assert "/tasks/2/undo" in lee.forms
    assert (await lee.submit("/tasks/2/merge")).status_code == 303
    await settled(window, State.MERGED, 2)
    await lee.get("/tasks/2")
    undone = await lee.submit("/tasks/2/undo")
    assert undone.headers["location"] == "/tasks/3"
    await settled(window, State.STAGED, 3)


async def test_a_task_is_cancelled_and_a_rejected_one_is_repeated_by_those_who_may(window):
    ana, bo, lee = [await window.signed_in(name) for name in ("ana", "bo", "lee")]
    await bo.get("/tasks/1")
    assert "/tasks/1/cancel" not in bo.forms
    assert (await bo.post("/tasks/1/cancel", {"csrf": bo.csrf})).status_code == 403
    await lee.get("/tasks/1")
    assert (await lee.submit("/tasks/1/reject", reason="not now")).status_code == 303
    await ana.get("/tasks/1")
    assert (await ana.submit("/tasks/1/retry")).status_code == 303
    await settled(window, State.STAGED, 1, revision=2)
    await ana.get("/tasks/1")
    assert "/tasks/1/retry" not in ana.forms
    assert (await ana.submit("/tasks/1/cancel")).status_code == 303
    await settled(window, State.CANCELLED)
    stale = await ana.post("/tasks/1/cancel", {"csrf": ana.csrf})
    assert stale.status_code == 409


async def test_the_operator_asks_for_nothing_and_amounts_are_checked(window):
    operator, lee = await window.signed_in(None), await window.signed_in("lee")
    assert "/ask" not in (await operator.get("/ask"), operator.forms)[1]
    assert (await operator.post("/ask", {"csrf": operator.csrf, "text": "set a to 1 in b.yaml"})).status_code == 404
    for amount in ({"usd": "much"}, {"steps": "1.5"}, {"tokens": "-3"}):
        answer = await lee.post("/tasks/1/extend", {"csrf": lee.csrf, "question": "1", **amount})
        assert answer.status_code == 400, amount
    assert (await lee.post("/tasks/1/extend", {"csrf": lee.csrf, "question": "1", "usd": "1.5"})).status_code == 409
