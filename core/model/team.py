"""Teams: which of them owns a repository. A task belongs to its repository, and so to one team."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

DEFAULT_TEAM: Final = "default"
"""The team of repositories for which the configuration names none, and of people for whom it names none."""


@dataclass(frozen=True, slots=True)
class Teams:
    """The teams that the configuration names; without `names` the whole home is one team, and all people are in it.

    `owners` is the team of each configured repository.
    """

    names: frozenset[str] = frozenset()
    owners: Mapping[str, str] = field(default_factory=dict)

    @property
    def are_separate(self) -> bool:
        """Whether there are teams that do not see each other."""
        return bool(self.names)

    @property
    def names_with_default(self) -> frozenset[str]:
        """All teams, with the one of repositories that name none."""
        return self.names | {DEFAULT_TEAM}

    def owner_of(self, repository: str) -> str | None:
        """The team that owns a repository; None for one that is not configured, which no team sees."""
        return self.owners.get(repository)

    def repositories_of(self, teams: Collection[str]) -> tuple[str, ...]:
        """The repositories of these teams, sorted."""
        return tuple(sorted(name for name, team in self.owners.items() if team in teams))


ONE_TEAM: Final = Teams()
"""The teams of a home that names none."""
