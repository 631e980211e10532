"""Signing in at an identity provider: OpenID Connect and GitHub, and every answer that must sign no one in."""

from __future__ import annotations

import json
import re
import time
from html import unescape
from typing import Any

import httpx
import pytest
import pytest_asyncio
from joserfc.jwk import ECKey
from sqlalchemy import text

from tests.fakes.identity_provider import SECRET, SUBJECT, callback, serve_provider
from tests.window import Visit, open_window

pytestmark = [pytest.mark.window, pytest.mark.law, pytest.mark.xdist_group("window")]


@pytest_asyncio.fixture
async def provider():
    async with serve_provider() as serving:
        yield serving


@pytest_asyncio.fixture
async def window(home_staged, provider, monkeypatch):
    """A served home whose people sign in at the provider; lee has identities there."""
    monkeypatch.setenv("OIDC_SECRET", SECRET)
    monkeypatch.setenv("COUNTERSIGN_SIGN_IN_HUB_SECRET", SECRET)
    config = home_staged.root / "countersign.yaml"
    lee = f'  "lee": {{roles: [maintainer], identities: {{oidc: "{provider.url}|{SUBJECT}", github: "9103"}}}}\n'
    known = re.sub(r'(?m)^  "lee":.*\n', lee, config.read_text())
    assert lee in known
    section = f"""
web:
  sign_in:
    company: {{kind: oidc, label: Company, issuer: "{provider.url}", client_id: countersign, secret_env: OIDC_SECRET}}
    hub: {{kind: github, client_id: countersign, url: "{provider.url}", api_url: "{provider.url}/api"}}
"""
    config.write_text(known + section)
    async with open_window(home_staged) as opened:
        yield opened


def visitor(window) -> Visit:
    """A browser with an address of its own, because ten attempts a minute are allowed from one."""
    visit: Visit = window.visit()
    address = f"127.0.0.{len(window.clients) + 1}"
    visit.client = httpx.AsyncClient(
        base_url=window.origin, timeout=60, transport=httpx.AsyncHTTPTransport(local_address=address)
    )
    window.clients.append(visit.client)
    return visit


async def leave(visit: Visit, name: str = "company") -> str:
    """Press the button of a provider; returns the address that the page leads to."""
    await visit.get("/sign-in")
    page = await visit.submit(f"/sign-in/with/{name}", go="")
    assert page.status_code == 200, page.text
    (address,) = re.findall(r'http-equiv="refresh" content="0; url=\'([^\']+)\'"', page.text)
    return unescape(address)


async def come_back(visit: Visit, provider, name: str = "company", **changed: str):
    """Sign in at the provider and come back; returns the answer of our page."""
    address = await leave(visit, name)
    return await visit.get(callback(address, {**provider.authorize(address), **changed}))


async def refused(visit: Visit, response, *words: str) -> None:
    """The page says why in one place, and no session began."""
    assert response.status_code in (403, 503), response.text
    (alert,) = re.findall(r'<p class="alert" role="alert">(.*?)</p>', response.text)
    assert all(word in alert for word in words), alert
    assert "countersign.yaml" not in alert or "no person here" in alert
    assert (await visit.get("/")).status_code == 401


@pytest.mark.parametrize("name", ["company", "hub"])
async def test_a_person_signs_in_at_a_provider_and_the_session_says_how(window, provider, name):
    visit = visitor(window)
    response = await come_back(visit, provider, name)
    assert response.status_code == 200, response.text
    assert "url='/'" in response.text  # a page that leads on: a redirect would carry no SameSite=Strict cookie
    assert "lee" in (await visit.get("/")).text
    (session,) = await window.served.app.web_sessions.listed(window_lee())
    assert (session.person, session.method, session.address) == ("lee", name, "127.0.0.2")
    assert not provider.refusals


def window_lee():
    from core.model.turn import Actor

    return Actor("lee", "web")


async def test_an_identity_of_no_person_gets_one_sentence_and_no_session(window, provider):
    """Not even with the e-mail address, the name or the login of one."""
    provider.subject = "someone else"
    provider.claims = {"email": "lee@example.org", "email_verified": True, "preferred_username": "lee", "name": "lee"}
    provider.account = {"id": 4, "type": "User", "login": "lee", "email": "lee@example.org"}
    for name, identity in (("company", f"{provider.url}|someone else"), ("hub", "4")):
        visit = visitor(window)
        await refused(visit, await come_back(visit, provider, name), "no person here has as an identity", identity)
    events = await window.served.app.database.read(
        lambda tx: tx.session.execute(text("SELECT body FROM events WHERE kind = 'web.sign_in_refused' ORDER BY id"))
    )
    assert [json.loads(body).get("identity") for (body,) in events] == [f"oidc:{provider.url}|someone else", "github:4"]


CLAIMS: tuple[dict[str, Any], ...] = (
    {"nonce": "another"},
    {"nonce": None},
    {"aud": "another client"},
    {"aud": ["countersign", "another"]},
    {"aud": ["countersign", "another"], "azp": "another"},
    {"iss": "https://evil.example"},
    {"exp": int(time.time()) - 3600},
    {"exp": None},
    {"iat": int(time.time()) + 3600},
    {"sub": ""},
    {"sub": None},
    {"sub": 248289761001},
)


async def test_124_an_id_token_for_another_sign_in_or_time_signs_no_one_in(window, provider):
    for provider.claims in CLAIMS:
        visit = visitor(window)
        await refused(visit, await come_back(visit, provider), "Company sent an ID token")
    provider.claims = {}
    assert (await come_back(visitor(window), provider)).status_code == 200  # else the refusals would prove nothing


