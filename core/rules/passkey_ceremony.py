"""WebAuthn: the options that a browser gets, and the check of what its authenticator returns.

This is the only module that imports `webauthn`. Every ceremony requires user verification (a PIN, a finger, a face), so
that a passkey is two factors, and a resident key, so that signing in needs no name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from core.model.errors import RefusedError
from core.model.passkey import Assertion, RelyingParty, TrustedPasskey

TIMEOUT_MS: Final = 120_000
MAX_CREDENTIAL: Final = 16 * 1024
"""The longest credential that is read, in characters; real ones have less than 4 KiB."""
_SITE_NAME: Final = "Countersign"


@dataclass(frozen=True, slots=True)
class NewCredential:
    """A credential that an authenticator made; both parts in base64url."""

    credential_id: str
    public_key: str
    sign_count: int


def registration_options(site: RelyingParty, person: str, challenge: bytes, existing: Iterable[str]) -> dict[str, Any]:
    """The options of ``navigator.credentials.create``; authenticators with an `existing` credential are refused."""
    from webauthn import generate_registration_options  # noqa: PLC0415 (slow to import)
    from webauthn.helpers import base64url_to_bytes  # noqa: PLC0415
    from webauthn.helpers.structs import (  # noqa: PLC0415
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    options = generate_registration_options(
        rp_id=site.rp_id,
        rp_name=_SITE_NAME,
        user_id=person.encode(),
        user_name=person,
        challenge=challenge,
        timeout=TIMEOUT_MS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(base64url_to_bytes(one)) for one in existing],
    )
    return _as_json(options)


def assertion_options(site: RelyingParty, challenge: bytes, allowed: Iterable[str] = ()) -> dict[str, Any]:
    """The options of ``navigator.credentials.get``; without `allowed` credentials the authenticator offers its own."""
    from webauthn import generate_authentication_options  # noqa: PLC0415
    from webauthn.helpers import base64url_to_bytes  # noqa: PLC0415
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor, UserVerificationRequirement  # noqa: PLC0415

    options = generate_authentication_options(
        rp_id=site.rp_id,
        challenge=challenge,
        timeout=TIMEOUT_MS,
        allow_credentials=[PublicKeyCredentialDescriptor(base64url_to_bytes(one)) for one in allowed],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return _as_json(options)


def verify_registration(credential: str, challenge: bytes, site: RelyingParty) -> NewCredential:
    """The new credential in what ``create`` returned; raises `RefusedError` if it does not answer the challenge."""
    from webauthn import verify_registration_response  # noqa: PLC0415
    from webauthn.helpers import bytes_to_base64url  # noqa: PLC0415

    try:
        verified = verify_registration_response(
            credential=_object(credential),
            expected_challenge=challenge,
            expected_rp_id=site.rp_id,
            expected_origin=site.origin,
            require_user_verification=True,
        )
    except Exception as error:  # the library reads CBOR and certificates of strangers, and raises what those raise
        raise _refused("the passkey could not be registered", error) from error
    key = bytes_to_base64url(verified.credential_public_key)
    return NewCredential(bytes_to_base64url(verified.credential_id), key, verified.sign_count)


def verify_assertion(assertion: Assertion, challenge: bytes, trusted: TrustedPasskey, sign_count: int = 0) -> int:
    """Check that the trusted passkey signed `challenge` on one of its sites, and return its new signature count.

    With a `sign_count` of 0 the count is not compared. Raises `RefusedError`.
    """
    from webauthn import verify_authentication_response  # noqa: PLC0415
    from webauthn.helpers import base64url_to_bytes  # noqa: PLC0415

    if assertion.credential_id != trusted.credential_id:
        raise _refused("the signature is not by this passkey", None)
    response = {
        "clientDataJSON": assertion.client_data_json,
        "authenticatorData": assertion.authenticator_data,
        "signature": assertion.signature,
    }
    identity = assertion.credential_id
    try:
        verified = verify_authentication_response(
            credential={"id": identity, "rawId": identity, "type": "public-key", "response": response},
            expected_challenge=challenge,
            expected_rp_id=trusted.rp_id,
            expected_origin=list(trusted.origins),
            credential_public_key=base64url_to_bytes(trusted.public_key),
            credential_current_sign_count=sign_count,
            require_user_verification=True,
        )
    except Exception as error:  # as above
        raise _refused("the passkey's signature does not verify", error) from error
    return verified.new_sign_count


def read_assertion(credential: str) -> Assertion:
    """What ``get`` returned; raises `RefusedError` if it is not such a credential."""
    value = _object(credential)
    response = value.get("response")
    texts = [value.get("id"), *((response.get(key) if isinstance(response, dict) else None) for key in _PARTS)]
    if not all(isinstance(text, str) and text for text in texts):
        raise _refused("the passkey's answer is incomplete", None)
    return Assertion(*map(str, texts))


_PARTS: Final = ("authenticatorData", "clientDataJSON", "signature")


def challenge_of(credential: str) -> str:
    """The challenge that a credential answers, in base64url; raises `RefusedError`."""
    from webauthn.helpers import base64url_to_bytes  # noqa: PLC0415

    try:
        client_data = json.loads(base64url_to_bytes(_object(credential)["response"]["clientDataJSON"]))
        return str(client_data["challenge"])
    except (KeyError, TypeError, ValueError) as error:
        raise _refused("the passkey's answer cannot be read", error) from error


def encoded(value: bytes) -> str:
    """Bytes in base64url without padding, as WebAuthn writes them."""
    from webauthn.helpers import bytes_to_base64url  # noqa: PLC0415

    return bytes_to_base64url(value)


def decoded(value: str) -> bytes:
    """The bytes of a text in base64url."""
    from webauthn.helpers import base64url_to_bytes  # noqa: PLC0415

    return base64url_to_bytes(value)


def _object(credential: str) -> dict[str, Any]:
    try:
        value = json.loads(credential) if len(credential) <= MAX_CREDENTIAL else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise _refused("the passkey's answer cannot be read", None)
    return value


def _as_json(options: Any) -> dict[str, Any]:
    from webauthn.helpers import options_to_json_dict  # noqa: PLC0415

    value: dict[str, Any] = options_to_json_dict(options)
    return value


def _refused(message: str, error: Exception | None) -> RefusedError:
    detail = f" ({error})" if error is not None and str(error) else ""
    return RefusedError("bad_passkey", f"{message}{detail}", "Try again; if it fails again, use another passkey.")
