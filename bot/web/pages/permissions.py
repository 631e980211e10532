"""Which forms are offered to a visitor; the service decides again when one is sent."""

from __future__ import annotations

from core.model.role import Role
from core.services.web_sessions import WebSession
from core.settings import Settings


def may_operate(settings: Settings, session: WebSession) -> bool:
    """Whether the visitor is a maintainer or the operator of the home."""
    known = settings.people.get(session.person or "")
    return session.is_operator or (known is not None and known.may(Role.OPERATOR))
