"""Receipts forged with every key but the approver's own: none of them proves an approval by passkey.

The forger has the home: its signing key, its database, every genuine assertion that the approver ever made, and
passkeys of their own, also registered with the home.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.verification.passkey_check import passkey_check
from core.model.approval import Approval, Verdict
from core.model.approval_statement import ApprovalStatement
from core.model.event import canonical
from core.model.passkey import ApprovalSignature, RelyingParty, TrustedPasskey
from core.rules import passkey_ceremony, receipt
from core.rules.passkey_proof import prove
from core.signing import Keys
from tests import campaign
from tests.fakes.authenticator import PRESENT, VERIFIED, SoftAuthenticator, SoftCredential, b64, unb64

SITE = RelyingParty("countersign.example.org", "https://countersign.example.org")
AT = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
DIGEST, OTHER_DIGEST = "a1" * 32, "b2" * 32
BASE, TREE = "c3" * 20, "d4" * 20
FORGERIES = 1000 if campaign.WHOLE else 250

Json = dict[str, Any]


class Home:
    """A home whose keys the forger has, and lee, whose passkey they do not have."""

    def __init__(self, folder: Path) -> None:
        self.keys = Keys(folder)
        self.keys.make()
        self.id = self.keys.key_id()
        self.lee = SoftAuthenticator(SITE.origin)
        self.trusted = self.register(self.lee, "lee")

    def register(self, authenticator: SoftAuthenticator, person: str) -> TrustedPasskey:
        """Register a passkey as a browser does."""
        options = passkey_ceremony.registration_options(SITE, person, b"challenge" * 4, ())
        made = passkey_ceremony.verify_registration(authenticator.create(options), b"challenge" * 4, SITE)
        return TrustedPasskey(person, made.credential_id, made.public_key, SITE.rp_id, (SITE.origin,))

    def statement(self, **changed: Any) -> ApprovalStatement:
        """The statement that lee signs for task 7."""
        said = ApprovalStatement(7, "tsk_7", DIGEST, BASE, "approve", "lee", self.id, AT.isoformat(), "ab" * 16)
        return replace(said, **changed)

    def signed(
        self,
        statement: ApprovalStatement,
        authenticator: SoftAuthenticator | None = None,
        credential: SoftCredential | None = None,
        kind: str = "webauthn.get",
    ) -> Json:
        """The signature of a statement as the receipt has it."""
        options = passkey_ceremony.assertion_options(SITE, statement.challenge)
        answer = (authenticator or self.lee).get(options, credential, kind)
        assertion = passkey_ceremony.read_assertion(answer)
        return ApprovalSignature(statement, assertion, self.trusted.public_key, self.registration()).to_json()

    def registration(self) -> Json:
        attested = {"person": "lee", "public_key": self.trusted.public_key, "home": self.id}
        return self.keys.sign(canonical(attested).encode(), "application/json")

    def predicate(self, signature: Json | None, digest: str = DIGEST) -> Json:
        """What the receipt of task 7 says."""
        approval = Approval("lee", Verdict.APPROVE, digest, AT + timedelta(seconds=9), "web").to_json()
        terms = {"rule": "config-changes", "count": 1, "approvers": ["maintainer"]}
        return {
            "task": {"number": 7, "id": "tsk_7", "revision": 1},
            "authors": ["ana"],
            "decision": {"terms": terms},
            "staged": {"digest": digest, "base": BASE, "tree": TREE},
            "needs": {"rule": "config-changes", "count": 1, "of": ["lee"], "have": ["lee"]},
            "approvals": [{**approval, **({"signature": signature} if signature else {})}],
        }

    def verified(self, predicate: Json) -> Json:
        """The check of a receipt that the home's key signs, as `countersign verify --passkey lee.json` makes it."""
        content = {"_type": receipt.STATEMENT_TYPE, "predicateType": receipt.PREDICATE_TYPE, "predicate": predicate}
        opened = receipt.read(self.keys, receipt.sign(self.keys, content))
        return passkey_check(opened, self.id, [self.trusted])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("keys"))


def test_what_the_passkey_signed_is_proven_without_the_home(home):
    predicate = home.predicate(home.signed(home.statement()))
    check = home.verified(predicate)
    assert (check["verdict"], check["proven"]) == ("ok", ["lee"])
    assert check["detail"] == "signed by lee's passkey"
    other = Keys(Path("/nowhere"))  # the proof reads no key of the home
    assert all(proof.is_proven for proof in prove(predicate, home.id, [home.trusted])), other


def test_an_approval_without_a_signature_is_attested_only_by_the_home(home):
    check = home.verified(home.predicate(None))
    assert (check["verdict"], check["proven"]) == ("fail", [])
    assert "attested only by the home" in check["detail"]
    unasked = passkey_check(home.predicate(None), home.id, ())
    assert (unasked["verdict"], unasked["proven"]) == ("ok", [])
    assert "attested only by the home" in unasked["detail"]


def test_a_signature_without_a_trusted_key_is_not_called_proven(home):
    predicate = home.predicate(home.signed(home.statement()))
    check = passkey_check(predicate, home.id, ())
    assert check["proven"] == []
    assert "attested only by the home" in check["detail"]


Forge = Callable[[Home, st.DataObject], Json]


def another_digest(home: Home, data: st.DataObject) -> Json:
    """A genuine approval of one diff, moved to another, with or without its statement rewritten."""
    signature = home.signed(home.statement())
    if data.draw(st.booleans()):
        signature["statement"]["digest"] = OTHER_DIGEST
    return home.predicate(signature, OTHER_DIGEST)


