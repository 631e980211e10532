"""Which approvals of a receipt a verifier can prove with public keys that it holds, trusting nothing in the receipt."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from core.model.approval import Approval, Verdict
from core.model.errors import CountersignError
from core.model.passkey import ApprovalSignature, TrustedPasskey
from core.model.stored import StoredValueError
from core.rules.passkey_ceremony import verify_assertion
from core.signing import Keys

_MAX_AGE: Final = timedelta(minutes=10)
"""How long after its statement an approval may be; challenges live five minutes, by the same clock."""


@dataclass(frozen=True, slots=True)
class ApprovalProof:
    """What is known about one approval: who gave it, and why it is not proven (empty: it is)."""

    person: str
    is_signed: bool
    objection: str

    @property
    def is_proven(self) -> bool:
        """Whether a key that the verifier trusts signed exactly this approval."""
        return self.is_signed and not self.objection


def prove(predicate: Mapping[str, Any], home: str, trusted: Iterable[TrustedPasskey]) -> tuple[ApprovalProof, ...]:
    """A proof, or why there is none, for each approval of a receipt that the home with the key id `home` signed.

    Nothing that the receipt says of a passkey is believed: neither its public key nor the home's attestation of it.
    """
    known = {passkey.credential_id: passkey for passkey in trusted}
    approvals = [value for value in predicate["approvals"] if value.get("verdict") == Verdict.APPROVE.value]
    return tuple(_proof(predicate, home, value, known) for value in approvals)


def unproven_here(approvals: Iterable[Approval], keys: Keys) -> str:
    """Why the signature of an approval does not hold by this home's registration of its passkey; empty if all do.

    It keeps rows that were written outside Countersign from counting where a rule demands a passkey.
    """
    for approval in approvals:
        if approval.signature is None or not approval.is_signed:
            return f"{approval.person}'s approval is not signed with a passkey"
        try:
            attested = json.loads(keys.open(dict(approval.signature.registration)))
            site = (attested["rp_id"], (attested["origin"],))
            passkey = TrustedPasskey(attested["person"], attested["credential_id"], attested["public_key"], *site)
            if passkey.person != approval.person:
                return f"{approval.person}'s approval is signed with a passkey of {passkey.person}"
            verify_assertion(approval.signature.assertion, approval.signature.statement.challenge, passkey)
        except (CountersignError, KeyError, TypeError, ValueError) as error:
            return f"the signature of {approval.person}'s approval does not hold: {error}"
    return ""


def _proof(
    predicate: Mapping[str, Any], home: str, value: Mapping[str, Any], known: Mapping[str, TrustedPasskey]
) -> ApprovalProof:
    person = str(value.get("person", ""))
    if not value.get("signature"):
        return ApprovalProof(person, False, "attested only by the home")
    try:
        approval = Approval.from_json(value)
        assert approval.signature is not None
        objection = _objection(predicate, home, approval, approval.signature, known)
    except (StoredValueError, TypeError, ValueError) as error:
        objection = f"the signature cannot be read: {error}"
    return ApprovalProof(person, True, objection)


def _objection(
    predicate: Mapping[str, Any],
    home: str,
    approval: Approval,
    signature: ApprovalSignature,
    known: Mapping[str, TrustedPasskey],
) -> str:
    passkey = known.get(signature.assertion.credential_id)
    if passkey is None:
        return "signed by a passkey that is not in the trusted file; attested only by the home"
    statement, staged = signature.statement, predicate["staged"]
    facts = {
        "task": (statement.task, predicate["task"]["number"]),
        "task's id": (statement.task_id, predicate["task"]["id"]),
        "digest": (statement.digest, staged["digest"]),
        "approved digest": (statement.digest, approval.digest),
        "base": (statement.base, staged["base"]),
        "verdict": (statement.verdict, approval.verdict.value),
        "person": (statement.person, approval.person),
        "owner of the passkey": (passkey.person, approval.person),
        "home": (statement.home, home),
    }
    for name, (said, expected) in facts.items():
        if type(said) is not type(expected) or said != expected:
            return f"the signed {name} is {str(said)[:20]}, the receipt's is {str(expected)[:20]}"
    age = approval.at - datetime.fromisoformat(statement.at)
    if not timedelta(0) <= age <= _MAX_AGE:
        return "the statement was signed at another time than the approval was recorded"
    try:
        verify_assertion(signature.assertion, statement.challenge, passkey)
    except CountersignError as error:
        return error.problem.message
    return ""
