"""Signing in at a provider and setting up an app in a real browser: strict cookies, strict policies, phone and desk."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest

from core.rules.one_time_codes import STEP_S, code_at
from tests.e2e.test_window import DESK, photograph
from tests.fakes.identity_provider import SECRET, SUBJECT, serve_provider
from tests.window import chromium, open_window

pytestmark = [pytest.mark.window, pytest.mark.xdist_group("window")]


async def test_a_browser_comes_back_from_a_provider_signed_in_sets_up_an_app_and_proves_who_it_is(
    home_staged, monkeypatch
):
    """The browser sends no SameSite=Strict cookie along what began elsewhere, and `form-action` holds for redirects."""
    monkeypatch.setenv("COUNTERSIGN_SIGN_IN_COMPANY_SECRET", SECRET)
    config = home_staged.root / "countersign.yaml"
    async with serve_provider() as provider:
        provider.url = provider.url.replace("127.0.0.1", "localhost")  # another site than 127.0.0.1, as browsers count
        lee = f'  "lee": {{roles: [maintainer], identities: {{oidc: "{provider.url}|{SUBJECT}"}}}}\n'
        sign_in = f'company: {{kind: oidc, label: Example, issuer: "{provider.url}", client_id: countersign}}'
        known = re.sub(r'(?m)^  "lee":.*\n', lee, config.read_text())
        config.write_text(f"{known}\nweb:\n  sign_in:\n    {sign_in}\n")
        async with open_window(home_staged) as window, chromium(**DESK) as page:

            async def agree(route) -> None:
                """The provider's page: its user agrees, and the browser is sent back from there."""
                answer = provider.authorize(route.request.url)
                back = f"{window.origin}/sign-in/with/company/callback?{urlencode(answer)}"
                await route.fulfill(status=302, headers={"location": back})

            await page.route(f"{provider.url}/authorize*", agree)
            await page.goto(f"{window.origin}/sign-in")
            await photograph(page, "sign-in-provider")
            await page.click("text=Sign in with Example")
            await page.wait_for_url(f"{window.origin}/")
            assert await page.locator("header .who").inner_text()
            await page.goto(f"{window.origin}/authenticator")
            await page.click("text=Set up an app")
            await page.wait_for_selector("svg.qr")
            await photograph(page, "authenticator-setup")
            secret = (await page.locator(".secret").inner_text()).replace(" ", "")
            now = await window.served.app.database.read(_now_ms)
            await page.fill("#code", code_at(secret, now // 1000 // STEP_S))
            await page.click("text=Confirm")
            await page.wait_for_selector("ul.codes")
            await photograph(page, "recovery-codes")
            codes = await page.locator("ul.codes code").all_inner_texts()
            await page.goto(f"{window.origin}/step-up")
            await photograph(page, "step-up")
            await page.fill("#code", codes[0])
            await page.click("text=Use this code")
            await page.wait_for_url(f"{window.origin}/sessions")
            await look(page, window.origin)


async def look(page, origin: str) -> None:
    """Photograph the pages at a desk and on a phone in the dark; nothing is wider than the screen."""
    for width, scheme in ((1280, "light"), (375, "dark")):
        await page.set_viewport_size({"width": width, "height": 812})
        await page.emulate_media(color_scheme=scheme)
        for path in ("sessions", "people", "audit", "doctor", "authenticator", "step-up"):
            await page.goto(f"{origin}/{path}")
            await photograph(page, f"{path}-{scheme}")
            assert await page.evaluate("document.documentElement.scrollWidth") <= width, path


async def _now_ms(tx):
    return tx.now_ms
