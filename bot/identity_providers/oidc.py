"""OpenID Connect by Authlib: discovery, the code flow with PKCE, and the checks of the ID token.

https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation says what is checked. RFC 9207 and
an address of its own for each provider's answers keep those of one from being taken for another's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from bot.identity_providers.provider import FORM_FIELD, code_of, provider_client, read_json, refused, unavailable
from bot.identity_providers.settings import ProviderSettings, is_safe_url
from core.model.identity import OIDC, ProvedIdentity
from core.services.provider_sign_ins import ProviderChallenge

if TYPE_CHECKING:
    from authlib.integrations.httpx_client import AsyncOAuth2Client
    from joserfc.jwk import KeySet

ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)
"""Signatures by a private key. `none` and signatures by a shared secret are never accepted."""
LEEWAY_S: Final = 60
METADATA_FRESH_S: Final = 3600.0
_MAX_SUBJECT: Final = 255


class OidcProvider:
    """One OpenID provider; its metadata is read again after an hour, its keys whenever one is missing."""

    def __init__(self, settings: ProviderSettings, clock: Callable[[], float] = time.time) -> None:
        self._settings, self._clock = settings, clock
        self._metadata: dict[str, Any] = {}
        self._read_at_s = -METADATA_FRESH_S

    async def address(self, challenge: ProviderChallenge, redirect_uri: str) -> str:
        """The address of the provider's sign-in page."""
        async with provider_client(self._settings, redirect_uri, scope="openid") as client:
            metadata = await self._discovered(client)
            url, _ = client.create_authorization_url(
                metadata["authorization_endpoint"],
                state=challenge.state,
                nonce=challenge.nonce,
                code_verifier=challenge.verifier,
            )
            return str(url)

    async def identity(
        self, answer: Mapping[str, str], challenge: ProviderChallenge, redirect_uri: str
    ) -> ProvedIdentity:
        """The identity in the ID token that the code is exchanged for."""
        settings = self._settings
        async with provider_client(settings, redirect_uri, scope="openid") as client:
            metadata = await self._discovered(client)
            self._check_issuer(answer, metadata)
            code = code_of(settings, answer)
            client.token_endpoint_auth_method = _auth_method(metadata)
            token = await client.fetch_token(
                metadata["token_endpoint"],
                grant_type="authorization_code",
                code=code,
                redirect_uri=redirect_uri,
                code_verifier=challenge.verifier,
            )
            keys = await self._keys(client, metadata)
        return ProvedIdentity(OIDC, f"{settings.issuer}|{self._subject(token.get('id_token'), keys, challenge.nonce)}")

    async def _discovered(self, client: AsyncOAuth2Client) -> dict[str, Any]:
        """The provider's metadata; raises `PermanentError` unless it is of this issuer and its addresses are safe."""
        settings = self._settings
        if self._clock() - self._read_at_s < METADATA_FRESH_S:
            return self._metadata
        address = settings.issuer.rstrip("/") + "/.well-known/openid-configuration"
        found = await read_json(settings, client, address, withhold_token=True)
        addresses = [found.get(key) for key in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
        if found.get("issuer") != settings.issuer or not all(isinstance(a, str) and is_safe_url(a) for a in addresses):
            raise unavailable(settings)
        self._metadata, self._read_at_s = found, self._clock()
        return found

    def _check_issuer(self, answer: Mapping[str, str], metadata: Mapping[str, Any]) -> None:
        """Raise `RefusedError` for an answer of another issuer (https://www.rfc-editor.org/rfc/rfc9207#section-2.4)."""
        is_promised = metadata.get("authorization_response_iss_parameter_supported") is True
        if ("iss" in answer or is_promised) and answer.get("iss") != self._settings.issuer:
            raise refused(self._settings, "did not send this answer; it comes from another provider")

    async def _keys(self, client: AsyncOAuth2Client, metadata: Mapping[str, Any]) -> KeySet:
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        document = await read_json(self._settings, client, metadata["jwks_uri"], withhold_token=True)
        usable = [key for key in document.get("keys", ()) if isinstance(key, dict) and key.get("kty") != "oct"]
        try:
            return KeySet.import_key_set({"keys": usable})
        except JoseError as error:
            raise unavailable(self._settings) from error

    def _subject(self, id_token: object, keys: KeySet, nonce: str) -> str:
        """The subject of a valid ID token for this client, this issuer and this nonce; raises `RefusedError`."""
        from authlib.oidc.core import CodeIDToken
        from joserfc import jwt
        from joserfc.errors import JoseError

        settings = self._settings
        if not isinstance(id_token, str):
            raise refused(settings, "sent no ID token")
        try:
            decoded = jwt.decode(id_token, keys, algorithms=ALGORITHMS)
            required = {
                "iss": {"essential": True, "value": settings.issuer},
                "aud": {"essential": True, "value": settings.client_id},
                "nonce": {"essential": True, "value": nonce},
            }
            params = {"nonce": nonce, "client_id": settings.client_id}
            claims = CodeIDToken(decoded.claims, decoded.header, options=required, params=params)
            claims.validate(now=int(self._clock()), leeway=LEEWAY_S)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise refused(settings, "sent an ID token that is not valid for this sign-in") from error
        subject = claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= _MAX_SUBJECT or not subject.isprintable():
            raise refused(settings, "sent an ID token without a usable subject")
        return subject


def _auth_method(metadata: Mapping[str, Any]) -> str:
    """How the client proves itself: as the standard's default says, unless the provider only takes a form field."""
    offered = metadata.get("token_endpoint_auth_methods_supported")
    is_form = isinstance(offered, list) and "client_secret_basic" not in offered and FORM_FIELD in offered
    return FORM_FIELD if is_form else "client_secret_basic"
