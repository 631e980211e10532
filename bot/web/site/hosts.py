"""Which names a request may call this server by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.web.settings import LOOPBACK, WebSettings, host_name

if TYPE_CHECKING:
    from starlette.types import Scope


def host_of(scope: Scope) -> str:
    """The Host header, in lower case; empty if there is none or more than one."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    return hosts[0].decode("latin-1").lower() if len(hosts) == 1 else ""


def is_allowed(host: str, settings: WebSettings) -> bool:
    """Whether pages may be served under this Host header: this machine's own names, and configured ones.

    A browser that was led here by another name (DNS rebinding) sends that name.
    """
    return is_loopback(host) or host in settings.hosts


def is_loopback(host: str) -> bool:
    """Whether a Host header names this machine itself, which is reached without a network."""
    return host_name(host) in LOOPBACK
