"""People: who may make requests and approve them, on all surfaces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from core.model.errors import NotFoundError, UsageError
from core.model.role import Role, bound_of


@dataclass(frozen=True, slots=True)
class Person:
    """One human, counted once however many identities they have.

    `identities` maps a surface to the platform's immutable id there, never a display name.
    """

    name: str
    roles: frozenset[str] = frozenset()
    identities: Mapping[str, str] = field(default_factory=dict)

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


@dataclass(frozen=True, slots=True)
class People:
    """Every person that the configuration names."""

    by_name: Mapping[str, Person]

    def named(self, name: str) -> Person:
        """The person called `name`; raises `NotFoundError` if there is none."""
        person = self.by_name.get(name)
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
        """Every role that a person has."""
        return frozenset(role for person in self.by_name.values() for role in person.roles)


def check_name(name: str, what: str) -> str:
    """Return `name` if it is a plain identifier; raises `UsageError` otherwise."""
    plain = all(c.isascii() and (c.isalnum() or c in "-_.") for c in name)
    if not plain or not name[:1].isalnum() or len(name) > 64:  # countersign.yaml has the same rule
        mend = "Use 1-64 ASCII letters, digits, '-', '_' or '.', the first a letter or digit."
        raise UsageError("bad_name", f"{what} {name!r} is not a plain name", mend)
    return name
