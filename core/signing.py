"""Signs and verifies DSSE envelopes with the key of the home (the only module that imports securesystemslib)."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

from core.model.advice import CommandName, Suggestion, advise
from core.model.errors import ConfigError, PermanentError

PRIVATE, PUBLIC = "receipt.key", "receipt.pub.json"
_NO_KEY = advise("Run ", Suggestion(CommandName.INIT), " again to make one.")


class Keys:
    """The home's signing key pair in `directory`: an owner-only PEM private key and a JSON public key."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def make(self) -> None:
        """Generate the pair unless it exists, so that earlier signatures remain verifiable."""
        from securesystemslib.signer._crypto_signer import CryptoSigner  # noqa: PLC0415 (slow to import)

        private, public = self._directory / PRIVATE, self._directory / PUBLIC
        if private.exists():
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        signer = CryptoSigner.generate_ed25519()
        handle = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(signer.private_bytes)
        document = {"keyid": signer.public_key.keyid, **signer.public_key.to_dict()}
        public.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")

    def key_id(self) -> str:
        """The id of the home's key, by which statements name the home; raises `ConfigError` if it has none."""
        path = self._directory / PUBLIC
        try:
            return str(json.loads(path.read_text(encoding="utf-8"))["keyid"])
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise ConfigError(path, None, "", "the public key cannot be read", _NO_KEY) from error

    def sign(self, payload: bytes, payload_type: str) -> dict[str, Any]:
        """Sign `payload` as a DSSE envelope; raises `ConfigError` if the home has no key."""
        from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415
        from securesystemslib.dsse import Envelope  # noqa: PLC0415
        from securesystemslib.signer._crypto_signer import CryptoSigner  # noqa: PLC0415

        path = self._directory / PRIVATE
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
            signer = CryptoSigner(key)
        except (OSError, ValueError) as error:
            raise ConfigError(path, None, "", "the signing key cannot be read", _NO_KEY) from error
        envelope = Envelope(payload, payload_type, {})
        envelope.sign(signer)
        document: dict[str, Any] = envelope.to_dict()
        return document

    def seal(self, text: str, purpose: str) -> str:
        """`text`, encrypted and authenticated with a key that is derived from the home's key for `purpose`."""
        from cryptography.fernet import Fernet  # noqa: PLC0415

        return Fernet(self._derived(purpose)).encrypt(text.encode()).decode()

    def unseal(self, sealed: str, purpose: str) -> str:
        """What `seal` encrypted; raises `PermanentError` if another key did, or the text was changed."""
        from cryptography.fernet import Fernet, InvalidToken  # noqa: PLC0415

        try:
            return Fernet(self._derived(purpose)).decrypt(sealed.encode()).decode()
        except (InvalidToken, ValueError) as error:
            mend = "Restore the key of this home, or remove what was sealed and set it up again."
            raise PermanentError("cannot_unseal", f"a sealed {purpose} does not open", mend) from error

    def _derived(self, purpose: str) -> bytes:
        """A key for `Fernet`, by HKDF from the private key."""
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

        path = self._directory / PRIVATE
        try:
            private = path.read_bytes()
        except OSError as error:
            raise ConfigError(path, None, "", "the signing key cannot be read", _NO_KEY) from error
        derived = HKDF(SHA256(), 32, salt=None, info=f"countersign {purpose}".encode()).derive(private)
        return base64.urlsafe_b64encode(derived)

    def open(self, envelope: dict[str, Any]) -> bytes:
        """Return the payload of an envelope signed by this home; raises `PermanentError` for any other."""
        return open_envelope(envelope, self._directory / PUBLIC)


def open_envelope(envelope: dict[str, Any], public_key: Path) -> bytes:
    """Return the payload of an envelope signed with the key in this file; raises `PermanentError` for any other."""
    from securesystemslib.dsse import Envelope  # noqa: PLC0415
    from securesystemslib.exceptions import Error  # noqa: PLC0415
    from securesystemslib.signer._key import SSlibKey  # noqa: PLC0415

    try:
        document = json.loads(public_key.read_text(encoding="utf-8"))
        key = SSlibKey.from_dict(document.pop("keyid"), document)
        signed = Envelope.from_dict(json.loads(json.dumps(envelope)))
        signed.verify([key], 1)
    except (OSError, AttributeError, KeyError, ValueError, TypeError, Error) as error:
        raise PermanentError(
            "bad_signature",
            f"the receipt's signature does not verify with {public_key.name}: {error}",
            "The receipt was changed, or another home signed it.",
        ) from error
    payload: bytes = signed.payload
    return payload
