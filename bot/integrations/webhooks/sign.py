"""Signs messages, so that a receiver can verify that they are from Countersign, unchanged and recent."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final

SIGNATURE = "X-Countersign-Signature-256"
TIMESTAMP = "X-Countersign-Timestamp"
DELIVERY = "X-Countersign-Delivery"
EVENT = "X-Countersign-Event"


def sign(secret: str, timestamp_s: int, body: bytes) -> str:
    """``sha256=`` and the HMAC-SHA256, in hex, of the timestamp in decimal, a dot, and the body's bytes."""
    if not secret:
        raise ValueError("the secret is empty")
    return f"sha256={hmac.new(secret.encode(), b'%d.%s' % (timestamp_s, body), hashlib.sha256).hexdigest()}"


STANDARD_ID: Final = "webhook-id"
STANDARD_TIMESTAMP: Final = "webhook-timestamp"
STANDARD_SIGNATURE: Final = "webhook-signature"
STANDARD_PREFIX: Final = "whsec_"
LEAST_KEY_BYTES: Final = 24
MOST_KEY_BYTES: Final = 64
"""Of a key after `STANDARD_PREFIX`: https://github.com/standard-webhooks/standard-webhooks, "Signature scheme"."""


def sign_standard(secret: str, delivery: str, timestamp_s: int, body: bytes) -> str:
    """``v1,`` and the HMAC-SHA256, in Base64, of id, dot, timestamp in decimal, dot and body (Standard Webhooks)."""
    signed = b"%s.%d.%s" % (delivery.encode(), timestamp_s, body)
    return f"v1,{base64.b64encode(hmac.new(standard_key(secret), signed, hashlib.sha256).digest()).decode()}"


def standard_key(secret: str) -> bytes:
    """The key of the Standard Webhooks scheme: what follows ``whsec_``, decoded, or the bytes of any other secret.

    Raises `ValueError` for a ``whsec_`` secret that is not Base64 of 24 to 64 bytes.
    """
    if not secret:
        raise ValueError("the secret is empty")
    if not secret.startswith(STANDARD_PREFIX):
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix(STANDARD_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("is not Base64 after whsec_") from error
    if not LEAST_KEY_BYTES <= len(key) <= MOST_KEY_BYTES:
        raise ValueError(f"has {len(key)} bytes after whsec_, not {LEAST_KEY_BYTES} to {MOST_KEY_BYTES}")
    return key
