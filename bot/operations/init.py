"""Creates a home: commented configuration files, the signing key, and the database."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bot.configuration.home import Home
from bot.secret import secret
from core.model.errors import ConflictError, UsageError
from core.model.person import check_name
from core.model.role import MAINTAINER
from core.ports.repository import RepositorySpec
from core.signing import Keys

ROLES = ("member", MAINTAINER)
WEBHOOK_FILE = "github-webhook.secret"


@dataclass(frozen=True, slots=True)
class CreatedHome:
    """A new home, with notes for its owner."""

    home: Home
    repositories: dict[str, str]
    people: dict[str, list[str]]
    notes: list[str]

    def to_json(self) -> dict[str, Any]:
        """The document of ``init --json``."""
        return {
            "home": str(self.home.root),
            "repositories": self.repositories,
            "people": self.people,
            "notes": self.notes,
        }


async def make_home(
    home: Home, repos: tuple[str, ...], people: tuple[str, ...], forge: str, api_url: str | None = None
) -> CreatedHome:
    """Create a home; raises `ConflictError`, without effect, if one exists.

    With the forge `github` the repositories are looked up at `api_url` with the token from the environment.
    """
    from bot.wiring.database_file import create_database

    if home.config.exists():
        raise ConflictError(
            "home_exists", f"{home.root} is already a Countersign home", f"Edit {home.config}, or name another --home."
        )
    if not repos:
        raise UsageError("no_repository", "no repository was named", "Add --repo NAME=PATH_OR_URL.")
    urls = dict(_repository(text, forge) for text in repos)
    if len(urls) < len(repos):
        raise UsageError("twice", "a repository is named twice", "Give each its own name.")
    hub = await _look_up_at_github(urls, api_url) if forge == "github" else None
    branches = hub.branches if hub else {name: await _branch(home, name, url, forge) for name, url in urls.items()}
    roles = _people(people)
    notes = _notes(roles)
    home.root.mkdir(parents=True, exist_ok=True)
    home.lanes.mkdir(exist_ok=True)
    home.state.mkdir(mode=0o700, exist_ok=True)
    _copy_defaults(home)
    Keys(home.keys).make()
    create_database(home)
    # last, because a directory is a home once it exists
    if hub is not None:
        _write_secret(home.state / WEBHOOK_FILE)
        notes.append(f"GitHub signs its webhooks with the secret in {home.state / WEBHOOK_FILE}: give it to the App.")
    home.config.write_text(_config_text(urls, branches, roles, forge, hub), encoding="utf-8")
    return CreatedHome(home, urls, roles, notes)


@dataclass(frozen=True, slots=True)
class _Hub:
    """GitHub's address, and each repository's number and default branch there."""

    api_url: str
    ids: dict[str, int]
    branches: dict[str, str]


async def _look_up_at_github(urls: dict[str, str], api_url: str | None) -> _Hub:
    """Look up the repositories' numeric ids and default branches; raises if one does not exist."""
    from lanes.forge.github.access import GitHubAccess, full_name_of
    from lanes.forge.github.client import GitHubClient

    token = secret("COUNTERSIGN_GITHUB_TOKEN", None, Path())
    if token is None:
        mend = "Set COUNTERSIGN_GITHUB_TOKEN to a token that can read them; an App can be configured afterwards."
        raise UsageError("no_token", "looking up the repositories at GitHub needs a token", mend)
    access = GitHubAccess(api_url=(api_url or "https://api.github.com").rstrip("/"), token=token)
    client = GitHubClient(access)
    ids, branches = {}, {}
    try:
        for name, url in urls.items():
            full_name = full_name_of(RepositorySpec(name, name, url, "main", "github"), access)
            ids[name], branches[name] = await client.call(partial(_id_and_branch, full_name))
    finally:
        client.close()
    return _Hub(access.api_url, ids, branches)


def _id_and_branch(full_name: str, github: Any) -> tuple[int, str]:
    repo = github.get_repo(full_name)
    return int(repo.id), str(repo.default_branch)


def _write_secret(path: Path) -> None:
    """Write a long random secret that only the owner can read."""
    path.touch(mode=0o600, exist_ok=True)
    path.write_text(secrets.token_urlsafe(32) + "\n", encoding="ascii")


