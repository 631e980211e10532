"""Which site passkeys are bound to: the host by which the browser reached these pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from bot.web.settings import host_name
from bot.web.site.hosts import host_of, is_loopback
from core.model.errors import RefusedError
from core.model.passkey import RelyingParty

if TYPE_CHECKING:
    from starlette.requests import Request

_NUMERIC: Final = re.compile(r"[0-9.]+|\[.*\]")
"""Browsers make no passkeys for addresses without a name (https://www.w3.org/TR/webauthn-3/#rp-id)."""


def relying_party_of(request: Request) -> RelyingParty | None:
    """The site of a request; None if it was reached by a number, for which there are no passkeys."""
    host = host_of(request.scope)
    name = host_name(host)
    if _NUMERIC.fullmatch(name):
        return None
    return RelyingParty(name, f"{'http' if is_loopback(host) else 'https'}://{host}")


def needed_relying_party(request: Request) -> RelyingParty:
    """Like `relying_party_of`; raises `RefusedError` where there are no passkeys."""
    site = relying_party_of(request)
    if site is None:
        raise RefusedError("no_name", "browsers have no passkeys for an address that is a number", BY_NAME)
    return site


BY_NAME: Final = "Open these pages by a name: http://localhost with the same port, or the url of section web."
