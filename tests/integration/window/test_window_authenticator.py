"""Authenticator apps: enrolling, codes that count once, recovery codes, stepping up, and rules with `step_up: totp`."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from contextlib import closing
from xml.etree import ElementTree as ET

import pytest
import pytest_asyncio
from sqlalchemy import text

from core.model.errors import RefusedError
from core.model.lifecycle import State
from core.rules.one_time_codes import RECOVERY_CODES, STEP_S, code_at, hashed_recovery_code, new_recovery_codes, step_of
from core.services.authenticators import ATTEMPTS
from tests.integration.window.test_window_passkeys import LEE, signer, staged
from tests.integration.window.test_window_step_up import until
from tests.window import OPERATOR, open_window

pytestmark = [pytest.mark.window, pytest.mark.law, pytest.mark.xdist_group("window")]

__all__ = ["signer"]
BEFORE = "approvals: {count: 1, from: [maintainer]}\n"
SITE = "localhost"


@pytest_asyncio.fixture
async def window(home_staged):
    """A served home in which #1 is staged under a rule that demands a code or a passkey."""
    policy = home_staged.root / "policy.yaml"
    policy.write_text(policy.read_text().replace(BEFORE, f"{BEFORE}      step_up: totp\n"))
    async with open_window(home_staged) as opened:
        yield opened


async def now_step(window) -> int:
    """The time step of the database's clock, which decides."""
    now_ms: int = await window.served.app.database.read(_now_ms)
    return now_ms // 1000 // STEP_S


async def _now_ms(tx):
    return tx.now_ms


async def enrol(window, visit) -> tuple[str, list[str]]:
    """Set up an app on the pages with the newest code that counts; returns its secret and the recovery codes."""
    await visit.get("/authenticator")
    assert (await visit.submit("/authenticator/begin")).status_code == 303
    page = await visit.get("/authenticator")
    (shown,) = re.findall(r'class="secret">([A-Z2-7 ]+)<', page.text)
    secret = shown.replace(" ", "")
    done = await visit.submit("/authenticator/confirm", code=code_at(secret, await now_step(window) - 1))
    assert done.status_code == 200, done.text
    codes = re.findall(r"<li><code>([A-Z0-9-]{19})</code></li>", done.text)
    assert len(codes) == RECOVERY_CODES
    return secret, codes


async def test_a_code_approves_where_a_rule_demands_one_and_nothing_less_does(window):
    visit = await window.signed_in("lee")
    digest = (await window.served.task()).staged.digest
    page = await visit.get("/tasks/1")
    assert "with a code of their app or a passkey" in page.text
    assert "Set up an app" in page.text
    plain = await visit.post("/tasks/1/approve", {"csrf": visit.csrf, "digest": digest})
    assert plain.status_code == 403
    assert "counts only approvals with a code" in plain.text
    secret, _ = await enrol(window, visit)
    page = await visit.get("/tasks/1")
    fields = {"csrf": visit.csrf, "digest": digest}
    assert (await visit.post("/tasks/1/approve", {**fields, "code": "000000"})).status_code == 403
    before = dict(visit.client.cookies)
    approved = await visit.post("/tasks/1/approve", {**fields, "code": code_at(secret, await now_step(window))})
    assert approved.status_code == 303, approved.text
    assert dict(visit.client.cookies) != before  # who proved more gets a new cookie
    await until(window, State.PUBLISHED)
    (approval,) = (await window.served.app.documents.document(1)).approvals
    assert (approval.step_up, approval.is_signed) == ("totp", False)
    said = await asyncio.to_thread(window.served.home.call, "verify", 1, "--json")
    assert (said.code, said.json()["verified"]) == (0, True)


async def test_a_passkey_satisfies_it_and_the_terminal_says_where_to_approve(window, signer):
    digest = await window.served.digest()
    said = await asyncio.to_thread(window.served.home.call, "approve", 1, digest, "--as", "lee")
    assert said.code == 3
    assert said.sentence().endswith("Open the page of #1 in a browser, and approve it there with one of them.")
    lee = await signer()
    await lee.register()
    assert await staged(window, lee) == digest
    assert (await lee.approve(digest, await lee.sign(digest))).status_code == 303
    await until(window, State.PUBLISHED)


