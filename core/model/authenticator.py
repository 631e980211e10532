"""The authenticator app of a person: a device that shows a code for each half minute."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Authenticator:
    """A confirmed app; `locked_until` is when a code is accepted again, `codes_left` how many recovery codes are."""

    person: str
    created_at: datetime
    used_at: datetime | None
    locked_until: datetime | None
    codes_left: int

    def to_json(self) -> dict[str, Any]:
        """The row of ``authenticators list --json``."""
        return {
            "person": self.person,
            "created_at": self.created_at.isoformat(),
            "used_at": self.used_at.isoformat() if self.used_at else None,
            "locked_until": self.locked_until.isoformat() if self.locked_until else None,
            "recovery_codes_left": self.codes_left,
        }


@dataclass(frozen=True, slots=True)
class Enrolment:
    """An app that is being set up: the secret as text, and the address that its QR code holds."""

    secret: str
    address: str
