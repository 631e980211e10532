"""People: who may make requests and approve them, on all surfaces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from core.model.errors import NotFoundError, UsageError
from core.model.place import EVERY_REPOSITORY, RepositoryScope
from core.model.role import Role, bound_of
from core.model.team import ONE_TEAM, Teams


@dataclass(frozen=True, slots=True)
class Person:
    """One human, counted once however many identities they have.

    `identities` maps a surface to the platform's immutable id there, never a display name. `roles` count in the whole
    home, those of `teams` in one team. A person who is not `is_home_wide` sees their teams alone.
    """

    name: str
    roles: frozenset[str] = frozenset()
    identities: Mapping[str, str] = field(default_factory=dict)
    teams: Mapping[str, frozenset[str]] = field(default_factory=dict)
    is_home_wide: bool = True

    @property
    def bound(self) -> Role:
        """What this person may do at most."""
        return bound_of(self.roles)

    def may(self, needed: Role) -> bool:
        """Whether their roles let them do what needs the role `needed`; rules may still refuse it."""
        return self.bound >= needed

    def is_one_of(self, names: Iterable[str]) -> bool:
        """Whether this person or one of their roles is in `names`."""
        allowed = set(names)
        return self.name in allowed or not allowed.isdisjoint(self.roles)

    def within(self, team: str | None) -> Person | None:
        """This person with the roles that count in `team`; None for a person who is not in it.

        In no team (None) are only those who see the whole home.
        """
        if team is not None and team in self.teams:
            return replace(self, roles=self.roles | self.teams[team])
        return self if self.is_home_wide else None

    def in_some_team(self) -> Person:
        """This person with the roles of all their teams; a viewer only if they are one in each of them."""
        each = [roles for roles in self.teams.values() if bound_of(self.roles | roles) > Role.VIEWER]
        return replace(self, roles=self.roles.union(*(each or self.teams.values())))


@dataclass(frozen=True, slots=True)
class People:
    """Every person that the configuration names, and the teams that they are in."""

    by_name: Mapping[str, Person]
    teams: Teams = ONE_TEAM
    team: str = ""
    """The one team that these are the people of; empty for those of the whole home."""
    _views: dict[str | None, People] = field(default_factory=dict, init=False, repr=False, compare=False)

    def of_repository(self, repository: str | None) -> People:
        """The people of the team that owns `repository`, with the roles that they have there.

        While the repository of a request is not known (None or empty) they are all people, with the roles of all their
        teams; what depends on a role is checked again once it is known.
        """
        if not self.teams.are_separate:
            return self
        team = self.teams.owner_of(repository) if repository else ""
        if team not in self._views:
            each = (person.within(team) if repository else person.in_some_team() for person in self.by_name.values())
            members = {person.name: person for person in each if person is not None}
            self._views[team] = People(members, team=team or "")
        return self._views[team]

    def seen_by(self, name: str, needed: Role = Role.VIEWER) -> RepositoryScope:
        """The repositories that a person sees, or with `needed` those where their roles let them do what needs it.

        Someone who is not configured sees none, once there are teams.
        """
        if not self.teams.are_separate:
            return EVERY_REPOSITORY
        person = self.by_name.get(name)
        if person is not None and person.is_home_wide and needed is Role.VIEWER:
            return EVERY_REPOSITORY
        teams = self.teams.names_with_default if person is not None else ()
        may = [team for team in teams if person and (there := person.within(team)) and there.may(needed)]
        return RepositoryScope(self.teams.repositories_of(may))

    def colleagues_of(self, name: str) -> frozenset[str]:
        """The names of all people who are in a team with this person, and of those who see the whole home."""
        me = self.by_name.get(name)
        if not self.teams.are_separate or (me is not None and me.is_home_wide):
            return frozenset(self.by_name)
        mine = me.teams.keys() if me is not None else frozenset()
        return frozenset(one.name for one in self.by_name.values() if one.is_home_wide or mine & one.teams.keys())

    def named(self, name: str) -> Person:
        """The person called `name`; raises `NotFoundError` if there is none."""
        person = self.by_name.get(name)
        if person is None and self.team:
            mend = "An operator of Countersign adds people to teams, in countersign.yaml."
            raise NotFoundError("not_in_team", f"{name} is not in the team {self.team}", mend)
        if person is None:
            raise NotFoundError(
                "no_such_person",
                f"no person called {name} is configured",
                f"Known: {', '.join(sorted(self.by_name)) or 'no one yet'}.",
            )
        return person

    def get(self, name: str) -> Person | None:
        """The person called `name`, or None if they were removed."""
        return self.by_name.get(name)

    def matching(self, names: Iterable[str]) -> tuple[str, ...]:
        """The sorted names of all people whose name or role is in `names`."""
        allowed = tuple(names)
        return tuple(sorted(person.name for person in self.by_name.values() if person.is_one_of(allowed)))

    def matching_with(self, names: Iterable[str], needed: Role) -> tuple[str, ...]:
        """Like `matching`, without those whose roles do not let them do what needs the role `needed`."""
        return tuple(name for name in self.matching(names) if self.by_name[name].may(needed))

    def roles(self) -> frozenset[str]:
        """Every role that a person has, in the whole home or in a team."""
        people = self.by_name.values()
        return frozenset(role for one in people for roles in (one.roles, *one.teams.values()) for role in roles)


def check_name(name: str, what: str) -> str:
    """Return `name` if it is a plain identifier; raises `UsageError` otherwise."""
    plain = all(c.isascii() and (c.isalnum() or c in "-_.") for c in name)
    if not plain or not name[:1].isalnum() or len(name) > 64:  # countersign.yaml has the same rule
        mend = "Use 1-64 ASCII letters, digits, '-', '_' or '.', the first a letter or digit."
        raise UsageError("bad_name", f"{what} {name!r} is not a plain name", mend)
    return name
