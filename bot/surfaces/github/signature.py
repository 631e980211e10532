"""Who sent a delivery: GitHub signs the raw bytes of each with the webhook's secret."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

HEADER: Final = "x-hub-signature-256"
_FORM: Final = re.compile(r"sha256=([0-9a-f]{64})", re.ASCII)


def has_form(header: str | None) -> bool:
    """Whether a header could be a signature; a cheap check before the body is read."""
    return header is not None and _FORM.fullmatch(header) is not None


def is_signed(body: bytes, header: str | None, secret: bytes) -> bool:
    """Whether `header` is ``sha256=`` and the lower-case HMAC of exactly these bytes; compares in constant time.

    The older SHA-1 header is ignored. Source: GitHub, "Validating webhook deliveries".
    """
    match = _FORM.fullmatch(header or "")
    if match is None or not secret:
        return False
    return hmac.compare_digest(hmac.digest(secret, body, hashlib.sha256).hex(), match[1])
