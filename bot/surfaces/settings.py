"""The parts of countersign.yaml that say where people talk, and the secrets that belong to them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from bot.secret import secret
from bot.surfaces.port import GitHubSurfaceConfig, SlackConfig, TelegramConfig
from core.strict_yaml import KeyPath, StrictModel, YamlDocument
from lanes.forge.github.access import GitHubAccess

IDENTITIES: Final = {
    "terminal": re.compile(r".+"),
    "telegram": re.compile(r"[1-9][0-9]{0,15}"),
    "slack": re.compile(r"[TE][A-Z0-9]{2,20}/[UW][A-Z0-9]{2,20}"),
    "github": re.compile(r"[1-9][0-9]{0,15}"),
}
"""What an identity on each surface looks like: the platform's immutable id, never a name that can change hands."""

_FORMS: Final = {
    "telegram": "the numeric user id (the bot says it when you write /link)",
    "slack": "TEAM/USER, such as T0AB12CD/U0EF34GH",
    "github": "the numeric user id (in https://api.github.com/users/LOGIN)",
}

NOBODY: Final = {"telegram": frozenset({"1087968824", "136817688", "777000"})}
"""Ids that many people share: Telegram's anonymous admin, channel posts, and its own forwards (security.md 2, 4)."""


class RawChat(StrictModel):
    """A chat or channel that is listened to."""

    repositories: tuple[str, ...] = ()


class RawWebhook(StrictModel):
    """How Telegram calls us instead of being asked."""

    url: str = Field(pattern=r"^https://")
    secret_file: str | None = None


class RawTelegram(StrictModel):
    """``telegram:``."""

    token_file: str | None = None
    chats: dict[str, RawChat] = Field(default_factory=dict)
    webhook: RawWebhook | None = None
    base_url: str = "https://api.telegram.org"


class RawSlack(StrictModel):
    """``slack:``."""

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
    """``github:``."""

    api_url: str = Field(default="https://api.github.com", pattern=r"^https?://")
    app: RawApp | None = None
    token_file: str | None = None
    webhook_secret_file: str | None = None
    comments: bool = True
    between_changes_s: float = Field(default=1.0, ge=0, le=60)


@dataclass(frozen=True, slots=True)
class Surfaces:
    """Where people talk, and how GitHub is reached as a forge; None is what is not configured."""

    telegram: TelegramConfig | None = None
    slack: SlackConfig | None = None
    github: GitHubSurfaceConfig | None = None
    github_access: GitHubAccess | None = None


class MissingSettingError(Exception):
    """A secret is not there, and that is no fault yet: the command may not need it."""


@dataclass(frozen=True, slots=True)
class PublicAddress:
    """Where the secrets of a configuration come from; without `strict` a missing one only leaves its surface out."""

    document: YamlDocument
    root: Path
    strict: bool

    def given(self, name: str, file: str | None) -> str | None:
        """The secret, if there is one."""
        return secret(name, file, self.root)

    def needed(self, found: str | None, at: KeyPath, lack: str, mend: str) -> str:
        """`found`; raises `ConfigError`, or `MissingSettingError` where it may be missing."""
        if found is not None:
            return found
        if not self.strict:
            raise MissingSettingError
        raise self.document.error(at, lack, mend)


def telegram_of(there: PublicAddress, raw: RawTelegram, repositories: Mapping[str, Any]) -> TelegramConfig | None:
    """Telegram's settings; raises `ConfigError`."""
    for chat in raw.chats:
        if not re.fullmatch(r"-\d{1,20}", chat):
            mend = 'Write the id of a group in quotes, such as "-1001234567890".'
            raise there.document.error(("telegram", "chats", chat), "is no group's id", mend)
    chats = _chats(there.document, ("telegram", "chats"), raw.chats, repositories)
    token = there.given("COUNTERSIGN_TELEGRAM_TOKEN", raw.token_file)
    try:
        token = there.needed(
            token, ("telegram",), "has no token", "Set COUNTERSIGN_TELEGRAM_TOKEN, or name a token_file."
        )
        webhook = _telegram_webhook(there, raw)
    except MissingSettingError:
        return None
    if not re.fullmatch(r"[0-9]{1,20}:[A-Za-z0-9_-]{8,100}", token):
        mend = "Copy it from @BotFather: digits, a colon, more."
        raise there.document.error(("telegram",), "has a token that is none", mend)
    return TelegramConfig(
        token=token,
        chats=chats,
        webhook_url=raw.webhook.url if raw.webhook else None,
        webhook_secret=webhook,
        base_url=raw.base_url.rstrip("/"),
    )


