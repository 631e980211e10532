"""The cookie that binds a sign-in at a provider to the browser that began it.

It is SameSite=Lax, because the browser comes back from another site; it lasts ten minutes and signs no one in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bot.web.site.hosts import host_of, is_loopback
from bot.web.site.session import cookie_name, cookie_value
from core.services.provider_sign_ins import LIFETIME_S

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_SUFFIX: Final = "-sign-in"


def bound_browser(request: Request) -> str | None:
    """The value of the cookie, or None."""
    return cookie_value(request, cookie_name(request) + _SUFFIX)


def bind_browser(request: Request, response: Response, value: str) -> None:
    """Set the cookie; an empty `value` removes it."""
    response.set_cookie(
        cookie_name(request) + _SUFFIX,
        value,
        max_age=LIFETIME_S if value else 0,
        path="/",
        secure=not is_loopback(host_of(request.scope)),
        httponly=True,
        samesite="lax",
    )
