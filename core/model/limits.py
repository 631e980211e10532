"""Limits by key: how much of the queue and of the models a person, a team, a lane or a repository may have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from core.model.job import JobKind
from core.model.person import People

HOUR_MS: Final = 3600 * 1000
DAY_MS: Final = 24 * HOUR_MS
COUNTED_WHEN_RUNNING: Final = (JobKind.CHANGE,)
"""The kinds of jobs that count as running, and that wait while as many run as may."""
USES_MODELS: Final = (JobKind.PLAN, JobKind.READ, JobKind.CHANGE)
"""The kinds of jobs that wait while a limit of a day is used up."""


class LimitScope(StrEnum):
    """What a limit has a key for; a team is what works on its repositories, or else everyone who has a role."""

    PERSON = "person"
    TEAM = "team"
    LANE = "lane"
    REPOSITORY = "repository"


class DayUse(StrEnum):
    """What is limited by day; a day is the last 24 hours."""

    TOKENS = "tokens"
    USD = "usd"
    GPU_S = "gpu_s"

    def amount(self, value: float) -> str:
        """An amount of it for people."""
        words = {
            DayUse.TOKENS: f"{value:,.0f} tokens",
            DayUse.USD: f"${value:,.2f}",
            DayUse.GPU_S: f"{value:,.0f} GPU s",
        }
        return words[self]


@dataclass(frozen=True, slots=True)
class QueueKeys:
    """What a job or a request is about, as far as it is known."""

    person: str
    lane: str | None = None
    repository: str | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """One entry of ``limits:``. `keys` are those that it is for, each with an allowance of its own; None is all.

    `running` is how many change jobs run at once, `requests_per_hour` and `queued` how many requests are accepted,
    `per_day` what models may use in 24 hours. What is None or missing is not limited.
    """

    name: str
    scope: LimitScope
    keys: frozenset[str] | None = None
    running: int | None = None
    requests_per_hour: int | None = None
    queued: int | None = None
    per_day: tuple[tuple[DayUse, float], ...] = ()

    def key_of(self, about: QueueKeys) -> str | None:
        """The key of a job or request in this limit's scope, if the limit is for it; teams have `keys_of`."""
        key = {
            LimitScope.PERSON: about.person,
            LimitScope.LANE: about.lane,
            LimitScope.REPOSITORY: about.repository,
            LimitScope.TEAM: None,
        }[self.scope]
        return key if key and (self.keys is None or key in self.keys) else None

    def teams(self, people: People) -> Mapping[str, tuple[str, ...]]:
        """The members of each role that the limit is for; empty for other scopes, and for teams with repositories."""
        if self.scope is not LimitScope.TEAM or (self.keys is None and people.teams.are_separate):
            return {}
        names = people.roles() if self.keys is None else self.keys
        roles = sorted(set(names) - self.repositories(people).keys())
        return {name: people.of_repository(None).matching([name]) for name in roles}

    def repositories(self, people: People) -> Mapping[str, tuple[str, ...]]:
        """The repositories of each team that the limit is for, by the team; empty in a home without teams."""
        if self.scope is not LimitScope.TEAM or not people.teams.are_separate:
            return {}
        teams = people.teams.names_with_default
        names = teams if self.keys is None else teams & self.keys
        return {name: people.teams.repositories_of([name]) for name in sorted(names)}

    def keys_of(self, about: QueueKeys, people: People) -> Iterable[str]:
        """The keys under which the limit counts a job or a request."""
        if self.scope is LimitScope.TEAM:
            roles = [role for role, members in self.teams(people).items() if about.person in members]
            owned = self.repositories(people).items()
            return [*roles, *(team for team, names in owned if about.repository in names)]
        key = self.key_of(about)
        return [key] if key is not None else []
