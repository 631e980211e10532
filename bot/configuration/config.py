"""Reads countersign.yaml strictly: every error names its file, line and key."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from bot.configuration.limits import RawLimit, limits_of
from bot.configuration.models import Models, RawAgent, RawEndpoint, RawInterpreter, checked_names, models_of
from bot.configuration.teams import RawPerson, check_teams, person_of, roles_of, teams_of
from bot.identity_providers.settings import ProviderSettings, providers_of
from bot.integrations.tickets import Trackers
from bot.integrations.webhooks.hooks import Hook
from bot.integrations.webhooks.settings import RawHook, RawTickets, hooks_of, trackers_of
from bot.metrics.settings import MetricsSettings, RawMetrics, metrics_settings
from bot.plugins.settings import FORGES, EnabledPlugin, RawPlugins, enabled_of
from bot.plugins.settings import names_of as plugin_names
from bot.surfaces.settings import (
    IDENTITIES,
    RawGitHub,
    RawSlack,
    RawTelegram,
    SecretSource,
    Surfaces,
    check_identity,
    github_config,
    slack_config,
    telegram_config,
)
from bot.web.settings import RawWeb, WebSettings, web_settings
from core.model.identity import OIDC
from core.model.limits import Limit, LimitScope
from core.model.person import People
from core.model.turn import SURFACES, WITHOUT_IDENTITIES
from core.ports.repository import RepositorySpec
from core.settings import Timing
from core.strict_yaml import StrictModel, YamlDocument, load, validate
from lanes.forge.github.access import GitHubAccess

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class _Repository(StrictModel):
    url: str = Field(min_length=1)
    branch: str = "main"
    id: str | None = None
    forge: str | None = None
    github_id: PositiveInt | None = None
    team: str | None = None


class _Worker(StrictModel):
    heartbeat_s: PositiveFloat = 3.0
    lease_s: PositiveFloat = 15.0
    poll_s: PositiveFloat = 1.0
    slots: PositiveInt = 2


class _Config(StrictModel):
    version: Literal[1]
    database: str = "sqlite"
    database_password_file: str | None = None
    forge: str = "local"
    roles: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    repositories: dict[str, _Repository]
    people: dict[str, RawPerson]
    worker: _Worker = _Worker()
    zone: str = "UTC"
    telegram: RawTelegram | None = None
    slack: RawSlack | None = None
    github: RawGitHub | None = None
    webhooks: dict[str, RawHook] = Field(default_factory=dict)
    tickets: RawTickets = RawTickets()
    models: dict[str, RawEndpoint] = Field(default_factory=dict)
    interpreter: RawInterpreter = RawInterpreter()
    agents: dict[str, RawAgent] = Field(default_factory=dict)
    plugins: RawPlugins = RawPlugins()
    classes: dict[str, Literal["chat", "bulk"]] = Field(default_factory=dict)
    limits: dict[str, RawLimit] = Field(default_factory=dict)
    web: RawWeb | None = None
    metrics: RawMetrics | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """countersign.yaml after validation."""

    database: str
    people: People
    roles: frozenset[str]
    repositories: dict[str, RepositorySpec]
    timing: Timing
    limits: tuple[Limit, ...] = ()
    zone: str = "UTC"
    hooks: Callable[[], tuple[Hook, ...]] = tuple
    trackers: Callable[[], Trackers] = Trackers
    models: Callable[[], Models] = Models
    endpoints: frozenset[str] = frozenset()
    endpoint_kinds: Mapping[str, str] = field(default_factory=dict)
    surfaces: Callable[[], Surfaces] = Surfaces
    """The surfaces with their secrets, read only when needed, because most commands need none."""
    github_access: Callable[[], GitHubAccess | None] = lambda: None
    """How GitHub is reached as a forge, without the secrets of any surface; all that a worker needs."""
    plugins: tuple[EnabledPlugin, ...] = ()
    surface_classes: Mapping[str, str] = field(default_factory=dict)
    """The class of work, chat or bulk, of requests from a surface."""
    web: WebSettings | None = None
    """Where the pages are reached; None without a section ``web:``."""
    identity_providers: tuple[ProviderSettings, ...] = ()
    """Where people sign in to the pages; each reads its secret when it is used."""
    metrics: Callable[[], MetricsSettings | None] = lambda: None
    """Who may read the metrics, with the token, which only `serve` needs; None without a section ``metrics:``."""

    def sections(self) -> dict[str, Callable[[], object]]:
        """The sections that need secrets, by name; each call reads one as `serve` does, and raises `ConfigError`."""
        return {
            "surfaces": self.surfaces,
            "webhooks": self.hooks,
            "tickets": self.trackers,
            "models": self.models,
            "web": lambda: [provider.secret() for provider in self.identity_providers],
            "metrics": self.metrics,
        }

    def check(self) -> None:
        """Read every section; raises `ConfigError` for the first error or missing secret."""
        for read in self.sections().values():
            read()

    def surface_names(self) -> frozenset[str]:
        """Every surface that identities and rules may name: built-in ones and those of enabled plugins."""
        return SURFACES | plugin_names(self.plugins, "surfaces")


def load_config(path: Path) -> Config:
    """Read countersign.yaml; raises `ConfigError` with file, line and key."""
    document = load(path)
    raw = validate(document, _Config)
    plugins = enabled_of(document, raw.plugins)
    _check_names(document, raw)
    check_teams(document, raw)
    people = People({name: person_of(name, person, raw.teams) for name, person in raw.people.items()}, teams_of(raw))
    _check_forges(document, raw, plugin_names(plugins, "forges"))
    surfaces = partial(_surfaces, document, raw, path.parent)
    surfaces(strict=False)
    checked_names(document, raw.models, raw.interpreter, raw.agents)
    repositories = _repositories(raw, path.parent)
    roles = frozenset(raw.roles) | people.roles()
    keys = {
        LimitScope.PERSON: people.by_name,
        LimitScope.TEAM: roles | (people.teams.names_with_default if raw.teams else frozenset()),
        LimitScope.REPOSITORY: repositories,
    }
    return Config(
        database=_database(document, raw, path.parent),
        people=people,
        roles=roles,
        limits=limits_of(document, raw.limits, keys),
        repositories=repositories,
        timing=_timing(document, raw.worker),
        surfaces=surfaces,
        github_access=partial(_github_access, document, raw, path.parent),
        hooks=partial(hooks_of, document, raw.webhooks, people.teams, path.parent),
        trackers=partial(trackers_of, document, raw.tickets, path.parent),
        models=partial(models_of, document, raw.models, raw.interpreter, raw.agents, path.parent),
        endpoints=frozenset(raw.models),
        endpoint_kinds={name: endpoint.kind for name, endpoint in raw.models.items()},
        zone=_zone(document, raw.zone),
        plugins=plugins,
        surface_classes=dict(raw.classes),
        web=web_settings(document, raw.web),
        identity_providers=_identity_providers(document, raw, path.parent),
        metrics=partial(metrics_settings, document, raw.metrics, path.parent),
    )


def _identity_providers(document: YamlDocument, raw: _Config, folder: Path) -> tuple[ProviderSettings, ...]:
    github_api = raw.github.api_url if raw.github else None
    return providers_of(document, raw.web.sign_in if raw.web else {}, folder, github_api)


def _repositories(raw: _Config, folder: Path) -> dict[str, RepositorySpec]:
    return {
        name: RepositorySpec(
            name=name,
            id=repo.id or f"{repo.forge or raw.forge}:{name}",
            url=_absolute(repo.url, folder),
            branch=repo.branch,
            forge=repo.forge or raw.forge,
            forge_id=repo.github_id,
        )
        for name, repo in raw.repositories.items()
    }


def _check_names(document: YamlDocument, raw: _Config) -> None:
    """Check that names are plain words, and that none is both a person and a role."""
    roles = {
        "member",
        "maintainer",
        *raw.roles,
        *(role for person in raw.people.values() for role in roles_of(person)),
    }
    for name in raw.repositories:
        if not _NAME.fullmatch(name):
            raise document.error(("repositories", name), "is not a plain name", "Use letters, digits, '-', '_', '.'.")
    for surface in raw.classes:
        known = SURFACES | raw.plugins.surfaces.keys()
        if surface not in known:
            raise document.error(("classes", surface), "is not a surface", f"Known: {', '.join(sorted(known))}.")
    owners: dict[tuple[str, str], str] = {}
    for name, person in raw.people.items():
        if not _NAME.fullmatch(name):
            raise document.error(("people", name), "is not a plain name", "Use letters, digits, '-', '_', '.'.")
        if name in roles:
            raise document.error(("people", name), "is both a person and a role", "Rename one of them.")
        for surface, identity in person.identities.items():
            known = (SURFACES - WITHOUT_IDENTITIES) | raw.plugins.surfaces.keys() | {OIDC}
            if surface not in known:
                raise document.error(
                    ("people", name, "identities", surface), "is not a surface", f"Known: {', '.join(sorted(known))}."
                )
            if surface in IDENTITIES:
                check_identity(document, ("people", name, "identities", surface), surface, identity)
            other = owners.setdefault((surface, identity), name)
            if other != name:
                raise document.error(
                    ("people", name, "identities", surface),
                    f"already belongs to {other}",
                    "Two people cannot share an identity.",
                )


def _check_forges(document: YamlDocument, raw: _Config, plugins: frozenset[str]) -> None:
    """Check each forge: `local` needs the remote on this host; GitHub needs an address and a numeric id."""
    own_forges = {name: repo.forge for name, repo in raw.repositories.items()}
    for at, forge in [
        (("forge",), raw.forge),
        *((("repositories", name, "forge"), own_forges[name]) for name in own_forges),
    ]:
        if forge is not None and forge not in FORGES | plugins:
            mend = f"Known: {', '.join(sorted(FORGES | plugins))}; others are plugins: docs/plugins.md."
            raise document.error(at, f"{forge!r} is not a forge", mend)
    for name, repo in raw.repositories.items():
        if (repo.forge or raw.forge) == "github":
            _check_github(document, raw, name, repo)
        elif (repo.forge or raw.forge) == "local" and not is_local(repo.url):
            raise document.error(
                ("repositories", name, "url"),
                "is an address, but the forge `local` needs a git repository on this host",
                "Give the path of a bare clone.",
            )


def _check_github(document: YamlDocument, raw: _Config, name: str, repo: _Repository) -> None:
    at = ("repositories", name)
    if raw.github is None:
        raise document.error(
            at, "is at GitHub, but `github:` is not configured", "Add it: see docs/surfaces/github.md."
        )
    if is_local(repo.url):
        raise document.error((*at, "url"), "is a folder, but GitHub is reached over https", "Give its https address.")
    if repo.github_id is None:
        mend = "Add the `id` from https://api.github.com/repos/OWNER/NAME; unlike a name, it never changes."
        raise document.error((*at, "github_id"), "is missing", mend)


def _surfaces(document: YamlDocument, raw: _Config, root: Path, *, strict: bool = True) -> Surfaces:
    """The configured surfaces; one that lacks a secret raises or, if not `strict`, is omitted."""
    ids = {
        str(repo.github_id): name for name, repo in raw.repositories.items() if (repo.forge or raw.forge) == "github"
    }
    secrets = SecretSource(document, root, strict=strict)
    access, comments = github_config(secrets, raw.github, ids) if raw.github else (None, None)
    return Surfaces(
        telegram=telegram_config(secrets, raw.telegram, raw.repositories) if raw.telegram else None,
        slack=slack_config(secrets, raw.slack, raw.repositories) if raw.slack else None,
        github=comments,
        github_access=access,
    )


def _github_access(document: YamlDocument, raw: _Config, root: Path) -> GitHubAccess | None:
    """How GitHub is reached; a missing secret raises only where a repository is there."""
    needed = any((repo.forge or raw.forge) == "github" for repo in raw.repositories.values())
    secrets = SecretSource(document, root, strict=needed)
    return github_config(secrets, raw.github, {})[0] if raw.github else None


def _zone(document: YamlDocument, name: str) -> str:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise document.error(
            ("zone",), f"{name!r} is not a time zone", "Write a name such as Europe/Zurich or UTC."
        ) from error
    return name


def is_local(url: str) -> bool:
    """Whether `url` names a folder on this host."""
    return url.startswith("file://") or not ("://" in url or re.match(r"[\w.-]+@[\w.-]+:", url))


def _database(document: YamlDocument, raw: _Config, root: Path) -> str:
    """``sqlite``, or a PostgreSQL URL with the password from outside the file."""
    url = os.environ.get("COUNTERSIGN_DATABASE_URL") or raw.database
    if url == "sqlite":
        return url
    if not re.match(r"postgres(ql)?://", url):
        raise document.error(("database",), "must be sqlite or postgresql://…", "Correct the value.")
    if raw.database == url and re.match(r"\w+://[^/@:]*:[^@]*@", url):
        raise document.error(
            ("database",),
            "contains a password",
            "Put it into COUNTERSIGN_DATABASE_URL, or into a file named by database_password_file.",
        )
    if raw.database_password_file is None:
        return url
    from urllib.parse import quote

    file = root / raw.database_password_file
    try:
        password = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise document.error(("database_password_file",), f"{file}: {error.strerror}", "Make it readable.") from error
    return re.sub(r"^(\w+://[^/@:]*)@", lambda m: f"{m.group(1)}:{quote(password, safe='')}@", url)


def _timing(document: YamlDocument, worker: _Worker) -> Timing:
    if worker.lease_s < 2 * worker.heartbeat_s:
        raise document.error(
            ("worker", "lease_s"), "must be at least twice heartbeat_s", "Raise it, or lower heartbeat_s."
        )
    return Timing(worker.heartbeat_s, worker.lease_s, worker.poll_s, worker.slots)


def _absolute(url: str, root: Path) -> str:
    """A relative or `~` path as an absolute one; other addresses unchanged."""
    if "://" in url or re.match(r"[\w.-]+@[\w.-]+:", url):
        return url
    return str((root / Path(url).expanduser()).resolve())
