"""Passkeys on the pages: registering, signing in, signing approvals, and every answer that must not count."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from core.model.lifecycle import State
from core.model.passkey import MAX_PASSKEYS
from core.model.turn import Actor
from tests.fakes.authenticator import PRESENT, SoftAuthenticator
from tests.window import Visit

pytestmark = [pytest.mark.window, pytest.mark.law, pytest.mark.xdist_group("window")]

LEE = Actor("lee", "web")


@dataclass
class Signer:
    """A visitor of the pages by name, with an authenticator."""

    visit: Visit
    authenticator: SoftAuthenticator

    async def options(self, path: str, **fields: str) -> dict[str, Any]:
        """The options that a form asks for; the sentence of a refusal is under ``problem``."""
        response = await self.visit.post(path, {"csrf": self.visit.csrf, **fields})
        answer: dict[str, Any] = response.json()
        return answer.get("publicKey") or answer

    async def step_up(self):
        """Prove again who it is, with the first passkey."""
        options = await self.options("/step-up/options")
        fields = {"csrf": self.visit.csrf, "credential": self.authenticator.get(options)}
        response = await self.visit.post("/step-up", fields)
        assert response.status_code == 303, response.text
        await self.visit.get("/sessions")

    async def register(self, name: str = "laptop"):
        options = await self.options("/passkeys/register-options")
        fields = {"csrf": self.visit.csrf, "name": name, "credential": self.authenticator.create(options)}
        return await self.visit.post("/passkeys/register", fields)

    async def sign(self, digest: str, **more):
        options = await self.options("/tasks/1/sign-options", digest=digest)
        return self.authenticator.get(options, **more)

    async def approve(self, digest: str, credential: str):
        fields = {"csrf": self.visit.csrf, "digest": digest, "credential": credential}
        return await self.visit.post("/tasks/1/approve", fields)


@pytest_asyncio.fixture
async def signer(window):
    """Returns a signed-in visitor by the name localhost, where browsers have passkeys."""

    async def make(person: str | None = "lee") -> Signer:
        visit = window.visit()
        visit.origin = f"http://localhost:{window.served.web.port}"
        visit.client.base_url = visit.origin
        if person is not None:
            assert (await visit.post("/sign-in", {"token": await window.link(person)})).status_code == 303
            await visit.get("/sessions")
        return Signer(visit, SoftAuthenticator(visit.origin))

    return make


async def staged(window, signer: Signer) -> str:
    """The digest of #1, after its diff was shown."""
    await signer.visit.get("/tasks/1")
    digest: str = (await window.served.task()).staged.digest
    return digest


async def approvals(window):
    document = await window.served.app.documents.document(1)
    return document.approvals


async def test_a_person_registers_a_passkey_and_signs_in_with_it_without_a_name(window, signer):
    lee = await signer()
    assert (await lee.register()).status_code == 303
    page = await lee.visit.get("/passkeys")
    assert "laptop" in page.text
    stranger = await signer(None)
    stranger.authenticator = lee.authenticator
    options = await stranger.options("/sign-in/passkey-options")
    assert "allowCredentials" not in options or options["allowCredentials"] == []
    fields = {"credential": lee.authenticator.get(options)}
    assert (await stranger.visit.post("/sign-in/passkey", fields)).status_code == 303
    assert "lee" in (await stranger.visit.get("/")).text
    assert (await stranger.visit.post("/sign-in/passkey", fields)).status_code == 403  # a challenge counts once


async def test_an_approval_by_passkey_is_stored_with_what_was_signed(window, signer):
    lee = await signer()
    await lee.register()
    digest = await staged(window, lee)
    credential = await lee.sign(digest)
    assert (await lee.approve(digest, credential)).status_code == 303
    (approval,) = await approvals(window)
    assert approval.is_signed
    statement = approval.signature.statement
    assert (statement.task, statement.digest, statement.person) == (1, digest, "lee")
    assert statement.home == window.served.app.passkeys.keys.key_id()
    assert approval.signature.assertion.signature == json.loads(credential)["response"]["signature"]


async def test_without_a_passkey_approving_works_and_says_nothing_of_one(window, signer):
    lee = await signer()
    digest = await staged(window, lee)
    assert (await lee.approve(digest, "")).status_code == 303
    (approval,) = await approvals(window)
    assert approval.signature is None
    assert "signature" not in approval.to_json()