def _telegram_webhook(there: PublicAddress, raw: RawTelegram) -> str | None:
    if raw.webhook is None:
        return None
    found = there.given("COUNTERSIGN_TELEGRAM_WEBHOOK_SECRET", raw.webhook.secret_file)
    mend = "Set COUNTERSIGN_TELEGRAM_WEBHOOK_SECRET, or name a secret_file."
    return there.needed(found, ("telegram", "webhook"), "has no secret, so anybody could write to it", mend)


def slack_of(there: PublicAddress, raw: RawSlack, repositories: Mapping[str, Any]) -> SlackConfig | None:
    """Slack's settings; raises `ConfigError`."""
    channels = _chats(there.document, ("slack", "channels"), raw.channels, repositories)
    app = there.given("COUNTERSIGN_SLACK_APP_TOKEN", raw.app_token_file)
    signing = there.given("COUNTERSIGN_SLACK_SIGNING_SECRET", raw.signing_secret_file)
    either = "Set COUNTERSIGN_SLACK_APP_TOKEN (xapp-…) for Socket Mode, or COUNTERSIGN_SLACK_SIGNING_SECRET for HTTP."
    try:
        bot = there.needed(
            there.given("COUNTERSIGN_SLACK_BOT_TOKEN", raw.bot_token_file),
            ("slack",),
            "has no bot token",
            "Set COUNTERSIGN_SLACK_BOT_TOKEN (xoxb-…), or name a bot_token_file.",
        )
        there.needed(app or signing, ("slack",), "has neither an app token nor a signing secret", either)
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


def github_of(
    there: PublicAddress, raw: RawGitHub, ids: Mapping[str, str]
) -> tuple[GitHubAccess | None, GitHubSurfaceConfig | None]:
    """How GitHub is reached, and what its surface needs; `ids` maps numeric ids to names. Raises `ConfigError`."""
    token = there.given("COUNTERSIGN_GITHUB_TOKEN", raw.token_file)
    key = there.given("COUNTERSIGN_GITHUB_APP_KEY", raw.app.key_file if raw.app else None)
    webhook = there.given("COUNTERSIGN_GITHUB_WEBHOOK_SECRET", raw.webhook_secret_file)
    try:
        if raw.app is not None:
            mend = "Set COUNTERSIGN_GITHUB_APP_KEY, or name a key_file."
            there.needed(key, ("github", "app"), "has no private key", mend)
        else:
            mend = "Name an app with its key, or set COUNTERSIGN_GITHUB_TOKEN (a fine-grained token)."
            there.needed(token, ("github",), "has neither an app nor a token", mend)
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
    """Raise `ConfigError` for what is no immutable id of one human on that surface."""
    if not IDENTITIES[surface].fullmatch(identity):
        raise document.error(
            at, f"{identity!r} is no id on {surface}", f"Write {_FORMS.get(surface, 'the user name')}."
        )
    if identity in NOBODY.get(surface, ()):
        mend = "Name the id of the person; they write as themselves once they are no anonymous admin."
        raise document.error(at, f"{identity} is many people's id", mend)


def _chats(
    document: YamlDocument, at: KeyPath, raw: Mapping[str, RawChat], known: Mapping[str, Any]
) -> dict[str, tuple[str, ...]]:
    for chat, said in raw.items():
        for name in said.repositories:
            if name not in known:
                mend = f"Known: {', '.join(sorted(known)) or 'none'}."
                raise document.error((*at, chat, "repositories"), f"there is no repository called {name!r}", mend)
    return {chat: said.repositories for chat, said in raw.items()}
