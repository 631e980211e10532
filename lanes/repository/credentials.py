"""How git is let into a private remote: a token asked for when it is needed, kept nowhere."""

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
    """Gives the token that opens a repository's https remote."""

    def __call__(self, spec: RepositorySpec, refused: str | None = None) -> str:
        """The token for `spec`; blocking.

        `refused` is the one that the remote just turned down: give another, or raise `PermanentError`.
        """


def admitted(
    credentials: Credentials | None, spec: RepositorySpec, protocol: str, work: Callable[[Mapping[str, str]], T]
) -> T:
    """The result of `work`, given the environment that lets git in; once more when the token was refused."""
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
    """Settings by environment, for an argument is on a command line that others read (security.md 88).

    The header goes to the remote's own host alone. Redirects are followed only where the credentials have checked the
    forge's number of the repository: an old name may belong to somebody else by now (security.md 71).
    """
    parts = urlsplit(spec.url)
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode("ascii")
    settings = {
        f"http.{parts.scheme}://{parts.netloc}/.extraHeader": f"Authorization: Basic {basic}",
        "http.followRedirects": "false" if spec.forge_id is None else "initial",
    }
    named = {"GIT_CONFIG_COUNT": str(len(settings))}
    for n, (key, value) in enumerate(settings.items()):
        named |= {f"GIT_CONFIG_KEY_{n}": key, f"GIT_CONFIG_VALUE_{n}": value}
    return named
