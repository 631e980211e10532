"""Checks the addresses of remote repositories and determines their protocol."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from core.model.errors import Kind, PermanentError

_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_SCP = re.compile(rf"(?:[A-Za-z0-9._][A-Za-z0-9._-]*@)?{_HOST}:(?!:)(?P<path>[^-:\s][^\s]*)")
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Address:
    """A checked remote address: the URL for git, its only protocol, and the folder if it is on this host."""

    url: str
    protocol: str
    path: Path | None = None


def parse_address(url: str) -> Address:
    """The checked address `url`; raises `PermanentError` for anything but https, ssh or a local folder.

    git also accepts ``ext::command``, options in host names and relative paths, which are refused here.
    """
    if not url or url.startswith("-") or any(ord(c) < 33 and c != " " for c in url) or "\x7f" in url:
        raise _refused(url, "it is empty, begins with a dash or has control characters")
    if _is_local(url):
        return Address(url, "file", Path(url))
    scheme, separator, _ = url.partition("://")
    if separator:
        return _from_url(url, scheme.lower())
    if os.name == "nt" and url[1:3] in (":\\", ":/"):
        return Address(url, "file", Path(url))
    if "::" not in url and _SCP.fullmatch(url):
        return Address(url, "ssh")
    raise _refused(url, "it is neither https://, ssh://, user@host:path nor an absolute path")


def _from_url(url: str, scheme: str) -> Address:
    try:
        parts = urlsplit(url)
        host, password = parts.hostname or "", parts.password
        _ = parts.port
    except ValueError as error:
        raise _refused("", "it cannot be read as an address") from error
    if password is not None:
        raise _refused("", "it has a password in it; give the secret by environment or file")
    if any(c.isspace() for c in url):
        raise _refused(url, "it has a space")
    if scheme == "file":
        if host not in ("", "localhost") or not parts.path.startswith("/"):
            raise _refused(url, "a file:// address names an absolute path on this host")
        return Address(url, "file", Path(unquote(parts.path)))
    if not re.fullmatch(_HOST, host) and host not in _LOOPBACK:
        raise _refused(url, "its host name is not valid")
    if scheme == "http" and host not in _LOOPBACK:
        raise _refused(url, "plain http is allowed for this host only")
    if scheme not in ("https", "http", "ssh"):
        raise _refused(url, f"{scheme}:// is not allowed")
    if scheme == "ssh" and (parts.username or "").startswith("-"):
        raise _refused(url, "its user name begins with a dash")
    return Address(url, scheme)


def _is_local(url: str) -> bool:
    return url.startswith("/")


def _refused(url: str, reason: str) -> PermanentError:
    subject = f"The repository address {url[:200]!r}" if url else "A repository address"
    mend = "Give an https:// or ssh:// address, or the absolute path of a git repository."
    return PermanentError("bad_address", f"{subject} is refused: {reason}", mend, kind=Kind.USAGE)