async def test_124_alg_none_a_public_key_as_secret_and_a_strange_key_are_refused(window, provider):
    strange = ECKey.generate_key("P-256", {"kid": "one"})
    forgeries = (
        provider.unsigned,
        provider.signed_with_public_key,
        lambda claims: provider.signed(claims, key=strange),
        lambda claims: provider.signed(claims, key=ECKey.generate_key("P-256", {"kid": "../../dev/null"})),
        lambda claims: provider.signed(claims)[:-8] + "AAAAAAAA",
        lambda _claims: "no token",
        lambda _claims: None,
    )
    for forge in forgeries:
        provider.token, visit = forge, visitor(window)
        await refused(visit, await come_back(visit, provider), "Company sent")


async def test_126_a_changed_state_a_second_use_and_another_browser_are_refused(window, provider):
    lee, other = visitor(window), visitor(window)
    address = await leave(lee)
    answer = provider.authorize(address)
    await refused(lee, await lee.get(callback(address, {**answer, "state": answer["state"][:-1] + "_"})), "not begun")
    address = await leave(lee)
    path = callback(address, provider.authorize(address))
    await leave(other)
    await refused(other, await other.get(path), "not begun in this browser")  # the victim of a login CSRF
    assert (await lee.get(path)).status_code == 200
    again = visitor(window)
    again.client.cookies.update(lee.client.cookies)
    assert (await again.get(path)).status_code == 403  # the state is used up, and so is the code
    assert (await lee.get("/")).status_code == 200


async def test_a_code_from_another_sign_in_fails_by_pkce_and_a_used_code_at_the_provider(window, provider):
    attacker, victim = visitor(window), visitor(window)
    stolen = provider.authorize(await leave(victim))["code"]
    address = await leave(attacker)
    await refused(attacker, await attacker.get(callback(address, {**provider.authorize(address), "code": stolen})))
    assert provider.refusals == ["invalid_grant"]
    used = provider.authorize(await leave(victim))["code"]
    provider.codes.pop(used)
    address = await leave(victim)
    response = await victim.get(callback(address, {**provider.authorize(address), "code": used}))
    await refused(victim, response, "did not accept this sign-in")
    assert "<b>" not in response.text
    assert "&lt;b&gt;" not in response.text  # what the provider says is not shown


async def test_an_answer_of_another_issuer_is_refused_before_its_code_is_sent(window, provider):
    for iss in ("https://evil.example", ""):
        visit = visitor(window)
        await refused(visit, await come_back(visit, provider, iss=iss), "comes from another provider")
    assert len(provider.codes) == 2  # no code was exchanged
    visit = visitor(window)
    address = await leave(visit, "hub")  # the answer to one provider, brought to the address of another
    path = callback(address, provider.authorize(address)).replace("/with/hub/", "/with/company/")
    await refused(visit, await visit.get(path), "not begun")


async def test_128_a_provider_that_redirects_is_not_followed(window, provider):
    provider.redirect = f"{window.origin}/healthz"
    visit = visitor(window)
    await visit.get("/sign-in")
    await refused(visit, await visit.submit("/sign-in/with/company", go=""), "Company does not answer as it should")


async def test_metadata_of_another_issuer_or_with_unsafe_addresses_is_not_used(window, provider):
    for metadata in ({"issuer": "https://evil.example"}, {"token_endpoint": "http://evil.example/"}, {"jwks_uri": 1}):
        provider.metadata, visit = metadata, visitor(window)
        await visit.get("/sign-in")
        await refused(visit, await visit.submit("/sign-in/with/company", go=""), "Company does not answer as it should")


async def test_a_provider_that_declines_or_is_no_person_signs_no_one_in(window, provider):
    visit = visitor(window)
    address = await leave(visit)
    answer = {"error": "access_denied", "error_description": "<script>", "state": provider.authorize(address)["state"]}
    await refused(visit, await visit.get(callback(address, {**answer, "iss": provider.url})), "not to sign you in")
    provider.account = {"id": 9103, "type": "Bot", "login": "lee"}
    await refused(visit, await come_back(visit, provider, "hub"), "did not name the account of a person")


async def test_129_signing_in_at_a_provider_ends_the_session_before_and_leads_nowhere_else(window, provider):
    visit = await window.signed_in("lee")
    before = dict(visit.client.cookies)
    page = await visit.post("/sign-in/with/company?next=https://evil.example", {"next": "https://evil.example"})
    assert "evil" not in page.text
    (address,) = re.findall(r"url='([^']+)'", page.text)
    path = callback(unescape(address), {**provider.authorize(unescape(address)), "next": "https://evil.example"})
    strict = {name: value for name, value in visit.client.cookies.items() if name.endswith("-sign-in")}
    back = visitor(window)
    back.client.cookies.update(strict)  # a browser sends no SameSite=Strict cookie when it comes from another site
    response = await back.get(path)
    assert response.status_code == 200
    assert "evil" not in response.text
    old = visitor(window)
    old.client.cookies.update(before)
    assert (await old.get("/")).status_code == 401


async def test_nothing_secret_of_a_sign_in_is_stored(window, provider):
    visit = visitor(window)
    address = await leave(visit)
    (binding,) = [cookie.value for cookie in visit.client.cookies.jar]
    rows = await window.served.app.database.read(lambda tx: tx.session.execute(text("SELECT * FROM provider_sign_ins")))
    dumped = str(rows.all())
    assert provider.authorize(address)["state"] not in dumped
    assert str(binding) not in dumped
    assert "hub" not in dumped
    assert "company" in dumped
