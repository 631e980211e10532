"""The link that opens the setup page: random, for ten minutes, and used up by the form that it opens."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

LIFETIME_S: Final = 600.0


def _new_secret() -> str:
    return secrets.token_urlsafe(32)


@dataclass(slots=True)
class SetupLink:
    """One link; `clock` is monotonic, in seconds. Opening it changes nothing, so that previews do no harm."""

    clock: Callable[[], float]
    secret: str = field(default_factory=_new_secret, repr=False)
    _until_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._until_s = self.clock() + LIFETIME_S

    def renew(self) -> None:
        """Make another secret, valid for another `LIFETIME_S`; the earlier one is worthless."""
        self.secret = _new_secret()
        self._until_s = self.clock() + LIFETIME_S

    def end(self) -> None:
        """Let no secret be accepted any more."""
        self._until_s = float("-inf")

    def accepts(self, secret: str) -> bool:
        """Whether this is the secret of the link, and in time."""
        is_it = hmac.compare_digest(secret.encode("utf-8", "replace"), self.secret.encode())
        return is_it and self.clock() < self._until_s
