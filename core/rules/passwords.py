"""Hashes of passwords: argon2id (RFC 9106). This is the only module that imports `argon2`."""

from __future__ import annotations

import secrets
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from core.model.errors import UsageError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MIN_CHARACTERS: Final = 12
MAX_CHARACTERS: Final = 200
_TIME, _MEMORY_KIB, _LANES = 2, 19 * 1024, 1
"""OWASP's first choice for argon2id: 19 MiB, two passes
(https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html)."""


def check_password(password: str, person: str) -> str:
    """Return a password that may be set for `person`; raises `UsageError` otherwise."""
    mend = f"Use {MIN_CHARACTERS} to {MAX_CHARACTERS} characters, such as four words that do not belong together."
    if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
        raise UsageError("bad_password", "the password is too short or too long", mend)
    if person.lower() in password.lower() or len(set(password)) < 5:
        raise UsageError("bad_password", "the password is easy to guess", mend)
    return password


def hash_password(password: str) -> str:
    """The hash of a password with its parameters and its salt, in PHC form. It takes about 20 ms and 19 MiB."""
    return _hasher().hash(password)


def verify_password(stored: str | None, password: str) -> bool:
    """Whether `password` has the `stored` hash; without one it is False after as long a computation."""
    from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415 (slow to import)

    try:
        _hasher().verify(stored or _unknown(), password[:MAX_CHARACTERS])
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None and len(password) <= MAX_CHARACTERS


def is_outdated(stored: str) -> bool:
    """Whether a hash was made with other parameters than new ones are."""
    return _hasher().check_needs_rehash(stored)


@lru_cache(maxsize=1)
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # noqa: PLC0415 (slow to import)

    return PasswordHasher(time_cost=_TIME, memory_cost=_MEMORY_KIB, parallelism=_LANES)


@lru_cache(maxsize=1)
def _unknown() -> str:
    """A hash that no password has, to compare with where there is no account."""
    return _hasher().hash(secrets.token_urlsafe(32))