def changed_statement(home: Home, data: st.DataObject) -> Json:
    """A genuine assertion whose statement is rewritten, and the receipt with it."""
    signature = home.signed(home.statement())
    key = data.draw(st.sampled_from(sorted(signature["statement"])))
    old = signature["statement"][key]
    values = st.text(max_size=70) | st.integers() | st.none() | st.booleans() | st.sampled_from([OTHER_DIGEST, "max"])
    signature["statement"][key] = data.draw(values.filter(lambda value: canonical(value) != canonical(old)))
    predicate = home.predicate(signature)
    fits = {
        "task": ("task", "number"),
        "task_id": ("task", "id"),
        "digest": ("staged", "digest"),
        "base": ("staged", "base"),
    }
    if key in fits:
        part, name = fits[key]
        predicate[part][name] = signature["statement"][key]
        predicate["approvals"][0]["digest"] = predicate["staged"]["digest"]
    return predicate


def signed_for_another(home: Home, data: st.DataObject) -> Json:
    """A genuine assertion over a genuine statement about something else: a task, a verdict, a home, a time."""
    other = {
        "task": data.draw(st.integers(1, 6)),
        "task_id": "tsk_6",
        "digest": OTHER_DIGEST,
        "base": TREE,
        "verdict": "reject",
        "home": "another home's key",
        "at": (
            AT + timedelta(seconds=data.draw(st.integers(601, 10**7)) * data.draw(st.sampled_from([1, -1])))
        ).isoformat(),
        "person": "max",
    }
    key = data.draw(st.sampled_from(sorted(other)))
    return home.predicate(home.signed(home.statement(**{key: other[key]})))


def sign_in_of_lee(home: Home, data: st.DataObject) -> Json:
    """The assertion of a sign-in, whose challenge is random, under a statement about the forged approval."""
    challenge = data.draw(st.binary(min_size=16, max_size=64))
    answer = home.lee.get(passkey_ceremony.assertion_options(SITE, challenge))
    assertion = passkey_ceremony.read_assertion(answer)
    return home.predicate(ApprovalSignature(home.statement(), assertion, home.trusted.public_key, {}).to_json())


def another_key(home: Home, data: st.DataObject) -> Json:
    """The forger's own passkey, under lee's credential id and public key, attested by the home as lee's."""
    own = SoftAuthenticator(SITE.origin)
    registered = home.register(own, "lee")
    signature = home.signed(home.statement(), own, own.credentials[0])
    if data.draw(st.booleans()):
        signature["credential_id"] = home.trusted.credential_id
    if data.draw(st.booleans()):
        signature["public_key"] = registered.public_key
    return home.predicate(signature)


def another_place(home: Home, data: st.DataObject) -> Json:
    """lee's authenticator, led to sign on another site, without its user, or as another ceremony."""
    origins = st.text(min_size=1, max_size=30) | st.sampled_from(
        ["https://evil.example", SITE.origin + ".evil.example"]
    )
    lee = SoftAuthenticator(SITE.origin, home.lee.credentials)
    how = data.draw(st.sampled_from(["origin", "flags", "kind", "site"]))
    statement, kind = home.statement(), "webauthn.get"
    if how == "origin":
        lee.origin = data.draw(origins.filter(lambda origin: origin != SITE.origin))
    if how == "flags":
        lee.flags = data.draw(
            st.integers(0, 255).filter(lambda flags: flags & (PRESENT | VERIFIED) != PRESENT | VERIFIED)
        )
    if how == "kind":
        kind = data.draw(st.sampled_from(["webauthn.create", "payment.get", ""]))
    options = passkey_ceremony.assertion_options(SITE, statement.challenge)
    if how == "site":
        options["rpId"] = "evil.example"
    assertion = passkey_ceremony.read_assertion(lee.get(options, home.lee.credentials[0], kind))
    return home.predicate(ApprovalSignature(statement, assertion, home.trusted.public_key, {}).to_json())


def changed_bytes(home: Home, data: st.DataObject) -> Json:
    """A genuine assertion with bytes changed in what was signed, or in the signature."""
    signature = home.signed(home.statement())
    part = data.draw(st.sampled_from(["authenticator_data", "client_data_json", "signature"]))
    raw = bytearray(unb64(signature[part]))
    at = data.draw(st.integers(0, 999)) % len(raw)  # a signature's length varies, a draw's bounds may not
    raw[at] ^= data.draw(st.integers(1, 255))
    signature[part] = b64(bytes(raw[:at] if data.draw(st.booleans()) else raw))
    return home.predicate(signature)


def nonsense(home: Home, data: st.DataObject) -> Json:
    """A signature of any form."""
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
        max_leaves=9,
    )
    signature = deepcopy(home.signed(home.statement()))
    key = data.draw(
        st.sampled_from(["statement", "credential_id", "authenticator_data", "client_data_json", "signature"])
    )
    signature[key] = data.draw(values)
    return home.predicate(data.draw(st.sampled_from([signature, data.draw(values)])))


KINDS: tuple[Forge, ...] = (
    another_digest,
    changed_statement,
    signed_for_another,
    sign_in_of_lee,
    another_key,
    another_place,
    changed_bytes,
    nonsense,
)


def test_receipts_forged_with_the_keys_of_the_operator_and_the_home_prove_nothing(home):
    tried: list[str] = []

    @settings(max_examples=FORGERIES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(kind=st.sampled_from(KINDS), data=st.data())
    def forge(kind: Forge, data: st.DataObject) -> None:
        check = home.verified(json.loads(json.dumps(kind(home, data))))
        tried.append(kind.__name__)
        assert (check["verdict"], check["proven"]) == ("fail", []), check

    forge()
    assert len(tried) >= FORGERIES
    assert set(tried) == {kind.__name__ for kind in KINDS}
