"""How GitHub is reached: where its interface is, and who we are there. Nothing here needs PyGithub."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from core.model.errors import PermanentError, UsageError
from core.ports.repository import RepositorySpec

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_SCP: Final = re.compile(r"(?:[\w.-]+@)?(?P<host>[\w.-]+):(?P<path>[^/].*)")
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?/[A-Za-z0-9._-]{1,100}")


@dataclass(frozen=True, slots=True)
class GitHubAccess:
    """Either a `token`, or an app: its `app_id` and `app_key` (PEM).

    `api_url` is ``https://HOST/api/v3`` on an Enterprise server. Raises `UsageError` for neither, for both, and for an
    address that is not https (this host's own apart). `between_changes_s` is the pause between two changing requests
    that GitHub asks for
    (https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api).
    """

    api_url: str = "https://api.github.com"
    token: str | None = field(default=None, repr=False)
    app_id: int | None = None
    app_key: str | None = field(default=None, repr=False)
    between_changes_s: float = 1.0

    def __post_init__(self) -> None:
        """Check that it names one way in."""
        has_app = self.app_id is not None and bool(self.app_key)
        if bool(self.token) == has_app or has_app != (self.app_id is not None or bool(self.app_key)):
            raise UsageError("github_access", "GitHub needs a token, or the id and the key of an app", "Give one.")
        try:
            parts = urlsplit(self.api_url)
            _ = parts.port
        except ValueError as error:
            raise UsageError(
                "github_access", "The address of GitHub's interface cannot be read", "Correct it."
            ) from error
        if parts.username or parts.password or parts.query or parts.fragment or not parts.hostname:
            raise UsageError("github_access", "The address of GitHub's interface is no plain address", "Correct it.")
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise UsageError("github_access", "GitHub's interface is reached by https only", "Correct its address.")

    @property
    def host(self) -> str:
        """The host, with its port if that is said, whose repositories this is for: github.com for api.github.com."""
        return urlsplit(self.api_url).netloc.lower().removeprefix("api.")


def full_name_of(spec: RepositorySpec, access: GitHubAccess) -> str:
    """``owner/name`` of a repository by its address; raises `PermanentError` when that is not at this GitHub.

    A token is never sent to a host that is not the one it is for.
    """
    try:
        scheme, host, path = _parted(spec.url)
    except ValueError:
        scheme = host = path = ""
    name = path.strip("/").removesuffix(".git")
    ours = access.host.partition(":")[0] if scheme == "ssh" else access.host
    if host != ours or not _NAME.fullmatch(name) or name.endswith(("/.", "/..")):
        mend = f"Give an address such as https://{access.host}/OWNER/NAME.git."
        raise PermanentError("foreign_host", f"The repository {spec.name} is not at {access.host}", mend)
    return name


def _parted(url: str) -> tuple[str, str, str]:
    """(scheme, host, path) of an address; the host has its port where that tells servers apart, so not for ssh."""
    if "://" not in url:
        match = _SCP.fullmatch(url)
        return ("ssh", match.group("host").lower(), match.group("path")) if match else ("", "", "")
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme == "ssh":
        return scheme, (parts.hostname or "").lower(), parts.path
    if scheme not in ("https", "http") or parts.query or parts.fragment:
        return "", "", ""
    return scheme, parts.netloc.rpartition("@")[2].lower(), parts.path