async def test_no_statement_is_offered_for_what_may_not_be_approved(window, signer):
    ana, lee = await signer("ana"), await signer()
    await ana.register()
    digest = await staged(window, ana)
    assert "may not approve" in (await ana.options("/tasks/1/sign-options", digest=digest))["problem"]
    assert "no passkey" in (await _after_reading(window, lee, digest))["problem"]
    await lee.register()
    assert "names no staged diff" in (await lee.options("/tasks/1/sign-options", digest="0" * 64))["problem"]
    unread = await signer("max")
    await unread.register()
    assert "not all of the diff" in (await unread.options("/tasks/1/sign-options", digest=digest))["problem"]


async def _after_reading(window, signer, digest):
    await staged(window, signer)
    return await signer.options("/tasks/1/sign-options", digest=digest)


@pytest.mark.parametrize(
    "case", ["another session", "another person", "used twice", "sign-in", "no user verification", "other origin"]
)
async def test_an_answer_that_does_not_fit_approves_nothing(window, signer, case):
    lee, other = await signer(), await signer("max" if case == "another person" else "lee")
    await lee.register()
    digest = await staged(window, lee)
    await staged(window, other)
    who = lee
    if case == "another session":
        credential, who = await lee.sign(digest), other
    elif case == "another person":
        await other.register("phone")
        credential = lee.authenticator.get(await other.options("/tasks/1/sign-options", digest=digest), lee_key(lee))
        who = other
    elif case == "used twice":
        credential = await lee.sign(digest)
        tampered = json.loads(credential)
        tampered["response"]["signature"] = "AAAA"
        assert (await lee.approve(digest, json.dumps(tampered))).status_code == 403
    elif case == "sign-in":
        credential = lee.authenticator.get(await lee.options("/sign-in/passkey-options"))
    else:
        lee.authenticator.flags = PRESENT if case == "no user verification" else lee.authenticator.flags
        lee.authenticator.origin = "https://evil.example" if case == "other origin" else lee.authenticator.origin
        credential = await lee.sign(digest)
    response = await who.approve(digest, credential)
    assert response.status_code in (403, 409), response.text
    assert await approvals(window) == ()
    assert (await window.served.task()).state is State.STAGED


def lee_key(lee):
    return lee.authenticator.credentials[0]


async def test_passkeys_are_listed_limited_and_removed_by_their_owner(window, signer):
    lee, ana = await signer(), await signer("ana")
    for n in range(MAX_PASSKEYS):
        assert (await lee.register(f"key {n}")).status_code == 303
        await lee.step_up()
    assert "already" in (await lee.options("/passkeys/register-options"))["problem"]
    rows = await window.served.app.passkeys.listed(LEE)
    assert len(rows) == MAX_PASSKEYS
    assert (
        await ana.visit.post("/passkeys/revoke", {"csrf": ana.visit.csrf, "passkey": rows[0].id})
    ).status_code == 404
    assert (await ana.visit.get(f"/passkeys/{rows[0].id}/public-key")).status_code == 404
    key = await lee.visit.get(f"/passkeys/{rows[0].id}/public-key")
    assert key.json()["passkeys"][0]["public_key"] == rows[0].public_key
    assert "attachment" in key.headers["content-disposition"]
    assert (
        await lee.visit.post("/passkeys/revoke", {"csrf": lee.visit.csrf, "passkey": rows[0].id})
    ).status_code == 303
    assert len(await window.served.app.passkeys.listed(LEE)) == MAX_PASSKEYS - 1


async def test_the_operator_and_numeric_addresses_have_no_passkeys(window, signer):
    operator = await signer(None)
    await operator.visit.post("/sign-in", {"token": await window.link(None)})
    await operator.visit.get("/sessions")
    assert "not a person" in (await operator.options("/passkeys/register-options"))["problem"]
    by_number = await window.signed_in("lee")
    page = await by_number.get("/passkeys")
    assert "address that is a number" in page.text
    response = await by_number.post("/passkeys/register-options", {"csrf": by_number.csrf})
    assert response.status_code == 403


@pytest.mark.parametrize(
    "credential", ["", "{", "[]", "null", '{"id": 1}', "x" * 20_000, '{"response": {"clientDataJSON": "!"}}']
)
async def test_nonsense_is_refused_without_a_fault(window, signer, credential):
    lee = await signer()
    fields = {"csrf": lee.visit.csrf, "name": "n", "credential": credential}
    assert (await lee.visit.post("/passkeys/register", fields)).status_code == 403
    assert (await lee.visit.post("/sign-in/passkey", {"credential": credential})).status_code == 403
