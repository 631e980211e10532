"""API tokens: what they may do, for whom, and how they are written."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from core.model.place import RepositoryScope
from core.model.turn import API, Actor

PREFIX: Final = "cst"
_ID_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"
_ID_LENGTH: Final = 12
_SECRET_BYTES: Final = 32
_WRITTEN: Final = re.compile(rf"{PREFIX}_(?P<id>[a-z2-9]{{{_ID_LENGTH}}})_(?P<secret>[A-Za-z0-9_-]{{43}})")


class TokenScope(StrEnum):
    """What a token may do; what its owner may do is a further limit."""

    READ = "read"
    REQUEST = "request"
    APPROVE = "approve"
    OPERATE = "operate"


@dataclass(frozen=True, slots=True)
class WrittenToken:
    """A token as its owner has it: the public id, by which it is looked up, and the secret."""

    id: str
    secret: str

    def __str__(self) -> str:
        return f"{PREFIX}_{self.id}_{self.secret}"

    @property
    def secret_sha256(self) -> str:
        """The hash that is stored; the secret has 256 random bits, so it needs no slow hash."""
        return hashlib.sha256(self.secret.encode()).hexdigest()

    @classmethod
    def parse(cls, text: str) -> WrittenToken | None:
        """The token that `text` is; None if it does not have the form of one."""
        match = _WRITTEN.fullmatch(text)
        return cls(match["id"], match["secret"]) if match else None


def new_token() -> WrittenToken:
    """A fresh random token."""
    return WrittenToken(
        "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH)), secrets.token_urlsafe(_SECRET_BYTES)
    )


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A stored token. Its owner is a `person`, or without one the operator of the home.

    `repositories` limits what it can see and do; others do not exist for it.
    """

    id: str
    name: str
    person: str | None
    scopes: frozenset[TokenScope]
    repositories: RepositoryScope
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def sees_everything(self) -> bool:
        """Whether it is for every repository."""
        return self.repositories.names is None

    def actor(self, person: str | None = None) -> Actor:
        """Who acts with it; the operator's token may name a `person`, as the operator may at the terminal."""
        owner = self.person or person
        return Actor(owner, API, is_operator=self.person is None and person is None, scope=self.repositories)

    def to_json(self) -> dict[str, Any]:
        """The row of ``tokens list --json``; nothing in it lets anyone use the token."""
        times = {"created_at": self.created_at, "expires_at": self.expires_at}
        times |= {"last_used_at": self.last_used_at, "revoked_at": self.revoked_at}
        return {
            "id": self.id,
            "name": self.name,
            "person": self.person,
            "scopes": [scope.value for scope in TokenScope if scope in self.scopes],
            "repositories": self.repositories.to_json(),
            **{name: at.isoformat() if at else None for name, at in times.items()},
        }
