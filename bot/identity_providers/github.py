"""Signing in at GitHub: OAuth with PKCE, and the numeric id of the account (GitHub has no ID tokens for people).

https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.identity_providers.provider import FORM_FIELD, code_of, provider_client, read_json, refused
from bot.identity_providers.settings import ProviderSettings
from core.model.identity import GITHUB, ProvedIdentity
from core.services.provider_sign_ins import ProviderChallenge


class GitHubProvider:
    """GitHub, or a GitHub Enterprise Server. It asks for no scope; the token is used for one question and forgotten."""

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings

    async def address(self, challenge: ProviderChallenge, redirect_uri: str) -> str:
        """The address of GitHub's sign-in page."""
        async with provider_client(self._settings, redirect_uri) as client:
            url, _ = client.create_authorization_url(
                f"{self._settings.url}/login/oauth/authorize",
                state=challenge.state,
                code_verifier=challenge.verifier,
                allow_signup="false",
            )
            return str(url)

    async def identity(
        self, answer: Mapping[str, str], challenge: ProviderChallenge, redirect_uri: str
    ) -> ProvedIdentity:
        """The numeric id of the account, which stays the same when it is renamed."""
        settings = self._settings
        code = code_of(settings, answer)
        async with provider_client(settings, redirect_uri) as client:
            client.token_endpoint_auth_method = FORM_FIELD
            await client.fetch_token(
                f"{settings.url}/login/oauth/access_token",
                grant_type="authorization_code",
                code=code,
                redirect_uri=redirect_uri,
                code_verifier=challenge.verifier,
            )
            account = await read_json(settings, client, f"{settings.api_url}/user")
        number = account.get("id")
        if type(number) is not int or number <= 0 or account.get("type") != "User":
            raise refused(settings, "did not name the account of a person")
        return ProvedIdentity(GITHUB, str(number))
