"""The address of GitHub's API and the identity used there; works without PyGithub."""

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
    """Access by a `token`, or as an app by its `app_id` and `app_key` (PEM).

    `api_url` is ``https://HOST/api/v3`` on an Enterprise server. Raises `UsageError` unless exactly one identity is
    given, and for an address that is neither https nor on this host. `between_changes_s` is the pause between two
    changing requests that GitHub recommends
    (https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api).
    """

    api_url: str = "https://api.github.com"
    token: str | None = field(default=None, repr=False)
    app_id: int | None = None
    app_key: str | None = field(default=None, repr=False)
    between_changes_s: float = 1.0

    def __post_init__(self) -> None:
        """Check the identity and the address."""
        has_app = self.app_id is not None and bool(self.app_key)
        if bool(self.token) == has_app or has_app != (self.app_id is not None or bool(self.app_key)):
            raise UsageError("github_access", "GitHub needs a token, or the id and the key of an app", "Configure one.")
        try:
            parts = urlsplit(self.api_url)
            _ = parts.port
        except ValueError as error:
            raise UsageError(
                "github_access", "The address of GitHub's API is not a valid URL", "Correct it."
            ) from error
        if parts.username or parts.password or parts.query or parts.fragment or not parts.hostname:
            raise UsageError(
                "github_access", "The address of GitHub's API has a user, query or fragment", "Correct it."
            )
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise UsageError("github_access", "GitHub's API needs an https address", "Correct its address.")

    @property
    def host(self) -> str:
        """The host of the repositories, with its port if given: github.com for api.github.com."""
        return urlsplit(self.api_url).netloc.lower().removeprefix("api.")


def full_name_of(spec: RepositorySpec, access: GitHubAccess) -> str:
    """``owner/name`` of a repository, from its address; raises `PermanentError` if it is on another host.

    This check keeps a token from being sent to a foreign host.
    """
    try:
        scheme, host, path = _split_address(spec.url)
    except ValueError:
        scheme = host = path = ""
    name = path.strip("/").removesuffix(".git")
    own_host = access.host.partition(":")[0] if scheme == "ssh" else access.host
    if host != own_host or not _NAME.fullmatch(name) or name.endswith(("/.", "/..")):
        mend = f"Give an address such as https://{access.host}/OWNER/NAME.git."
        raise PermanentError("foreign_host", f"The repository {spec.name} is not at {access.host}", mend)
    return name


def _split_address(url: str) -> tuple[str, str, str]:
    """(scheme, host, path) of an address; the host includes the port, except for ssh."""
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
