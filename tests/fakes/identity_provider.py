"""An OpenID provider and GitHub's sign-in for tests: strict as the standards are, and able to answer as attackers do.

It signs with real keys, checks the client's secret, the redirect address and PKCE, and takes each code once. `claims`
change what its ID tokens say, `token` how they are signed.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.canary import seen

CLIENT, SECRET = "countersign", "the client's secret"
SUBJECT = "248289761001"
Token = Callable[[dict[str, Any]], str]


@dataclass
class FakeProvider:
    """One provider at `url`, for one client; `account` is who signs in there."""

    url: str = ""
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "one", "use": "sig"}))
    subject: str = SUBJECT
    account: dict[str, Any] = field(default_factory=lambda: {"id": 9103, "type": "User", "login": "lee"})
    metadata: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    token: Token | None = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    redirect: str = ""

    def authorize(self, address: str) -> dict[str, str]:
        """What a browser that was sent to `address` brings back, after its user agreed; the address is checked."""
        parts = urlsplit(address)
        query = dict(parse_qsl(parts.query, strict_parsing=True))
        is_github = parts.path == "/login/oauth/authorize"
        needed = {"response_type", "client_id", "redirect_uri", "state", "code_challenge", "code_challenge_method"}
        assert needed <= query.keys(), query
        assert (query["response_type"], query["client_id"]) == ("code", CLIENT)
        assert query["code_challenge_method"] == "S256"
        assert len(query["code_challenge"]) == 43
        assert is_github or ("openid" in query["scope"].split() and len(query["nonce"]) >= 20), query
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        return {"code": code, "state": query["state"], **({} if is_github else {"iss": self.url})}

    def signed(self, claims: Mapping[str, Any], alg: str = "ES256", key: Any = None) -> str:
        """An ID token with these claims."""
        chosen = key or self.key
        header = {"alg": alg, **({"kid": chosen.kid} if chosen.kid else {})}
        return jwt.encode(header, dict(claims), chosen, algorithms=[alg])

    def unsigned(self, claims: Mapping[str, Any]) -> str:
        """An ID token with the algorithm ``none``."""
        parts = [{"alg": "none", "typ": "JWT"}, dict(claims)]
        return ".".join(_encoded(json.dumps(part).encode()) for part in parts) + "."

    def signed_with_public_key(self, claims: Mapping[str, Any]) -> str:
        """An ID token whose HMAC key is the provider's public key, in PEM: what RS/HS confusion would accept."""
        header = {"alg": "HS256", "typ": "JWT", "kid": "one"}
        body = ".".join(_encoded(json.dumps(part).encode()) for part in (header, dict(claims)))
        mac = hmac.new(self.key.as_pem(private=False), body.encode(), hashlib.sha256).digest()
        return f"{body}.{_encoded(mac)}"

    async def configuration(self, _request: Request) -> Response:
        """The discovery document, or where it is said to be."""
        if self.redirect:
            return RedirectResponse(self.redirect)
        return JSONResponse(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
                "authorization_response_iss_parameter_supported": True,
                **self.metadata,
            }
        )

    async def keys(self, _request: Request) -> Response:
        """The public keys."""
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    async def exchange(self, request: Request) -> Response:
        """A token for a code, to the client that proves itself and the verifier of the challenge."""
        body = await request.body()
        seen("the identity provider", body)
        form = dict(parse_qsl(body.decode(), strict_parsing=True))
        if (why := self._objection(request, form)) is not None:
            self.refusals.append(why)
            is_github = request.url.path.startswith("/login/")  # GitHub says so with status 200
            return JSONResponse({"error": why, "error_description": "<b>no</b>"}, 200 if is_github else 400)
        asked = self.codes.pop(form["code"])
        now = int(time.time())
        claims = {"iss": self.url, "sub": self.subject, "aud": CLIENT, "iat": now, "exp": now + 300}
        claims |= {"nonce": asked.get("nonce", ""), **self.claims}
        claims = {name: value for name, value in claims.items() if value is not None}
        answer = {"access_token": "opaque", "token_type": "Bearer", "expires_in": 300}
        if request.url.path == "/token":
            answer["id_token"] = (self.token or self.signed)(claims)
        return JSONResponse(answer)

    def _objection(self, request: Request, form: Mapping[str, str]) -> str | None:
        header = request.headers.get("authorization", "")
        user, _, password = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
        pair = (unquote(user), unquote(password)) if header else (form.get("client_id"), form.get("client_secret"))
        if pair != (CLIENT, SECRET):
            return "invalid_client"
        asked = self.codes.get(form.get("code", ""))
        if asked is None or form.get("grant_type") != "authorization_code":
            return "invalid_grant"
        challenge = _encoded(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        is_same = (challenge, form.get("redirect_uri")) == (asked["code_challenge"], asked["redirect_uri"])
        return None if is_same else "invalid_grant"

    async def user(self, request: Request) -> Response:
        """GitHub's answer to who the token's owner is."""
        if request.headers.get("authorization") != "Bearer opaque":
            return JSONResponse({"message": "Bad credentials"}, 401)
        return JSONResponse(self.account)


def callback(address: str, answer: Mapping[str, str]) -> str:
    """The path and query with which the browser comes back from `address`."""
    redirect = dict(parse_qsl(urlsplit(address).query))["redirect_uri"]
    return f"{urlsplit(redirect).path}?{urlencode(answer)}"


def _encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


@asynccontextmanager
async def serve_provider() -> AsyncIterator[FakeProvider]:
    """A provider on a free port of this host."""
    provider = FakeProvider()
    routes = [
        Route("/.well-known/openid-configuration", provider.configuration),
        Route("/keys", provider.keys),
        Route("/token", provider.exchange, methods=["POST"]),
        Route("/login/oauth/access_token", provider.exchange, methods=["POST"]),
        Route("/api/user", provider.user),
    ]
    config = uvicorn.Config(Starlette(routes=routes), host="127.0.0.1", port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    listening = config.bind_socket()
    provider.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    running = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield provider
    finally:
        server.should_exit = True
        await running
