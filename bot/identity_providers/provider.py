"""What every identity provider does, and the requests that all of them make."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

from core.log import fault_of, log
from core.model.errors import CountersignError, Kind, PermanentError, RefusedError
from core.model.identity import ProvedIdentity
from core.services.provider_sign_ins import ProviderChallenge

if TYPE_CHECKING:
    from authlib.integrations.httpx_client import AsyncOAuth2Client

    from bot.identity_providers.settings import ProviderSettings

WITHIN_S: Final = 15.0
MAX_BYTES: Final = 512 * 1024
"""The longest document that is read of a provider; keys and metadata have a few KiB."""
FORM_FIELD: Final = "client_secret_post"
"""How a client proves itself in a field of the form, which OAuth calls an authentication method."""
_TIMEOUT_S: Final = 10.0


class IdentityProvider(Protocol):
    """A place where people prove who they are, by OAuth's authorization code with PKCE."""

    async def address(self, challenge: ProviderChallenge, redirect_uri: str) -> str:
        """The address to send the browser to; raises `PermanentError` if the provider cannot be reached."""

    async def identity(
        self, answer: Mapping[str, str], challenge: ProviderChallenge, redirect_uri: str
    ) -> ProvedIdentity:
        """The identity that the provider's `answer` proves; raises `RefusedError` for any that proves none.

        `answer` are the parameters with which the browser came back.
        """


@asynccontextmanager
async def provider_client(
    settings: ProviderSettings, redirect_uri: str, **more: Any
) -> AsyncIterator[AsyncOAuth2Client]:
    """Authlib's client for one exchange: no redirects, no proxies of the environment, bounded in time.

    Whatever fails in the exchange is a `RefusedError`, or a `PermanentError` if the provider did not answer.
    """
    from authlib.common.errors import AuthlibBaseError
    from authlib.integrations.httpx_client import AsyncOAuth2Client
    from httpx2 import HTTPError, InvalidURL

    try:
        secret = settings.secret()
    except CountersignError as error:  # it names a file and a line, which are not for visitors
        log.error("sign_in_provider_has_no_secret", provider=settings.name, problem=error.problem.sentence())
        raise unavailable(settings) from error
    try:
        async with (
            asyncio.timeout(WITHIN_S),
            AsyncOAuth2Client(
                settings.client_id,
                secret,
                redirect_uri=redirect_uri,
                code_challenge_method="S256",
                timeout=_TIMEOUT_S,
                follow_redirects=False,
                trust_env=False,
                **more,
            ) as client,
        ):
            yield client
    except CountersignError:
        raise
    except AuthlibBaseError as error:  # its text is the provider's, so it is logged and not shown
        log.warning("sign_in_provider_refused", provider=settings.name, **fault_of(error))
        raise refused(settings, "did not accept this sign-in") from error
    except (HTTPError, InvalidURL, TimeoutError, ValueError, KeyError, TypeError) as error:
        log.warning("sign_in_provider_failed", provider=settings.name, **fault_of(error))
        raise unavailable(settings) from error


async def read_json(settings: ProviderSettings, client: AsyncOAuth2Client, url: str, **more: Any) -> dict[str, Any]:
    """The JSON object at `url`, at most `MAX_BYTES` long; raises `PermanentError`."""
    content = bytearray()
    async with client.stream("GET", url, headers={"accept": "application/json"}, **more) as response:
        if response.status_code != 200:
            raise unavailable(settings)
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > MAX_BYTES:
                raise unavailable(settings)
    document = json.loads(bytes(content))
    if not isinstance(document, dict):
        raise unavailable(settings)
    return document


def code_of(settings: ProviderSettings, answer: Mapping[str, str]) -> str:
    """The code in an answer; raises `RefusedError` for an answer that says why there is none."""
    if "error" in answer:
        cancelled = answer["error"] == "access_denied"
        raise refused(settings, "was told not to sign you in" if cancelled else "did not accept this sign-in")
    code = answer.get("code", "")
    if not 0 < len(code) <= 4096:
        raise refused(settings, "sent no code")
    return code


def refused(settings: ProviderSettings, message: str) -> RefusedError:
    """The error for an answer that proves no identity."""
    return RefusedError("provider_refused", f"{settings.label} {message}", "Try again, or sign in another way.")


def unavailable(settings: ProviderSettings) -> PermanentError:
    """The error for a provider that does not answer as it should."""
    mend = "Try again later, or sign in another way. The log of `countersign serve` has the details."
    return PermanentError(
        "provider_down", f"{settings.label} does not answer as it should", mend, kind=Kind.UNAVAILABLE
    )
