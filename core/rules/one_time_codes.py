"""Codes of authenticator apps (TOTP, RFC 6238), and recovery codes for those who lost the device.

This is the only module that imports `pyotp`. Secrets are sealed with a key that is derived from the home's signing key,
so a copy of the database alone has no second factor.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

STEP_S: Final = 30
SKEW_STEPS: Final = 1
"""How many steps a device's clock may be behind or ahead."""
DIGITS: Final = 6
RECOVERY_CODES: Final = 10
ISSUER: Final = "Countersign"
_ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Without I, O, 0 and 1, which people mistake."""
_RECOVERY_LENGTH: Final = 16


def new_secret() -> str:
    """A secret of 160 random bits in base32, as RFC 4226 recommends."""
    import pyotp  # noqa: PLC0415 (slow to import)

    return pyotp.random_base32(32)


def provisioning_address(secret: str, person: str, site: str) -> str:
    """What a QR code tells an authenticator app (https://github.com/google/google-authenticator/wiki/Key-Uri-Format)."""
    import pyotp  # noqa: PLC0415

    return pyotp.TOTP(secret, digits=DIGITS, interval=STEP_S).provisioning_uri(
        name=f"{person}@{site}", issuer_name=ISSUER
    )


def code_at(secret: str, step: int) -> str:
    """The code of a time step."""
    import pyotp  # noqa: PLC0415

    return pyotp.HOTP(secret, digits=DIGITS).at(step)


def step_of(secret: str, code: str, now_ms: int) -> int | None:
    """The time step whose code this is, at most `SKEW_STEPS` from now; None for any other text.

    Every step is compared, in constant time.
    """
    typed = code.replace(" ", "")
    if len(typed) != DIGITS or not (typed.isascii() and typed.isdecimal()):
        return None
    now = now_ms // 1000 // STEP_S
    around = range(now - SKEW_STEPS, now + SKEW_STEPS + 1)
    matching = [step for step in around if hmac.compare_digest(code_at(secret, step), typed)]
    return matching[-1] if matching else None


def new_recovery_codes() -> tuple[str, ...]:
    """Fresh recovery codes of 80 random bits, in groups of four."""
    codes = ("".join(secrets.choice(_ALPHABET) for _ in range(_RECOVERY_LENGTH)) for _ in range(RECOVERY_CODES))
    return tuple("-".join(code[at : at + 4] for at in range(0, _RECOVERY_LENGTH, 4)) for code in codes)


def hashed_recovery_code(person: str, code: str) -> str:
    """The hash under which a recovery code is stored; it has 80 random bits, so it needs no slow hash."""
    plain = "".join(letter for letter in code.upper() if letter in _ALPHABET)
    return hashlib.sha256(f"{person} {plain}".encode()).hexdigest()


def looks_like_recovery_code(text: str) -> bool:
    """Whether a typed text has the length of a recovery code rather than of a code of an app."""
    return sum(letter in _ALPHABET for letter in text.upper()) == _RECOVERY_LENGTH
