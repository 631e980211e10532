"""Forms count only if our own page sent them: the Origin header and a token of the session must both say so."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from bot.web.body import BodyError, read_body
from bot.web.site.hosts import host_of, is_loopback
from core.model.errors import RefusedError

if TYPE_CHECKING:
    from starlette.requests import Request

FIELD: Final = "csrf"
MAX_BYTES: Final = 256 * 1024
"""A reply may have 64 KiB of text, each byte of which may take three characters in a form."""
MAX_FIELDS: Final = 50
MAX_TICKS: Final = 5_000
"""Fields of a form with checkboxes."""
_WITHIN_S: Final = 20.0
_FORM: Final = "application/x-www-form-urlencoded"


def token_of(cookie: str) -> str:
    """The token of the forms in a session, which only its own pages contain."""
    return hmac.new(cookie.encode("utf-8", "replace"), b"countersign forms", hashlib.sha256).hexdigest()


def check_origin(request: Request) -> None:
    """Raise `RefusedError` unless the browser says that one of our pages sent the form (security.md 126)."""
    host, origin = host_of(request.scope), request.headers.get("origin")
    allowed = {f"https://{host}", f"http://{host}"} if is_loopback(host) else {f"https://{host}"}
    is_same_site = request.headers.get("sec-fetch-site") == "same-origin"
    if not (is_same_site if origin is None else origin.lower() in allowed):
        raise RefusedError("other_origin", "this form was not sent by a page of Countersign", "Open the page again.")


async def read_form(request: Request, many: str = "") -> dict[str, str]:
    """The fields of a form after `check_origin`; of a field that is sent twice, the last.

    The values of the field `many` are joined by spaces. Raises `BodyError` for a body that is not such a form.
    """
    check_origin(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise BodyError(415, "not_a_form", f"Send the form as {_FORM}.")
    body = await read_body(request, MAX_BYTES, _WITHIN_S)
    try:
        limit = MAX_TICKS if many else MAX_FIELDS
        fields = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=limit)
    except ValueError as error:  # not UTF-8, or too many fields
        raise BodyError(400, "bad_form", "The form cannot be read.") from error
    form = dict(fields)
    return form | ({many: " ".join(value for name, value in fields if name == many)} if many else {})


async def read_own_form(request: Request, cookie: str, many: str = "") -> dict[str, str]:
    """Like `read_form`, and raises `RefusedError` unless the form has the session's token."""
    form = await read_form(request, many)
    if not hmac.compare_digest(form.pop(FIELD, "").encode(), token_of(cookie).encode()):
        raise RefusedError("other_form", "this form is not from your session", "Open the page again.")
    return form
