"""Signing in, sessions, forms and headers: the items of security.md K that the pages meet, by number."""

from __future__ import annotations

import asyncio
import re

import pytest
from sqlalchemy import text

from core.model.lifecycle import State
from core.services.web_sessions import IDLE_S
from tests.canary import CANARY

pytestmark = [pytest.mark.window, pytest.mark.law, pytest.mark.xdist_group("window")]

PAGES = (
    "/",
    "/inbox",
    "/tasks",
    "/tasks/1",
    "/tasks/1/facts",
    "/queue",
    "/queue/jobs",
    "/endpoints",
    "/sessions",
    "/passkeys",
    "/authenticator",
    "/step-up",
    "/news",
)
FORMS = {
    "/tasks/1/approve": {"digest": "0" * 64},
    "/tasks/1/reject": {"digest": "0" * 64, "reason": "no"},
    "/tasks/1/reply": {"text": "instead set b to 2", "nonce": "n"},
    "/queue/pause": {"reason": "x"},
    "/queue/resume": {},
    "/sessions/revoke": {"session": "ses_x"},
    "/sessions/revoke-all": {},
    "/audit/check": {},
    "/passkeys/register-options": {},
    "/passkeys/register": {"name": "laptop", "credential": "{}"},
    "/passkeys/revoke": {"passkey": "pk_x"},
    "/authenticator/begin": {},
    "/authenticator/confirm": {"code": "123456"},
    "/authenticator/recovery-codes": {},
    "/authenticator/remove": {},
    "/step-up/options": {},
    "/tasks/1/sign-options": {"digest": "0" * 64},
    "/sign-out": {},
}


def paths_of(window) -> set[tuple[str, str]]:
    """Every (method, path) that the application answers, from its own table of routes."""
    from fastapi.routing import iter_route_contexts

    from bot.web.application import fastapi_app
    from bot.web.diff.files import DiffDivider
    from bot.web.site.live import LiveEvents
    from bot.web.site.render import Renderer
    from bot.web.site.site_context import SiteContext

    services = window.served.app
    context = SiteContext(services, Renderer(), LiveEvents(services.queries), DiffDivider(), lambda: 0.0)
    app = fastapi_app(context)
    return {(method, str(route.path)) for route in iter_route_contexts(app.routes) for method in route.methods or ()}


async def counts(window):
    """How many events there are, and how many of them changed a task or the queue."""

    async def look(tx):
        rows = (await tx.session.execute(text("SELECT kind FROM events"))).scalars().all()
        return len(rows), sum(1 for kind in rows if kind.startswith(("task.", "queue.")))

    return await window.served.app.database.read(look)


async def test_131_without_a_session_every_route_but_the_sign_in_answers_401_and_tells_nothing(window):
    visit = window.visit()
    before = await counts(window)
    checked = 0
    for method, path in sorted(paths_of(window)):
        if path.startswith(("/sign-in", "/static/")):
            continue
        concrete = re.sub(r"\{[a-z0-9]+(:[a-z]+)?\}", "1", path)
        response = await visit.client.request(method, concrete, headers={"origin": visit.origin})
        assert response.status_code == 401, (method, concrete)
        assert "server.timeout" not in response.text
        assert "countersign sign-in" in response.text
        checked += 1
    assert checked >= 15
    for path in (
        "/docs",
        "/openapi.json",
        "/redoc",
        "/metrics",
        "/status",
        "/../etc/passwd",
        "/%2e%2e/x",
        "//evil.example",
    ):
        assert (await visit.client.get(path)).status_code == 401
    assert (await visit.client.get("/healthz")).text == "ok"
    assert await counts(window) == before


async def test_a_link_signs_in_once_and_opening_it_uses_nothing_up(window):
    token = await window.link("lee")
    first, second = window.visit(), window.visit()
    for _ in range(3):  # messengers fetch links to preview them
        page = await first.get(f"/sign-in/{token}")
        assert page.status_code == 200
        assert first.forms["/sign-in"] == {"token": token}
    assert (await first.submit("/sign-in")).status_code == 303
    assert "Inbox" in (await first.get("/")).text
    refused = await second.post("/sign-in", {"token": token})
    assert refused.status_code == 403
    assert "used already" in refused.text
    assert (await second.get("/")).status_code == 401


async def test_of_many_browsers_that_use_one_link_at_once_one_is_signed_in(window):
    token = await window.link("lee")
    visits = [window.visit() for _ in range(6)]
    answers = await asyncio.gather(*(visit.post("/sign-in", {"token": token}) for visit in visits))
    assert sorted(answer.status_code for answer in answers) == [303] + [403] * 5