async def test_a_code_that_was_written_into_the_database_publishes_nothing(window):
    """The forger writes rows; the chained events say that the approval had no code."""
    visit = await window.signed_in("lee")
    policy = window.served.home.root / "policy.yaml"
    demanding = policy.read_text()
    policy.write_text(demanding.replace("      step_up: totp\n", ""))
    await visit.get("/tasks/1")
    await window.served.app.queue_control.pause(LEE, "a test")
    digest = await window.served.digest()
    # the promise of the revision still demands it, so it is forged there as well
    home = window.served.home

    def forge(statement: str) -> None:
        with closing(sqlite3.connect(home.database)) as database, database:
            database.execute(statement)

    await asyncio.to_thread(forge, "UPDATE revisions SET terms = json_set(terms, '$.step_up', '')")
    assert (await visit.post("/tasks/1/approve", {"csrf": visit.csrf, "digest": digest})).status_code == 303
    policy.write_text(demanding)
    await asyncio.to_thread(forge, "UPDATE revisions SET terms = json_set(terms, '$.step_up', 'totp')")
    await asyncio.to_thread(forge, "UPDATE approvals SET step_up = 'totp'")
    await window.served.app.queue_control.resume(LEE)
    await until(window, State.FAILED)
    assert (await window.served.task()).pull_request is None


async def test_129_each_code_counts_once_within_a_step_and_wrong_ones_lock(window):
    visit, apps = await window.signed_in("lee"), window.served.app.authenticators
    secret, _ = await enrol(window, visit)
    step = await now_step(window)
    for late in (step - 2, step + 2, step - 1):  # the last one was used to enrol
        with pytest.raises(RefusedError, match="wrong or was used"):
            await apps.verify(LEE, code_at(secret, late))
    code = code_at(secret, await now_step(window))
    tries = await asyncio.gather(*(apps.verify(LEE, code) for _ in range(3)), return_exceptions=True)
    assert sorted(type(done).__name__ for done in tries) == ["NoneType", "RefusedError", "RefusedError"]
    for _ in range(ATTEMPTS + 1):
        with pytest.raises(RefusedError):
            await apps.verify(LEE, "000000")
    with pytest.raises(RefusedError):  # locked, so that a right one is not checked either
        await apps.verify(LEE, code_at(secret, await now_step(window) + 1))
    row = await apps.own(LEE)
    assert row.locked_until is not None
    await window.served.app.database.write(lambda tx: tx.session.execute(text("UPDATE authenticators SET locked_ms=1")))
    await apps.verify(LEE, code_at(secret, await now_step(window) + 1))


async def test_only_a_session_that_stepped_up_removes_the_app_or_adds_a_proof(window, signer):
    lee = await signer()
    secret, recovery = await enrol(window, lee.visit)
    for path in ("/authenticator/remove", "/authenticator/recovery-codes", "/passkeys/register-options"):
        response = await lee.visit.post(path, {"csrf": lee.visit.csrf})
        assert response.status_code == 403
        assert "a proof that it is you" in response.text
    before = dict(lee.visit.client.cookies)
    assert (await lee.visit.post("/step-up", {"csrf": lee.visit.csrf, "code": recovery[0].lower()})).status_code == 303
    assert dict(lee.visit.client.cookies) != before
    thief = await signer(None)
    thief.visit.client.cookies.update(before)
    assert (await thief.visit.get("/sessions")).status_code == 401  # the earlier cookie is void
    await lee.visit.get("/sessions")
    again = await lee.visit.post("/step-up", {"csrf": lee.visit.csrf, "code": recovery[0]})
    assert again.status_code == 403  # a recovery code counts once
    assert (await lee.register()).status_code == 303
    await lee.step_up()  # with the passkey
    assert (await lee.visit.post("/authenticator/remove", {"csrf": lee.visit.csrf})).status_code == 303
    assert await window.served.app.authenticators.own(LEE) is None
    with pytest.raises(RefusedError):
        await window.served.app.authenticators.verify(LEE, code_at(secret, await now_step(window) + 1))
    await window.served.app.database.write(
        lambda tx: tx.session.execute(text("UPDATE web_sessions SET stepped_up_ms = stepped_up_ms - 600001"))
    )
    await lee.visit.get("/authenticator")
    assert (await lee.visit.submit("/authenticator/begin")).status_code == 403  # ten minutes later


