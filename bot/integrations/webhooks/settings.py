"""The sections ``webhooks:`` and ``tickets:`` of countersign.yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field

from bot.integrations.tickets import LINEAR_API, Jira, Linear, Trackers
from bot.integrations.webhooks.hooks import EVERYTHING, NAME, Hook
from bot.integrations.webhooks.sign import standard_key
from bot.secret import secret
from core.model.team import Teams
from core.strict_yaml import StrictModel, YamlDocument
from core.strict_yaml.model import WordList

LEAST_SECRET: int = 16
_PROJECT = re.compile(r"[A-Z][A-Z0-9_]{0,19}")
_PATTERN = re.compile(r"\*|[a-z_]+\.(?:\*|[a-z_]+)")


class RawHook(StrictModel):
    """One receiver."""

    url: str = Field(min_length=1)
    secret_file: str | None = None
    events: WordList = (EVERYTHING,)
    include_text: bool = False
    allow_private: bool = False
    team: str | None = None


class RawJira(StrictModel):
    """``tickets.jira``."""

    url: str = Field(pattern=r"^https?://")
    projects: WordList
    user: str | None = None
    token_file: str | None = None
    allow_private: bool = False


class RawLinear(StrictModel):
    """``tickets.linear``."""

    workspace: str = Field(pattern=r"^[a-z0-9-]+$")
    teams: WordList
    token_file: str | None = None


class RawTickets(StrictModel):
    """``tickets:``."""

    jira: RawJira | None = None
    linear: RawLinear | None = None


def trackers_of(document: YamlDocument, raw: RawTickets, root: Path) -> Trackers:
    """The issue trackers; raises `ConfigError`. Tokens: COUNTERSIGN_JIRA_TOKEN, COUNTERSIGN_LINEAR_TOKEN, or files."""
    jira, linear = raw.jira, raw.linear
    for name, keys in (("jira", jira.projects if jira else ()), ("linear", linear.teams if linear else ())):
        for key in keys:
            if not _PROJECT.fullmatch(key):
                mend = "Write it as in its tickets: capital letters and digits, such as ABC."
                raise document.error(("tickets", name), f"{key!r} is not a project key", mend)
    if jira is not None and (why := _objection(jira.url, allow_private=jira.allow_private)) is not None:
        raise document.error(("tickets", "jira", "url"), why, "Name an https address without a password in it.")
    return Trackers(
        jira=Jira(
            jira.url,
            jira.projects,
            secret("COUNTERSIGN_JIRA_TOKEN", jira.token_file, root),
            jira.user,
            jira.allow_private,
        )
        if jira
        else None,
        linear=Linear(
            linear.workspace, linear.teams, secret("COUNTERSIGN_LINEAR_TOKEN", linear.token_file, root), LINEAR_API
        )
        if linear
        else None,
    )


def hooks_of(document: YamlDocument, raw: Mapping[str, RawHook], teams: Teams, root: Path) -> tuple[Hook, ...]:
    """The hooks; raises `ConfigError`. A hook's secret is in its file or in COUNTERSIGN_WEBHOOK_NAME_SECRET."""
    return tuple(_hook(document, name, hook, teams, root) for name, hook in raw.items())


def _hook(document: YamlDocument, name: str, raw: RawHook, teams: Teams, root: Path) -> Hook:
    at = ("webhooks", name)
    if not NAME.fullmatch(name):
        raise document.error(at, "is not a plain name", "Use letters, digits, '-', '_', '.'.")
    why = _objection(raw.url, allow_private=raw.allow_private)
    if why is not None:
        raise document.error((*at, "url"), why, "Name an https address without a password in it.")
    for pattern in raw.events:
        if not _PATTERN.fullmatch(pattern):
            mend = "Write for example task.staged, task.* or *."
            raise document.error((*at, "events"), f"{pattern!r} is not a kind of event", mend)
    variable = f"COUNTERSIGN_WEBHOOK_{re.sub(r'[^A-Z0-9]', '_', name.upper())}_SECRET"
    key = secret(variable, raw.secret_file, root)
    if key is None:
        raise document.error(at, "has no secret to sign with", f"Set {variable}, or name a secret_file.")
    if len(key) < LEAST_SECRET:
        raise document.error(at, f"has a secret of less than {LEAST_SECRET} characters", "Make a random one.")
    try:
        standard_key(key)
    except ValueError as error:
        mend = "Make one with: echo whsec_$(openssl rand -base64 32)"
        raise document.error(at, f"has a secret that {error}", mend) from None  # it may repeat a part of the secret
    of_team = _repositories(document, name, raw.team, teams)
    return Hook(name, raw.url, key, raw.events, raw.include_text, raw.allow_private, of_team)


def _repositories(document: YamlDocument, name: str, team: str | None, teams: Teams) -> frozenset[str] | None:
    """The repositories of a hook's team; None for a hook of the whole home."""
    if team is None:
        return None
    if not teams.are_separate or team not in teams.names_with_default:
        known = ", ".join(sorted(teams.names)) or "none"
        raise document.error(("webhooks", name, "team"), f"there is no team {team!r}", f"Known: {known}.")
    return frozenset(teams.repositories_of([team]))


def _objection(url: str, *, allow_private: bool) -> str | None:
    """Why a URL is not valid, or None; the address it resolves to is checked at each call."""
    try:
        parsed = urlsplit(url)
        host, _ = parsed.hostname, parsed.port
    except ValueError:
        return "is not a valid address"
    if parsed.scheme not in ("https", "http") or not host:
        return "is not an https address"
    if parsed.username or parsed.password:
        return "contains a name or password"
    if parsed.scheme == "http" and not allow_private:
        return "is not encrypted, which is allowed only for this host and with allow_private: true"
    return None