async def test_124_only_hashes_are_stored_and_an_expired_or_revoked_session_is_none(window):
    token = await window.link("lee")
    visit = window.visit()
    response = await visit.post("/sign-in", {"token": token})
    (cookie,) = visit.client.cookies.jar
    header = response.headers["set-cookie"]
    assert "HttpOnly" in header
    assert "SameSite=strict" in header
    assert "Path=/" in header
    assert cookie.name == f"countersign-{window.served.web.port}"
    dumped = "\n".join(str(row) for row in await window.served.app.database.read(_every_row))
    assert token not in dumped
    assert cookie.value not in dumped
    assert (await visit.get("/")).status_code == 200
    await window.served.app.database.write(
        lambda tx: tx.session.execute(text(f"UPDATE web_sessions SET seen_ms = seen_ms - {IDLE_S * 1000 + 1}"))
    )
    assert (await visit.get("/")).status_code == 401
    other = await window.signed_in("lee")
    assert (await other.get("/")).status_code == 200
    (session,) = [s for s in await window.served.app.web_sessions.listed(_lee()) if s.person == "lee"]
    await window.served.app.web_sessions.revoke(session.id, _lee())
    assert (await other.get("/")).status_code == 401


async def test_124_an_expired_link_and_the_link_of_a_removed_person_sign_no_one_in(window):
    token = await window.link("lee")
    await window.served.app.database.write(lambda tx: tx.session.execute(text("UPDATE web_links SET expires_ms = 1")))
    assert (await window.visit().post("/sign-in", {"token": token})).status_code == 403
    visit = await window.signed_in("max")
    config = window.served.home.root / "countersign.yaml"
    config.write_text(re.sub(r'(?m)^  "max":.*\n', "", config.read_text()))
    assert (await visit.get("/")).status_code == 401


async def test_129_signing_in_makes_a_new_cookie_and_ends_the_session_before(window):
    visit = await window.signed_in("lee")
    (before,) = [cookie.value for cookie in visit.client.cookies.jar]
    assert (await visit.post("/sign-in", {"token": await window.link("lee")})).status_code == 303
    (after,) = [cookie.value for cookie in visit.client.cookies.jar]
    assert after != before
    old = window.visit()
    old.client.cookies.set(f"countersign-{window.served.web.port}", before)
    assert (await old.get("/")).status_code == 401
    fixed = window.visit()  # a cookie that another chose is never adopted
    fixed.client.cookies.set(f"countersign-{window.served.web.port}", "chosen")
    response = await fixed.post("/sign-in", {"token": await window.link("lee")})
    assert "chosen" not in response.headers["set-cookie"]


async def test_129_attempts_to_sign_in_are_limited_and_a_valid_link_stays_valid(window):
    visit = window.visit()
    answers = [(await visit.post("/sign-in", {"token": f"guess{n}"})).status_code for n in range(12)]
    assert answers == [403] * 10 + [429] * 2


async def test_129_no_redirect_leads_away(window):
    visit = await window.signed_in("lee")
    for path in ("/tasks/1/reply", "/queue/pause", "/sign-out"):
        fields = {"csrf": visit.csrf, "text": "x", "next": "https://evil.example", "reason": "x"}
        response = await visit.post(f"{path}?next=https://evil.example", fields)
        assert response.headers.get("location", "/").startswith("/")
        assert "evil" not in response.headers.get("location", "")


async def test_126_a_form_of_another_site_changes_nothing(window):
    visit = await window.signed_in("lee")
    await visit.get("/tasks/1")
    before = await counts(window)
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1", "http://127.0.0.1.evil.example"):
        for path, fields in FORMS.items():
            response = await visit.client.post(path, data={**fields, "csrf": visit.csrf}, headers={"origin": origin})
            assert response.status_code == 403, path
        signing = await window.visit().client.post("/sign-in", data={"token": "x"}, headers={"origin": origin})
        assert signing.status_code == 403
    assert await counts(window) == before


async def test_126_a_form_needs_the_token_of_its_session_the_right_type_and_post(window):
    visit, other = await window.signed_in("lee"), await window.signed_in("max")
    before = await counts(window)
    for path, fields in FORMS.items():
        assert (await visit.post(path, {**fields, "x": "y"})).status_code == 403, path
        assert (await visit.post(path, {**fields, "csrf": other.csrf})).status_code == 403, path
        assert (await visit.post(path, {**fields, "csrf": "é"})).status_code == 403, path
        assert (await visit.client.post(path, data={**fields, "csrf": visit.csrf})).status_code == 403, path
        assert (await visit.get(path)).status_code in (404, 405), path
        for kind in ("text/plain", "application/json", "multipart/form-data"):
            sent = await visit.client.post(path, content=b"{}", headers={"origin": visit.origin, "content-type": kind})
            assert sent.status_code == 415, (path, kind)
    large = await visit.post("/tasks/1/reply", {"csrf": visit.csrf, "text": "x" * 300_000})
    assert large.status_code == 413
    assert (await window.served.task()).state is State.STAGED
    assert await counts(window) == before