def _repository(text: str, forge: str) -> tuple[str, str]:
    from bot.configuration.config import is_local

    name, separator, url = text.partition("=")
    if not separator or not url:
        raise UsageError("bad_repository", f"--repo {text!r} is not NAME=PATH_OR_URL", "Write e.g. web=/srv/web.git.")
    check_name(name, "the repository's name")
    if forge == "github":
        return name, url
    if not is_local(url):
        raise UsageError(
            "not_local",
            f"{url} is an address, but the forge `local` needs a repository on this host",
            "Give the path of a bare clone.",
        )
    return name, url if "://" in url or re.match(r"[\w.-]+@[\w.-]+:", url) else str(Path(url).expanduser().absolute())


async def _branch(home: Home, name: str, url: str, forge: str) -> str:
    """The remote's default branch; raises if the repository does not exist."""
    from lanes.repository import GitRepository

    probe = RepositorySpec(name, f"{forge}:{name}", url, "main", forge)
    return await GitRepository(probe, home.git).default_branch()


def _people(people: tuple[str, ...]) -> dict[str, list[str]]:
    """People and their roles; if none is given, the system's user as a maintainer."""
    from bot.wiring.host import operating_user

    if not people:
        return {re.sub(r"[^A-Za-z0-9_.-]", "-", operating_user()) or "owner": [MAINTAINER]}
    roles: dict[str, list[str]] = {}
    for text in people:
        name, separator, role = text.partition(":")
        check_name(name, "the person's name")
        if not separator or role not in ROLES:
            raise UsageError("bad_person", f"--person {text!r} is not NAME:ROLE", f"ROLE is one of {', '.join(ROLES)}.")
        if name in ROLES:
            raise UsageError("bad_name", f"{name!r} is a role, so it cannot be a person", "Use another name.")
        roles.setdefault(name, []).append(role)
    return roles


def _notes(roles: dict[str, list[str]]) -> list[str]:
    maintainers = [name for name, own_roles in roles.items() if MAINTAINER in own_roles]
    if not maintainers:
        return ["No one can approve, because there is no maintainer: add one in countersign.yaml."]
    if len(roles) == 1:
        reason = f"{maintainers[0]} is the only person, and people cannot approve their own requests"
        return [f"{reason}: add a second person in countersign.yaml, or allow self_approve in policy.yaml."]
    return []


def _copy_defaults(home: Home) -> None:
    """Write the starter policy and lanes, without replacing existing files."""
    from lanes.registry import starter_lanes
    from policies.load import starter_policy

    files = {home.policy: starter_policy(), **{home.lanes / name: text for name, text in starter_lanes().items()}}
    for target, text in files.items():
        if not target.exists():
            target.write_text(text, encoding="utf-8")


def _config_text(
    repositories: dict[str, str],
    branches: dict[str, str],
    people: dict[str, list[str]],
    forge: str,
    hub: _Hub | None,
) -> str:
    import json

    lines = [
        "# Countersign: repositories, people and the database of this home. `countersign policy check` checks it.",
        "version: 1",
        "",
        "# sqlite, or postgresql://USER@HOST/NAME to share the work between hosts. Never write the password here:",
        "# use COUNTERSIGN_DATABASE_URL or database_password_file.",
        "database: sqlite",
        f"forge: {forge}",
        "",
        "repositories:",
    ]
    for name, url in repositories.items():
        number = f", github_id: {hub.ids[name]}" if hub else ""
        lines.append(f"  {name}: {{url: {json.dumps(url)}, branch: {json.dumps(branches[name])}{number}}}")
    if hub is not None:
        lines += ["", *_github_lines(hub)]
    lines += [
        "",
        "# policy.yaml refers to roles; identities are a person's ids on each surface.",
        "people:",
    ]
    for name, roles in people.items():
        lines.append(f"  {json.dumps(name)}: {{roles: [{', '.join(roles)}]}}")
    return "\n".join(lines) + "\n"


def _github_lines(hub: _Hub) -> list[str]:
    return [
        "# The token comes from COUNTERSIGN_GITHUB_TOKEN (or token_file). An App is better: its pushes start CI:",
        "#   app: {id: 12345, key_file: app.pem}",
        "github:",
        f"  api_url: {hub.api_url}",
        f"  webhook_secret_file: state/{WEBHOOK_FILE}",
    ]
