"""The token for a repository: the one we were given, or a short-lived one that our app buys for its installation."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Final

from github import Auth, GithubIntegration
from jwt import PyJWTError  # PyGithub signs with it

from core.model.advice import CommandName, Suggestion, advise
from core.model.errors import PermanentError
from lanes.forge.github.access import GitHubAccess

_MARGIN: Final = timedelta(minutes=5)
"""A token that ends sooner is not begun with: a push may take a while."""


class Tokens:
    """Tokens by repository; blocking, from any thread, and one is bought at a time.

    A repository is named by its path in the interface: ``/repositories/ID``, or ``/repos/OWNER/NAME``.
    """

    def __init__(self, access: GitHubAccess, request_s: float) -> None:
        self._access, self._request_s = access, request_s
        self._lock = threading.Lock()
        self._installations: dict[str, int] = {}
        self._bought: dict[int, tuple[str, datetime]] = {}

    def of(self, path: str | None, refused: str | None = None) -> str:
        """The token for a repository (None: for the app's only installation).

        `refused` is one that GitHub just turned down: a bought one is bought anew, a given one is `PermanentError`.
        """
        if self._access.token is not None:
            if refused is not None:
                mend = advise(
                    "Give a new token; then ", Suggestion(CommandName.RETRY), ".", otherwise="Give a new token."
                )
                raise PermanentError("github_token_refused", "GitHub does not take our token", mend)
            return self._access.token
        try:
            return self._bought_for(path, refused)
        except (PyJWTError, UnicodeError) as error:
            key = "Give the private key that GitHub made for the app, in PEM."
            raise PermanentError("github_app_key", "The app's private key cannot be used", key) from error

    def _bought_for(self, path: str | None, refused: str | None) -> str:
        with self._lock, self._integration() as integration:
            if refused is not None:  # the app may have been taken away and installed again
                self._installations.clear()
            installation = self._installation(integration, path)
            token, ends = self._bought.get(installation, ("", datetime.min.replace(tzinfo=UTC)))
            if token in ("", refused) or ends - _MARGIN <= datetime.now(UTC):
                bought = integration.get_access_token(installation)
                token = bought.token
                self._bought[installation] = (token, bought.expires_at)
            return token

    def _integration(self) -> GithubIntegration:
        assert self._access.app_id is not None
        assert self._access.app_key is not None
        return GithubIntegration(
            auth=Auth.AppAuth(self._access.app_id, self._access.app_key),
            base_url=self._access.api_url,
            timeout=max(1, round(self._request_s)),
            user_agent="countersign",
            retry=None,
            seconds_between_requests=0,
            seconds_between_writes=0,
        )

    def _installation(self, integration: GithubIntegration, path: str | None) -> int:
        key = (path or "").lower()
        if key not in self._installations:
            if path is None:
                every = [installation.id for installation in integration.get_installations()]
                if len(every) != 1:
                    said = f"The app has {len(every)} installations, and it was not said which is meant"
                    raise PermanentError("which_installation", said, "Install it once, or ask about a repository.")
                self._installations[key] = every[0]
            else:
                _, found = integration.requester.requestJsonAndCheck("GET", f"{path}/installation")
                self._installations[key] = int(found["id"])
        return self._installations[key]