async def test_secrets_are_sealed_recovery_codes_hashed_and_none_is_in_an_event(window):
    visit = await window.signed_in("lee")
    secret, codes = await enrol(window, visit)
    page = await visit.get("/authenticator")
    assert secret[:4] not in page.text  # a confirmed secret is not shown again
    assert not any(code in page.text for code in codes)

    async def everything(tx):
        return [str((await tx.session.execute(text(f"SELECT * FROM {name}"))).all()) for name in TABLES]

    stored = "\n".join(await window.served.app.database.read(everything))
    assert secret not in stored
    assert not any(code in stored or code.replace("-", "") in stored for code in codes)
    assert "authenticator.enrolled" in stored


TABLES = ("authenticators", "recovery_codes", "events", "notes", "web_sessions")


async def test_the_operator_removes_a_lost_app_and_no_one_else_removes_anothers(window):
    visit = await window.signed_in("lee")
    await enrol(window, visit)
    home = window.served.home
    rows = await asyncio.to_thread(home.document, "authenticators", "list")
    assert [(row["person"], row["recovery_codes_left"]) for row in rows] == [("lee", RECOVERY_CODES)]
    with pytest.raises(RefusedError):
        await window.served.app.authenticators.remove("lee", LEE)
    said = await asyncio.to_thread(home.call, "authenticators", "remove", "lee")
    assert said.out.strip() == "lee has no authenticator app any more."
    again = await asyncio.to_thread(home.call, "authenticators", "remove", "lee")
    assert again.code == 6
    assert "has no authenticator app" in again.sentence()
    with pytest.raises(RefusedError):
        await window.served.app.authenticators.begin(OPERATOR, "ses_x", SITE)


async def test_the_qr_code_is_an_image_without_styles_or_scripts(window):
    visit = await window.signed_in("lee")
    await visit.get("/authenticator")
    await visit.submit("/authenticator/begin")
    page = await visit.get("/authenticator")
    (image,) = re.findall(r"<svg.*?</svg>", page.text, re.DOTALL)
    svg = ET.fromstring(image)
    assert len(svg.findall("g/rect")) > 100
    assert not re.search(r" style=|<script(?![^>]* src=)| on[a-z]+=", page.text)


def test_codes_are_those_of_rfc_6238_and_odd_texts_are_none():
    """The vector of RFC 6238 for SHA-1, whose eight digits end in our six."""
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    assert code_at(secret, 59 // STEP_S) == "287082"
    assert step_of(secret, "287 082", 59_000) == 1
    assert step_of(secret, "287082", 89_000) == 1
    assert step_of(secret, "287082", 90_000) is None
    for odd in ("", "28708", "2870820", "٢٨٧٠٨٢", "28708a", "-28708", "²87082"):
        assert step_of(secret, odd, 59_000) is None, odd
    assert step_of(secret, code_at(secret, int(time.time()) // STEP_S), int(time.time() * 1000)) is not None


def test_recovery_codes_differ_and_are_bound_to_their_person():
    codes = new_recovery_codes()
    assert len(set(codes)) == RECOVERY_CODES
    assert hashed_recovery_code("lee", codes[0]) == hashed_recovery_code("lee", codes[0].lower().replace("-", " "))
    assert hashed_recovery_code("lee", codes[0]) != hashed_recovery_code("max", codes[0])
