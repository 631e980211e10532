"""Identities that a provider proves when a person signs in to the pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

OIDC: Final = "oidc"
"""The key in ``identities:`` of an account at an OpenID provider: ``ISSUER|SUB``."""
GITHUB: Final = "github"
"""The key of an account at GitHub, by its numeric id; the same as for comments there."""


@dataclass(frozen=True, slots=True)
class ProvedIdentity:
    """An account that its provider just vouched for: the key in ``identities:``, and the immutable id under it."""

    surface: str
    id: str