async def test_132_another_host_is_refused_before_anything_else(window):
    visit = await window.signed_in("lee")
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "localhost@evil.example"):
        for path in ("/", "/sign-in", "/static/style.css", "/news"):
            assert (await visit.client.get(path, headers={"host": host})).status_code in (400, 421), host
    headers = {"x-forwarded-host": "evil.example", "forwarded": "host=evil.example"}
    forwarded = await visit.client.get("/", headers=headers)
    assert forwarded.status_code == 200
    assert "evil" not in forwarded.text


async def test_127_every_page_has_headers_that_let_nothing_inline_run_and_nothing_frame_it(window):
    visit = await window.signed_in("lee")
    for path in (*PAGES[:-1], "/sign-in", "/nothing", "/tasks/99", "/static/style.css"):
        response = await visit.get(path)
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "same-origin"
        is_public = path.startswith("/static/")
        assert response.headers["cache-control"] == ("no-cache" if is_public else "no-store"), path
        assert not re.search(r"<script(?![^>]* src=)|<style| style=| on[a-z]+=|javascript:", response.text), path
        assert CANARY not in response.text


async def test_125_each_role_sees_the_pages_and_does_only_what_it_may(window):
    staged = (await window.served.task()).staged
    answers = {"ana": 403, "bo": 403, None: 404, "lee": 303, "max": 409}
    for person, answer in answers.items():
        visit = await window.signed_in(person)
        for path in PAGES[:-1]:
            assert (await visit.get(path)).status_code == 200, (person, path)
        await visit.get("/queue")
        is_maintainer = person in ("lee", "max", None)
        assert ("/queue/pause" in visit.forms) == is_maintainer
        paused = await visit.post("/queue/pause", {"csrf": visit.csrf, "reason": "now"})
        assert paused.status_code == (303 if is_maintainer else 403)
        assert (await visit.get("/queue")).text.count("The queue is paused") == is_maintainer
        resumed = await visit.post("/queue/resume", {"csrf": visit.csrf})
        assert resumed.status_code == (303 if is_maintainer else 403)
        page = await visit.get("/tasks/1")
        assert ('id="approve"' in page.text) == (person == "lee")
        approved = await visit.post("/tasks/1/approve", {"csrf": visit.csrf, "digest": staged.digest})
        assert approved.status_code == answer, person
    assert [a.person for a in (await window.served.app.documents.document(1)).approvals] == ["lee"]


async def test_sessions_of_others_are_listed_for_maintainers_only_and_can_be_ended_there(window):
    ana, lee, bo = [await window.signed_in(person) for person in ("ana", "lee", "bo")]
    assert (await ana.get("/sessions")).text.count("End this session") == 1
    page = await lee.get("/sessions")
    assert page.text.count("End this session") == 3
    sessions = await window.served.app.web_sessions.listed(_lee())
    (of_bo,) = [session.id for session in sessions if session.person == "bo"]
    assert (await ana.post("/sessions/revoke", {"csrf": ana.csrf, "session": of_bo})).status_code == 404
    assert (await bo.get("/")).status_code == 200
    assert (await lee.post("/sessions/revoke", {"csrf": lee.csrf, "session": of_bo})).status_code == 303
    assert (await bo.get("/")).status_code == 401
    assert (await lee.post("/sign-out", {"csrf": lee.csrf})).status_code == 303
    assert (await lee.get("/")).status_code == 401


async def test_130_files_are_downloads_whatever_they_are_and_no_path_leads_out(window):
    visit = await window.signed_in("lee")
    page = (await visit.get("/tasks/1")).text
    (patch,) = re.findall(r'href="(/tasks/1/artifacts/[0-9a-f]{64})">change.patch', page)
    answer = await visit.get(patch)
    assert answer.headers["content-disposition"].startswith('attachment; filename="change.patch"')
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "change.pack" not in page
    for path in (
        "/static/..%2f..%2fserver.py",
        "/static/../base.html",
        "/tasks/1/artifacts/..%2f..%2fx",
        "/tasks/1/artifacts/0",
    ):
        assert (await visit.get(path)).status_code == 404


def _lee():
    from core.model.turn import Actor

    return Actor("lee", "web")


async def _every_row(tx):
    names = (await tx.session.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'"))).scalars().all()
    rows = []
    for name in names:
        rows += (await tx.session.execute(text(f'SELECT * FROM "{name}"'))).all()
    return rows
