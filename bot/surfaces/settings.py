"""The surface sections of countersign.yaml, and the secrets that belong to them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from bot.secret import secret
from bot.surfaces.port import GitHubSurfaceConfig, SlackConfig, TelegramConfig
from core.model.identity import OIDC
from core.strict_yaml import KeyPath, StrictModel, YamlDocument
from lanes.forge.github.access import GitHubAccess

IDENTITIES: Final = {
    "terminal": re.compile(r".+"),
    "telegram": re.compile(r"[1-9][0-9]{0,15}"),
    "slack": re.compile(r"[TE][A-Z0-9]{2,20}/[UW][A-Z0-9]{2,20}"),
    "github": re.compile(r"[1-9][0-9]{0,15}"),
    OIDC: re.compile(r"https?://[!-{}~]+\|[!-~]{1,255}"),
}
"""The format of an identity on each surface, and at OpenID providers, where people sign in to the pages.

It is the platform's immutable id, never a name or an e-mail address, which can be reassigned.
"""

_ID_HINTS: Final = {
    "telegram": "the numeric user id (the bot says it when you write /link)",
    "slack": "TEAM/USER, such as T0AB12CD/U0EF34GH",
    "github": "the numeric user id (in https://api.github.com/users/LOGIN)",
    OIDC: "ISSUER|SUB, such as https://accounts.example.org|248289761001",
}

SHARED_IDS: Final = {"telegram": frozenset({"1087968824", "136817688", "777000"})}
"""Ids that many people share: Telegram's anonymous admin, channel posts and service messages (security.md 2, 4)."""


class RawChat(StrictModel):
    """A chat or channel that Countersign listens to."""

    repositories: tuple[str, ...] = ()


class RawWebhook(StrictModel):
    """Telegram's webhook mode instead of polling."""

    url: str = Field(pattern=r"^https://")
    secret_file: str | None = None


class RawTelegram(StrictModel):
    """The section ``telegram:``."""

    token_file: str | None = None
    chats: dict[str, RawChat] = Field(default_factory=dict)
    webhook: RawWebhook | None = None
    base_url: str = "https://api.telegram.org"


class RawSlack(StrictModel):
    """The section ``slack:``."""

    team: str = Field(pattern=r"^T[A-Z0-9]+$")
    bot_token_file: str | None = None
    app_token_file: str | None = None
    signing_secret_file: str | None = None
    channels: dict[str, RawChat] = Field(default_factory=dict)
    base_url: str = "https://slack.com/api/"


class RawApp(StrictModel):
    """A GitHub App: its id and its private key."""

    id: int = Field(ge=1)
    key_file: str | None = None


class RawGitHub(StrictModel):
    """The section ``github:``."""

    api_url: str = Field(default="https://api.github.com", pattern=r"^https?://")
    app: RawApp | None = None
    token_file: str | None = None
    webhook_secret_file: str | None = None
    comments: bool = True
    between_changes_s: float = Field(default=1.0, ge=0, le=60)


@dataclass(frozen=True, slots=True)
class Surfaces:
    """The configured surfaces, and how GitHub is reached as a forge; None is not configured."""

    telegram: TelegramConfig | None = None
    slack: SlackConfig | None = None
    github: GitHubSurfaceConfig | None = None
    github_access: GitHubAccess | None = None


class MissingSettingError(Exception):
    """A secret is missing, which is not yet an error: the command may not need it."""


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where a configuration's secrets come from; without `strict`, a surface that lacks one is left out."""

    document: YamlDocument
    root: Path
    strict: bool

    def lookup(self, name: str, file: str | None) -> str | None:
        """The secret, or None."""
        return secret(name, file, self.root)

    def require(self, secret: str | None, at: KeyPath, problem: str, mend: str) -> str:
        """`secret`; if it is None, raises `ConfigError`, or `MissingSettingError` when not `strict`."""
        if secret is not None:
            return secret
        if not self.strict:
            raise MissingSettingError
        raise self.document.error(at, problem, mend)


def telegram_config(secrets: SecretSource, raw: RawTelegram, repositories: Mapping[str, Any]) -> TelegramConfig | None:
    """Telegram's settings; raises `ConfigError`."""
    for chat in raw.chats:
        if not re.fullmatch(r"-\d{1,20}", chat):
            mend = 'Write the id of a group in quotes, such as "-1001234567890".'
            raise secrets.document.error(("telegram", "chats", chat), "is not a group id", mend)
    chats = _chats(secrets.document, ("telegram", "chats"), raw.chats, repositories)
    token = secrets.lookup("COUNTERSIGN_TELEGRAM_TOKEN", raw.token_file)
    try:
        token = secrets.require(
            token, ("telegram",), "has no token", "Set COUNTERSIGN_TELEGRAM_TOKEN, or name a token_file."
        )
        webhook = _telegram_webhook(secrets, raw)
    except MissingSettingError:
        return None
    if not re.fullmatch(r"[0-9]{1,20}:[A-Za-z0-9_-]{8,100}", token):
        mend = "Copy it from @BotFather: digits, a colon, letters and digits."
        raise secrets.document.error(("telegram",), "does not have a valid bot token", mend)
    return TelegramConfig(
        token=token,
        chats=chats,
        webhook_url=raw.webhook.url if raw.webhook else None,
        webhook_secret=webhook,
        base_url=raw.base_url.rstrip("/"),
    )


