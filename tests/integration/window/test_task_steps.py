"""What the chats can do beside verdicts is on a page for exactly those who may do it: ask, merge, undo, repeat."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text

from core.model.budget_question import ABOUT_BUDGET, BudgetQuestion
from core.model.lifecycle import State
from core.model.turn import Question
from tests.builders import put_task, terms
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


async def test_a_used_up_budget_is_extended_by_an_amount_by_those_who_may(window):
    database, lee = window.served.app.database, await window.signed_in("lee")
    number = await put_task(database, State.RUNNING, promised=terms(rule="config-changes"))
    budget = BudgetQuestion("tokens", 2_000, 1_000, 1_000, 1)
    question = json.dumps(Question(ABOUT_BUDGET, "It used up its tokens. More?", budget=budget).to_json())

    async def ask(tx):
        values = {"question": question, "number": number}
        statement = text("UPDATE tasks SET state = 'asking', question = :question WHERE number = :number")
        await tx.session.execute(statement, values)

    await database.write(ask)
    ana = await window.signed_in("ana")
    await ana.get(f"/tasks/{number}")
    assert f"/tasks/{number}/extend" not in ana.forms, "an author does not extend their own budget"
    page = (await lee.get(f"/tasks/{number}")).text
    assert "It used up its tokens. More?" in page
    other = await lee.submit(f"/tasks/{number}/extend", steps="5")
    assert other.status_code == 400
    await lee.get(f"/tasks/{number}")
    assert (await lee.submit(f"/tasks/{number}/extend", tokens="5000")).status_code == 303
    events = await window.served.app.queries.events(number=number)
    (extended,) = [json.loads(event.body) for event in events if event.kind == "task.extended"]
    assert "5,000" in extended["by"] or "5000" in extended["by"]
