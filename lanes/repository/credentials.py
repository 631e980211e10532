"""Gives git the token of a private remote through its environment; tokens are requested when needed and not stored."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Final, Protocol, TypeVar
from urllib.parse import urlsplit

from core.ports.repository import RepositorySpec
from lanes.repository.running import GitError

T = TypeVar("T")

_REFUSED: Final = re.compile(
    r"Authentication failed|could not read (?:Username|Password)|terminal prompts disabled|returned error: 401"
)


class Credentials(Protocol):
    """Provides the token of a repository's https remote."""

    def __call__(self, spec: RepositorySpec, refused: str | None = None) -> str:
        """The token for `spec`; blocking.

        `refused` is the token that the remote has just refused: return another one or raise `PermanentError`.
        """


def with_credentials(
    credentials: Credentials | None, spec: RepositorySpec, protocol: str, work: Callable[[Mapping[str, str]], T]
) -> T:
    """The result of `work`, called with the environment that holds the token; called again if the token was refused."""
    if credentials is None or protocol not in ("https", "http"):
        return work({})
    token = credentials(spec)
    try:
        return work(_environment(spec, token))
    except GitError as failure:
        if not _REFUSED.search(failure.err):
            raise
        return work(_environment(spec, credentials(spec, token)))


def _environment(spec: RepositorySpec, token: str) -> dict[str, str]:
    """git settings with the token, as environment variables: other users can read command lines (security.md 88).

    The header is sent to the remote's own host only. Redirects are followed only if the credentials have checked the
    forge's id of the repository, because an old name may now belong to another owner (security.md 71).
    """
    parts = urlsplit(spec.url)
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode("ascii")
    settings = {
        f"http.{parts.scheme}://{parts.netloc}/.extraHeader": f"Authorization: Basic {basic}",
        "http.followRedirects": "false" if spec.forge_id is None else "initial",
    }
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for n, (key, value) in enumerate(settings.items()):
        variables |= {f"GIT_CONFIG_KEY_{n}": key, f"GIT_CONFIG_VALUE_{n}": value}
    return variables
