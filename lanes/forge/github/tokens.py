"""Provides the token for a repository: the configured one, or a short-lived one of the app's installation."""

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
"""A token that expires sooner is renewed first, since a push may take long."""


class TokenProvider:
    """Tokens by repository; blocking and thread-safe, with one request for a token at a time.

    A repository is given as its path in the API: ``/repositories/ID``, or ``/repos/OWNER/NAME``.
    """

    def __init__(self, access: GitHubAccess, request_s: float) -> None:
        self._access, self._request_s = access, request_s
        self._lock = threading.Lock()
        self._installations: dict[str, int] = {}
        self._cached: dict[int, tuple[str, datetime]] = {}

    def token_for(self, path: str | None, refused: str | None = None) -> str:
        """The token for a repository (None: for the app's only installation).

        `refused` is a token that GitHub has just refused: an app's token is replaced; for a configured token, raises
        `PermanentError`.
        """
        if self._access.token is not None:
            if refused is not None:
                mend = advise(
                    "Give a new token; then ", Suggestion(CommandName.RETRY), ".", otherwise="Give a new token."
                )
                raise PermanentError("github_token_refused", "GitHub does not accept our token", mend)
            return self._access.token
        try:
            return self._installation_token(path, refused)
        except (PyJWTError, UnicodeError) as error:
            message = "The app's private key cannot be used"
            hint = "Give the private key that GitHub created for the app, in PEM."
            raise PermanentError("github_app_key", message, hint) from error

    def _installation_token(self, path: str | None, refused: str | None) -> str:
        with self._lock, self._integration() as integration:
            if refused is not None:  # the app may have been removed and installed again
                self._installations.clear()
            installation = self._installation(integration, path)
            token, expires_at = self._cached.get(installation, ("", datetime.min.replace(tzinfo=UTC)))
            if token in ("", refused) or expires_at - _MARGIN <= datetime.now(UTC):
                access = integration.get_access_token(installation)
                token = access.token
                self._cached[installation] = (token, access.expires_at)
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
                ids = [installation.id for installation in integration.get_installations()]
                if len(ids) != 1:
                    message = f"The app has {len(ids)} installations, and none was selected"
                    raise PermanentError("which_installation", message, "Install it once, or name a repository.")
                self._installations[key] = ids[0]
            else:
                _, answer = integration.requester.requestJsonAndCheck("GET", f"{path}/installation")
                self._installations[key] = int(answer["id"])
        return self._installations[key]
