"""The section ``web.sign_in`` of countersign.yaml: identity providers, and where their secrets come from."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from pydantic import Field

from bot.secret import secret
from core.strict_yaml import StrictModel, YamlDocument

GITHUB_URL: Final = "https://github.com"
GITHUB_API: Final = "https://api.github.com"
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


class RawProvider(StrictModel):
    """One provider under ``web.sign_in``."""

    kind: Literal["oidc", "github"]
    label: str | None = Field(default=None, min_length=1, max_length=40)
    client_id: str = Field(min_length=1, max_length=200)
    secret_env: str | None = None
    secret_file: str | None = None
    issuer: str | None = None
    url: str = GITHUB_URL
    api_url: str = GITHUB_API


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """A provider by its name in addresses; `secret` reads its client secret, and raises `ConfigError` without one.

    `issuer` is an OpenID provider's; `url` and `api_url` are GitHub's.
    """

    name: str
    kind: Literal["oidc", "github"]
    label: str
    client_id: str
    secret: Callable[[], str]
    issuer: str = ""
    url: str = GITHUB_URL
    api_url: str = GITHUB_API


def providers_of(
    document: YamlDocument, raw: Mapping[str, RawProvider], root: Path, github_api: str | None
) -> tuple[ProviderSettings, ...]:
    """The providers; raises `ConfigError`. `github_api` is where section ``github:`` reaches GitHub, if it exists.

    Identities at GitHub are numbers, which mean other people at another GitHub, so all parts must mean the same one.
    """
    for name, one in raw.items():
        at = ("web", "sign_in", name)
        if not _NAME.fullmatch(name):
            raise document.error(at, "is not a plain name", "Use small letters, digits and '-'; it is in addresses.")
        if one.secret_env is not None and not _VARIABLE.fullmatch(one.secret_env):
            raise document.error((*at, "secret_env"), "is not the name of an environment variable", "Correct it.")
        if one.kind == "oidc":
            _check_oidc(document, name, one)
        else:
            github_api = _check_github(document, name, one, github_api)
    return tuple(_provider(document, name, one, root) for name, one in raw.items())


def _check_oidc(document: YamlDocument, name: str, raw: RawProvider) -> None:
    at = ("web", "sign_in", name, "issuer")
    if raw.issuer is None:
        raise document.error(at, "is missing", "Write the provider's issuer, such as https://accounts.example.org.")
    if not is_safe_url(raw.issuer) or "|" in raw.issuer or urlsplit(raw.issuer).query:
        mend = "Write it exactly as the provider does: https, without a query; http is accepted on this machine only."
        raise document.error(at, f"{raw.issuer!r} is not the address of an issuer", mend)


def _check_github(document: YamlDocument, name: str, raw: RawProvider, known: str | None) -> str:
    at, api = ("web", "sign_in", name), raw.api_url.rstrip("/")
    if raw.issuer is not None:
        raise document.error((*at, "issuer"), "is for kind: oidc", "Delete it; GitHub has `url` and `api_url`.")
    if not (is_safe_url(raw.url) and is_safe_url(api)):
        raise document.error(at, "has an address that is not https", "Write https addresses in `url` and `api_url`.")
    if known is not None and known.rstrip("/") != api:
        mend = f"Identities at GitHub are numbers of one GitHub. Write api_url: {known}"
        raise document.error((*at, "api_url"), "is another GitHub than the rest of the configuration uses", mend)
    return api


def is_safe_url(url: str) -> bool:
    """Whether an address is https, or plain http on this machine, and carries no name, password or fragment."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or "@" in parts.netloc or parts.fragment or not url.isascii() or any(c in url for c in " <>\"'\\"):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)


def _provider(document: YamlDocument, name: str, raw: RawProvider, root: Path) -> ProviderSettings:
    label = raw.label or ("GitHub" if raw.kind == "github" else name)
    read = partial(_secret, document, name, raw, root)
    urls = {"issuer": raw.issuer or "", "url": raw.url.rstrip("/"), "api_url": raw.api_url.rstrip("/")}
    return ProviderSettings(name, raw.kind, label, raw.client_id, read, **urls)


def secret_variable(name: str) -> str:
    """The environment variable of the client secret of the provider `name`."""
    return f"COUNTERSIGN_SIGN_IN_{re.sub(r'[^A-Z0-9]', '_', name.upper())}_SECRET"


def _secret(document: YamlDocument, name: str, raw: RawProvider, root: Path) -> str:
    variable = raw.secret_env or secret_variable(name)
    found = secret(variable, raw.secret_file, root)
    if found is None:
        mend = f"Set {variable}, or name a secret_file."
        raise document.error(("web", "sign_in", name), "has no client secret", mend)
    return found
