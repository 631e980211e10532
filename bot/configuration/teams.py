"""Reads the teams of countersign.yaml: ``teams:``, the team of each repository, and the roles of people in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from pydantic import Field

from core.model.person import Person
from core.model.team import DEFAULT_TEAM, Teams
from core.strict_yaml import StrictModel, YamlDocument

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class RawPerson(StrictModel):
    """One person. `roles` count in the team ``default``, those of `teams` in one team, `home_roles` in all of them.

    Without ``teams:`` in the file the whole home is one team, and `roles` are all that there is.
    """

    roles: tuple[str, ...] | None = None
    identities: dict[str, str] = Field(default_factory=dict)
    teams: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    home_roles: tuple[str, ...] = ()


class RawOwned(Protocol):
    """The part of a repository's section that is read here."""

    @property
    def team(self) -> str | None:
        """The team that owns it."""


class RawTeams(Protocol):
    """The part of the file that is read here."""

    @property
    def teams(self) -> tuple[str, ...]:
        """The names of the teams."""

    @property
    def people(self) -> Mapping[str, RawPerson]:
        """The people by name."""

    @property
    def repositories(self) -> Mapping[str, RawOwned]:
        """The repositories by name."""


def teams_of(raw: RawTeams) -> Teams:
    """The teams, and who owns which repository."""
    owners = {name: repository.team or DEFAULT_TEAM for name, repository in raw.repositories.items()}
    return Teams(frozenset(raw.teams), owners)


def person_of(name: str, raw: RawPerson, teams: tuple[str, ...]) -> Person:
    """One person; with `roles` or without any role they are in the team ``default``."""
    if not teams:
        return Person(name, frozenset(raw.roles or ()), dict(raw.identities))
    memberships = {team: frozenset(roles) for team, roles in raw.teams.items()}
    if raw.roles is not None or not (raw.teams or raw.home_roles):
        memberships[DEFAULT_TEAM] = frozenset(raw.roles or ()) | memberships.get(DEFAULT_TEAM, frozenset())
    return Person(
        name,
        frozenset(raw.home_roles),
        dict(raw.identities),
        teams=memberships,
        is_home_wide=bool(raw.home_roles),
    )


def roles_of(raw: RawPerson) -> Iterable[str]:
    """Every role that a person has somewhere."""
    return (*(raw.roles or ()), *raw.home_roles, *(role for roles in raw.teams.values() for role in roles))


def check_teams(document: YamlDocument, raw: RawTeams) -> None:
    """Raise `ConfigError` for a team that is not declared, or whose name means something else already."""
    roles = {role for person in raw.people.values() for role in roles_of(person)}
    for index, name in enumerate(raw.teams):
        if not _NAME.fullmatch(name):
            raise document.error(("teams", index), "is not a plain name", "Use letters, digits, '-', '_', '.'.")
        if name == DEFAULT_TEAM:
            mend = "It is the team of repositories that name none; leave it out of this list."
            raise document.error(("teams", index), f"{name} is there already", mend)
        if name in roles or name in raw.people:
            raise document.error(("teams", index), f"{name} is also a person or a role", "Rename one of them.")
    known = {*raw.teams, DEFAULT_TEAM}
    mend = f"Known: {', '.join(sorted(known))}; add it to `teams:`, at the top of the file."
    for name, repository in raw.repositories.items():
        if repository.team is not None and repository.team not in known:
            raise document.error(("repositories", name, "team"), f"there is no team {repository.team!r}", mend)
    for name, person in raw.people.items():
        if not raw.teams and (person.teams or person.home_roles):
            key = "teams" if person.teams else "home_roles"
            how = "Name the teams in `teams:`, at the top of the file, or give `roles` alone."
            raise document.error(("people", name, key), "means nothing in a home without teams", how)
        for team in person.teams:
            if team not in known:
                raise document.error(("people", name, "teams", team), "is not a team", mend)
