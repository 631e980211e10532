"""A software authenticator: answers WebAuthn options as a browser and its platform's authenticator would.

It makes ES256 credentials with the attestation "none" (https://www.w3.org/TR/webauthn-3/#sctn-none-attestation). The
options are those that our pages send, and what it answers is what `static/passkeys.js` would put into the form.
Chromium's own virtual authenticator is its counterpart (tests/e2e/test_passkeys.py).
"""

from __future__ import annotations

import hashlib
import json
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def b64(value: bytes) -> str:
    """Base64url without padding."""
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """The bytes of base64url."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class SoftCredential:
    """One credential: its private key, for one site and user."""

    rp_id: str
    user_handle: bytes
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    count: int = 0

    @property
    def id(self) -> bytes:
        """Derived from the key, so that it is unique."""
        return hashlib.sha256(self.cose).digest()

    @property
    def cose(self) -> bytes:
        """The public key in COSE form (RFC 9053, ES256)."""
        numbers = self.key.public_key().public_numbers()
        x, y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
        encoded: bytes = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})
        return encoded


@dataclass
class SoftAuthenticator:
    """Holds credentials, and answers options on the page of `origin`; `flags` are what it says of its user."""

    origin: str
    credentials: list[SoftCredential] = field(default_factory=list)
    flags: int = PRESENT | VERIFIED

    def create(self, options: dict[str, Any]) -> str:
        """What ``navigator.credentials.create`` returns, as the form sends it."""
        credential = SoftCredential(options["rp"]["id"], unb64(options["user"]["id"]))
        self.credentials.append(credential)
        attested = bytes(16) + struct.pack(">H", len(credential.id)) + credential.id + credential.cose
        data = self._data(credential.rp_id, self.flags | ATTESTED, 0) + attested
        statement = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        response = {
            "clientDataJSON": b64(self._client_data("webauthn.create", options["challenge"])),
            "attestationObject": b64(statement),
        }
        return self._answer(credential, response)

    def get(self, options: dict[str, Any], credential: SoftCredential | None = None, kind: str = "webauthn.get") -> str:
        """What ``navigator.credentials.get`` returns, by `credential` or the first one that is allowed."""
        allowed = [one["id"] for one in options.get("allowCredentials", ())]
        mine = [one for one in self.credentials if not allowed or b64(one.id) in allowed]
        credential = credential or mine[0]
        credential.count += 1
        data = self._data(options["rpId"], self.flags, credential.count)
        client_data = self._client_data(kind, options["challenge"])
        signed = data + hashlib.sha256(client_data).digest()
        response = {
            "clientDataJSON": b64(client_data),
            "authenticatorData": b64(data),
            "signature": b64(credential.key.sign(signed, ec.ECDSA(hashes.SHA256()))),
            "userHandle": b64(credential.user_handle),
        }
        return self._answer(credential, response)

    def _data(self, rp_id: str, flags: int, count: int) -> bytes:
        return hashlib.sha256(rp_id.encode()).digest() + struct.pack(">BI", flags, count)

    def _client_data(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}).encode()

    def _answer(self, credential: SoftCredential, response: dict[str, str]) -> str:
        identity = b64(credential.id)
        return json.dumps({"id": identity, "rawId": identity, "type": "public-key", "response": response})
