"""Passkeys of people, and what an approval signed with one consists of.

An approver's passkey signs the sha256 of the canonical `ApprovalStatement` as its WebAuthn challenge
(https://www.w3.org/TR/webauthn-3/#sctn-op-get-assertion). Anyone with the public key can check that signature later,
without this home.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from core.model.approval_statement import ApprovalStatement
from core.model.stored import StoredObject, StoredValueError

MAX_PASSKEYS: Final = 10
"""How many passkeys a person may have."""


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """The site that passkeys are bound to: `rp_id` is its host name, `origin` its address as browsers write it."""

    rp_id: str
    origin: str


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey of `person`, as this home registered it.

    `credential_id` and `public_key` (in COSE form) are base64url without padding. `registration` is a DSSE envelope in
    which the home attests whose passkey it is.
    """

    id: str
    person: str
    name: str
    credential_id: str
    public_key: str
    site: RelyingParty
    sign_count: int
    created_at: datetime
    used_at: datetime | None
    registration: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        """The sha256 of the public key, as people compare it."""
        return fingerprint(self.public_key)

    def to_json(self) -> dict[str, Any]:
        """The row of ``passkeys list --json``."""
        return {
            "id": self.id,
            "person": self.person,
            "name": self.name,
            "fingerprint": self.fingerprint,
            "site": self.site.origin,
            "created_at": self.created_at.isoformat(),
            "used_at": self.used_at.isoformat() if self.used_at else None,
        }

    def trusted(self) -> TrustedPasskey:
        """What a verifier needs to recognize its signatures."""
        return TrustedPasskey(self.person, self.credential_id, self.public_key, self.site.rp_id, (self.site.origin,))


@dataclass(frozen=True, slots=True)
class TrustedPasskey:
    """A public key that a verifier trusts to be `person`'s, and the sites on which that person signs."""

    person: str
    credential_id: str
    public_key: str
    rp_id: str
    origins: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The entry of a file for ``verify --passkey``."""
        return {
            "person": self.person,
            "credential_id": self.credential_id,
            "public_key": self.public_key,
            "rp_id": self.rp_id,
            "origins": list(self.origins),
        }


@dataclass(frozen=True, slots=True)
class Assertion:
    """What an authenticator signed: the three parts of a WebAuthn assertion, base64url without padding."""

    credential_id: str
    authenticator_data: str
    client_data_json: str
    signature: str


@dataclass(frozen=True, slots=True)
class ApprovalSignature:
    """An approval's statement, the assertion that signs it, and the public key as the home registered it."""

    statement: ApprovalStatement
    assertion: Assertion
    public_key: str
    registration: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The signature as the approval's row, the task document and the receipt contain it."""
        return {
            "kind": "passkey",
            "statement": self.statement.to_json(),
            "credential_id": self.assertion.credential_id,
            "authenticator_data": self.assertion.authenticator_data,
            "client_data_json": self.assertion.client_data_json,
            "signature": self.assertion.signature,
            "public_key": self.public_key,
            "registration": dict(self.registration),
        }

    @classmethod
    def from_json(cls, value: Any) -> ApprovalSignature:
        """The signature that `to_json` wrote; raises `StoredValueError`."""
        kind = "the signature of an approval"
        if not isinstance(value, Mapping) or not isinstance(value.get("statement"), Mapping):
            raise StoredValueError(f"{kind} is not an object with a statement")
        stored = StoredObject(value, kind)
        parts = [stored[key] for key in ("credential_id", "authenticator_data", "client_data_json", "signature")]
        if not all(isinstance(part, str) for part in (*parts, stored["public_key"])):
            raise StoredValueError(f"{kind} has parts that are not texts")
        statement = ApprovalStatement.from_json(stored["statement"])
        return cls(statement, Assertion(*parts), stored["public_key"], stored["registration"])


def fingerprint(public_key: str) -> str:
    """The sha256 of a public key in base64url, in groups of four hex digits."""
    digits = hashlib.sha256(public_key.encode()).hexdigest()[:32]
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))
