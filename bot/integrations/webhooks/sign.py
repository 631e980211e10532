"""Signs messages, so that a receiver can verify that they are from Countersign, unchanged and recent."""

from __future__ import annotations

import hashlib
import hmac

SIGNATURE = "X-Countersign-Signature-256"
TIMESTAMP = "X-Countersign-Timestamp"
DELIVERY = "X-Countersign-Delivery"
EVENT = "X-Countersign-Event"


def sign(secret: str, timestamp_s: int, body: bytes) -> str:
    """``sha256=`` and the HMAC-SHA256, in hex, of the timestamp in decimal, a dot, and the body's bytes."""
    if not secret:
        raise ValueError("the secret is empty")
    return f"sha256={hmac.new(secret.encode(), b'%d.%s' % (timestamp_s, body), hashlib.sha256).hexdigest()}"
