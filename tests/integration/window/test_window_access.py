"""The pages of people and access, the audit trail and the doctor; and sessions that are ended together."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import text

from core.model.errors import RefusedError
from core.model.turn import Actor
from core.services.api_tokens import WantedToken
from tests.window import OPERATOR

pytestmark = [pytest.mark.window, pytest.mark.law, pytest.mark.xdist_group("window")]

ANA, LEE = Actor("ana", "web"), Actor("lee", "web")
PAGES = ("/people", "/audit", "/doctor", "/doctor/rows")


async def test_125_who_operates_sees_who_has_access_and_no_one_else(window):
    app = window.served.app
    await app.accounts.add("bo", "four words never together", OPERATOR)
    wanted = WantedToken(name="a program", person="ana", scopes=("read",), repositories=("web",), expires_at=None)
    created = await app.api_tokens.create(wanted, OPERATOR)
    lee, ana = await window.signed_in("lee"), await window.signed_in("ana")
    page = (await lee.get("/people")).text
    for shown in ("a program", "password", "approver", "maintainer"):
        assert shown in page, shown
    assert created.written.secret_sha256 not in page
    for path in PAGES:
        assert (await lee.get(path)).status_code == 200, path
        response = await ana.get(path)
        assert response.status_code == 403, path
        assert "a program" not in response.text
    for refused in (app.access_overview.report(ANA), app.audit_trail.page(ANA), app.audit_trail.check(ANA)):
        with pytest.raises(RefusedError):
            await refused


async def test_the_doctor_says_on_a_page_what_it_says_on_the_terminal(window):
    lee = await window.signed_in("lee")
    page = await lee.get("/doctor")
    rows = await window.served.app.examine()
    assert len(rows) > 10
    for row in rows:
        assert row["name"] in page.text
    failed = await lee.get("/doctor/rows")
    assert "<html" not in failed.text  # a part for a page that is open
    assert re.search(r"\d+ in order", failed.text)


async def test_the_audit_trail_is_shown_and_a_changed_event_is_named(window):
    lee = await window.signed_in("lee")
    page = await lee.get("/audit")
    assert "web.signed_in" in page.text
    whole = await lee.submit("/audit/check")
    assert re.search(r"\d+ events hold", whole.text), whole.text
    home = window.served.home.database
    change = "UPDATE events SET person = 'max' WHERE number = 0 AND kind = 'web.signed_in'"
    await asyncio.to_thread(_forge, home, change)
    broken = await lee.submit("/audit/check")
    assert "of the home (web.signed_in) was changed after it was written" in broken.text
    await asyncio.to_thread(_forge, home, change.replace("'max'", "'lee'"))
    await asyncio.to_thread(_forge, home, "DELETE FROM events WHERE number = 1 AND seq = 2")
    status = await window.served.app.audit_trail.check(LEE)
    assert status.fault == "event 2 of #1 is missing"
    assert (await window.served.app.audit_trail.check(LEE, within_s=0)).is_whole is False


def _forge(file, statement: str) -> None:
    """What a person with the database file can do; the triggers that refuse it are dropped first."""
    with closing(sqlite3.connect(file)) as database, database:
        for name in ("events_no_update", "events_no_delete", "events_no_replace"):
            database.execute(f"DROP TRIGGER IF EXISTS {name}")
        database.execute(statement)


async def test_129_sessions_say_where_they_come_from_and_end_together(window):
    first, second, third, bo = [await window.signed_in(name) for name in ("lee", "lee", "lee", "bo")]
    page = await first.get("/sessions")
    assert page.text.count("by link from <code>127.0.0.1</code>") == 4
    assert (await first.submit("/sessions/revoke-all")).status_code == 303
    assert [(await visit.get("/")).status_code for visit in (first, second, third, bo)] == [200, 401, 401, 200]
    again = await window.signed_in("bo")
    await bo.get("/sessions")
    refused = await bo.post("/sessions/revoke-all", {"csrf": bo.csrf, "person": "lee"})
    assert refused.status_code == 403
    await first.get("/sessions")
    assert (await first.post("/sessions/revoke-all", {"csrf": first.csrf, "person": "bo"})).status_code == 303
    assert [(await visit.get("/")).status_code for visit in (first, bo, again)] == [200, 401, 401]


async def test_129_a_session_ends_when_it_is_old_whatever_it_is_used_for(window):
    lee = await window.signed_in("lee")
    await window.served.app.database.write(
        lambda tx: tx.session.execute(text("UPDATE web_sessions SET expires_ms = 1"))
    )
    assert (await lee.get("/")).status_code == 401
    assert await window.served.app.web_sessions.listed(LEE) == ()
