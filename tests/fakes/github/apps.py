"""Routes of GitHub Apps: a signed token of the app buys a short-lived one of an installation."""

from __future__ import annotations

import functools
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.fakes.github.basics import when
from tests.fakes.github.rest import ApiError, Reply, Request, Routes, paged
from tests.fakes.github.state import App, Token, now

if TYPE_CHECKING:
    from tests.fakes.github.server import FakeGitHub

ROUTES = Routes()


@functools.cache
def keys() -> tuple[str, str]:
    """A key pair of an app, public and private, in PEM; one a process, for they are slow to make."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    secret = private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return private.public_key().public_bytes(serialization.Encoding.PEM, spki).decode(), secret


def app_of(hub: FakeGitHub, text: str) -> App:
    """The app that signed this token, RS256 and at most ten minutes long; raises the 401 otherwise."""
    import jwt

    try:
        claimed = jwt.decode(text, options={"verify_signature": False})
        app = hub.apps[int(claimed["iss"])]
        claims: dict[str, Any] = jwt.decode(text, app.public_key, algorithms=["RS256"], options={"verify_iat": False})
    except (jwt.PyJWTError, KeyError, ValueError) as error:
        raise ApiError(401, "A JSON web token could not be decoded") from error
    if claims["exp"] - claims["iat"] > 660 or claims["exp"] > now().timestamp() + 660:
        raise ApiError(401, "'Expiration time' claim ('exp') is too far in the future")
    return app


def _app(request: Request) -> App:
    if request.app is None:
        raise ApiError(401, "A JSON web token could not be decoded")
    return request.app


@ROUTES.at("GET", "/app")
def get_app(hub: FakeGitHub, request: Request) -> Reply:
    """The app itself."""
    app = _app(request)
    return Reply(200, {**hub.shapes.app(app.id), "installations_count": len(app.installations)})


@ROUTES.at("GET", "/app/installations")
def list_installations(hub: FakeGitHub, request: Request) -> Reply:
    """Where the app is installed."""
    app = _app(request)
    return paged(request, [hub.shapes.installation(app, number) for number in app.installations])


@ROUTES.at("GET", "/app/installations/{installation_id}")
def get_installation(hub: FakeGitHub, request: Request) -> Reply:
    """One installation."""
    app, number = _app(request), int(request.params["installation_id"])
    if number not in app.installations:
        raise ApiError(404, "Not Found")
    return Reply(200, hub.shapes.installation(app, number))


@ROUTES.at("POST", "/app/installations/{installation_id}/access_tokens")
def create_token(hub: FakeGitHub, request: Request) -> Reply:
    """A token of the installation, for an hour."""
    app, number = _app(request), int(request.params["installation_id"])
    if number not in app.installations:
        raise ApiError(404, "Not Found")
    text = f"ghs_{secrets.token_hex(18)}"
    ends = now() + timedelta(seconds=hub.token_life_s)
    hub.tokens[text] = Token(f"{app.slug}[bot]", ends, number)
    may = {"contents": "write", "metadata": "read", "pull_requests": "write", "statuses": "write"}
    return Reply(201, {"token": text, "expires_at": when(ends), "permissions": may, "repository_selection": "all"})


@ROUTES.at("GET", "/repos/{owner}/{repo}/installation")
def repo_installation(hub: FakeGitHub, request: Request) -> Reply:
    """The app's installation that reaches a repository."""
    app = _app(request)
    repo = hub.repo(f"{request.params['owner']}/{request.params['repo']}")
    for number, owner in app.installations.items():
        if owner.lower() == repo.owner.lower():
            return Reply(200, hub.shapes.installation(app, number))
    raise ApiError(404, "Not Found")


@ROUTES.at("GET", "/installation/repositories")
def installation_repositories(hub: FakeGitHub, request: Request) -> Reply:
    """What an installation's token reaches."""
    token = request.token
    if token is None or token.installation is None:
        raise ApiError(403, "You must authenticate with an installation access token in order to list repositories.")
    found = [hub.shapes.repo(repo) for repo in hub.by_id.values() if hub.may(token, repo, "read")]
    wrapped = {"total_count": len(found), "repository_selection": "all"}
    return paged(request, found, lambda part: {**wrapped, "repositories": part})
