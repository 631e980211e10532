"""The section ``web:`` of countersign.yaml: where the pages are reached."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from pydantic import Field

from bot.identity_providers.settings import RawProvider
from core.strict_yaml import StrictModel, YamlDocument

DEFAULT_PORT: Final = 8700
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
"""Hosts that reach this machine only, where plain http is safe."""
_HOST: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.IGNORECASE)


class RawWeb(StrictModel):
    """The section ``web:``."""

    url: str | None = None
    hosts: tuple[str, ...] = ()
    sign_in: dict[str, RawProvider] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Where the pages are reached. `url` is what links begin with, without a slash at its end, None if not configured.

    `hosts` are the values of a Host header that are accepted beside this machine's own.
    """

    url: str | None = None
    hosts: frozenset[str] = frozenset()

    def link(self, path: str, port: int = DEFAULT_PORT) -> str:
        """The address of a page; without a configured address it is on this machine."""
        return f"{self.url or f'http://127.0.0.1:{port}'}{path}"


def web_settings(document: YamlDocument, raw: RawWeb | None) -> WebSettings | None:
    """The settings of the pages, or None without the section; raises `ConfigError`."""
    if raw is None:
        return None
    for host in raw.hosts:
        if not _HOST.fullmatch(host):
            mend = "Write it as in an address: name or name:port."
            raise document.error(("web", "hosts"), f"{host!r} is not a host", mend)
    hosts = {host.lower() for host in raw.hosts}
    if raw.url is None:
        return WebSettings(None, frozenset(hosts))
    url = urlsplit(raw.url)
    is_plain = url.scheme in ("http", "https") and _HOST.fullmatch(url.netloc) and not (url.query or url.fragment)
    if not is_plain or url.path not in ("", "/"):
        mend = "Write the address of the pages without a path, such as https://countersign.example.org."
        raise document.error(("web", "url"), f"{raw.url!r} is not the address of a site", mend)
    if url.scheme == "http" and host_name(url.netloc) not in LOOPBACK:
        mend = "Serve the pages by https, through a proxy in front of Countersign: a cookie must not travel in clear."
        raise document.error(("web", "url"), "is not https", mend)
    return WebSettings(raw.url.rstrip("/"), frozenset(hosts | {url.netloc.lower()}))


def host_name(host: str) -> str:
    """The name in a Host header, without the port."""
    name, _, port = host.lower().rpartition(":")
    return name if name and port.isdecimal() else host.lower()
