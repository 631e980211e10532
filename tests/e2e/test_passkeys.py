"""A passkey in a real browser: Chromium's virtual authenticator registers, signs in and signs an approval.

The receipt of that approval then proves it to a verifier who has the public key, and to no one else.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from core.model.lifecycle import State
from core.model.turn import Actor
from tests.e2e.test_window import DESK, photograph
from tests.homes import CliHome
from tests.window import chromium, open_window

pytestmark = [pytest.mark.window, pytest.mark.law, pytest.mark.xdist_group("window")]

LEE = Actor("lee", "web")
PLATFORM = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


async def with_authenticator(page: Any) -> tuple[Any, str]:
    """Give the browser an authenticator of its platform."""
    session = await page.context.new_cdp_session(page)
    await session.send("WebAuthn.enable")
    added = await session.send("WebAuthn.addVirtualAuthenticator", {"options": PLATFORM})
    return session, added["authenticatorId"]


async def test_a_passkey_signs_in_and_signs_an_approval_that_verify_proves(home_staged, tmp_path):
    async with open_window(home_staged) as window, chromium(**DESK) as page:
        origin = f"http://localhost:{window.served.web.port}"
        session, authenticator = await with_authenticator(page)
        await page.goto(f"{origin}/sign-in/{await window.link('lee')}")
        await page.locator("form[action='/sign-in'] button").click()
        await page.wait_for_url(f"{origin}/")
        await page.goto(f"{origin}/passkeys")
        await page.fill("#name", "laptop")
        await photograph(page, "passkeys-empty")
        await page.click("text=Add a passkey >> nth=-1")
        await page.wait_for_selector("article.card >> text=laptop")
        await photograph(page, "passkeys")
        stored = await session.send("WebAuthn.getCredentials", {"authenticatorId": authenticator})
        assert [one["rpId"] for one in stored["credentials"]] == ["localhost"]

        (row,) = await window.served.app.passkeys.listed(LEE)
        trusted = tmp_path / "lee.json"
        trusted.write_text(json.dumps({"passkeys": [row.trusted().to_json()]}))

        await page.click("text=Sign out")
        await page.wait_for_selector("text=Sign in with a passkey")
        await photograph(page, "sign-in-passkey")
        await page.click("text=Sign in with a passkey")
        await page.wait_for_url(f"{origin}/")

        await page.goto(f"{origin}/tasks/1")
        await page.wait_for_selector("#sign:visible")
        await photograph(page, "approve-with-passkey")
        await page.click("#sign")
        await page.wait_for_selector("text=Pull request #", timeout=60_000)
        await photograph(page, "approved-with-passkey")
        assert "on web with a passkey" in await page.inner_text("#facts")
        assert (await window.served.task()).state is State.PUBLISHED

    proven = await checked(home_staged, trusted)
    assert (proven["verdict"], proven["proven"]) == ("ok", ["lee"])
    assert proven["detail"] == "signed by lee's passkey"
    other = json.loads(trusted.read_text())
    other["passkeys"][0]["credential_id"] = "AAAA"
    trusted.write_text(json.dumps(other))
    attested = await checked(home_staged, trusted)
    assert (attested["verdict"], attested["proven"]) == ("fail", [])
    assert "attested only by the home" in attested["detail"]


async def checked(home: CliHome, trusted: Path) -> dict[str, Any]:
    """What `verify` says of the passkeys; the whole is verified exactly if that is."""
    said = await asyncio.to_thread(home.call, "verify", 1, "--passkey", trusted, "--json")
    check: dict[str, Any] = next(check for check in said.json()["checks"] if check["name"] == "passkeys")
    assert said.code == (0 if check["verdict"] == "ok" else 1)
    return check


async def test_an_authenticator_that_does_not_verify_its_user_registers_nothing(home_staged):
    async with open_window(home_staged) as window, chromium(**DESK) as page:
        origin = f"http://localhost:{window.served.web.port}"
        session, authenticator = await with_authenticator(page)
        verified = {"authenticatorId": authenticator, "isUserVerified": False}
        await session.send("WebAuthn.setUserVerified", verified)
        await page.goto(f"{origin}/sign-in/{await window.link('lee')}")
        await page.locator("form[action='/sign-in'] button").click()
        await page.wait_for_url(f"{origin}/")
        await page.goto(f"{origin}/passkeys")
        await page.fill("#name", "laptop")
        await page.click("text=Add a passkey >> nth=-1")
        await page.wait_for_selector("text=No passkey was used. Try again.")
        assert await window.served.app.passkeys.listed(LEE) == ()