def _telegram_webhook(secrets: SecretSource, raw: RawTelegram) -> str | None:
    if raw.webhook is None:
        return None
    secret = secrets.lookup("COUNTERSIGN_TELEGRAM_WEBHOOK_SECRET", raw.webhook.secret_file)
    mend = "Set COUNTERSIGN_TELEGRAM_WEBHOOK_SECRET, or name a secret_file."
    return secrets.require(secret, ("telegram", "webhook"), "has no secret, so anyone could send updates to it", mend)


def slack_config(secrets: SecretSource, raw: RawSlack, repositories: Mapping[str, Any]) -> SlackConfig | None:
    """Slack's settings; raises `ConfigError`."""
    channels = _chats(secrets.document, ("slack", "channels"), raw.channels, repositories)
    app = secrets.lookup("COUNTERSIGN_SLACK_APP_TOKEN", raw.app_token_file)
    signing = secrets.lookup("COUNTERSIGN_SLACK_SIGNING_SECRET", raw.signing_secret_file)
    either = "Set COUNTERSIGN_SLACK_APP_TOKEN (xapp-…) for Socket Mode, or COUNTERSIGN_SLACK_SIGNING_SECRET for HTTP."
    try:
        bot = secrets.require(
            secrets.lookup("COUNTERSIGN_SLACK_BOT_TOKEN", raw.bot_token_file),
            ("slack",),
            "has no bot token",
            "Set COUNTERSIGN_SLACK_BOT_TOKEN (xoxb-…), or name a bot_token_file.",
        )
        secrets.require(app or signing, ("slack",), "has neither an app token nor a signing secret", either)
    except MissingSettingError:
        return None
    return SlackConfig(
        bot_token=bot,
        team=raw.team,
        app_token=app,
        signing_secret=signing,
        channels=channels,
        base_url=raw.base_url.rstrip("/") + "/",
    )


def github_config(
    secrets: SecretSource, raw: RawGitHub, ids: Mapping[str, str]
) -> tuple[GitHubAccess | None, GitHubSurfaceConfig | None]:
    """How GitHub is reached, and what its surface needs; `ids` maps repository ids to names.

    Raises `ConfigError`.
    """
    token = secrets.lookup("COUNTERSIGN_GITHUB_TOKEN", raw.token_file)
    key = secrets.lookup("COUNTERSIGN_GITHUB_APP_KEY", raw.app.key_file if raw.app else None)
    webhook = secrets.lookup("COUNTERSIGN_GITHUB_WEBHOOK_SECRET", raw.webhook_secret_file)
    try:
        if raw.app is not None:
            mend = "Set COUNTERSIGN_GITHUB_APP_KEY, or name a key_file."
            secrets.require(key, ("github", "app"), "has no private key", mend)
        else:
            mend = "Name an app with its key, or set COUNTERSIGN_GITHUB_TOKEN (a fine-grained token)."
            secrets.require(token, ("github",), "has neither an app nor a token", mend)
    except MissingSettingError:
        return None, None
    access = GitHubAccess(
        api_url=raw.api_url.rstrip("/"),
        token=None if raw.app else token,
        app_id=raw.app.id if raw.app else None,
        app_key=key if raw.app else None,
        between_changes_s=raw.between_changes_s,
    )
    return access, GitHubSurfaceConfig(webhook_secret=webhook, repositories=dict(ids)) if raw.comments else None


def check_identity(document: YamlDocument, at: KeyPath, surface: str, identity: str) -> None:
    """Raise `ConfigError` unless `identity` is the immutable id of one person on that surface."""
    if not IDENTITIES[surface].fullmatch(identity):
        raise document.error(
            at, f"{identity!r} is not an id on {surface}", f"Write {_ID_HINTS.get(surface, 'the user name')}."
        )
    if identity in SHARED_IDS.get(surface, ()):
        mend = "Give the id of the person, who must turn off anonymous admin mode to write as themselves."
        raise document.error(at, f"{identity} is an id that many people share", mend)


def _chats(
    document: YamlDocument, at: KeyPath, raw: Mapping[str, RawChat], known: Mapping[str, Any]
) -> dict[str, tuple[str, ...]]:
    for chat, settings in raw.items():
        for name in settings.repositories:
            if name not in known:
                mend = f"Known: {', '.join(sorted(known)) or 'none'}."
                raise document.error((*at, chat, "repositories"), f"no repository is called {name!r}", mend)
    return {chat: settings.repositories for chat, settings in raw.items()}
