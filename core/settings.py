"""Settings: people, repositories, lanes and the policy, as one consistent snapshot of the configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from core.model.errors import NotFoundError, PermanentError
from core.model.lane import Lane
from core.model.limits import Limit
from core.model.masking import Mask, no_mask
from core.model.person import People
from core.ports.policy import Policy
from core.ports.repository import RepositorySpec


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of the queue, in seconds.

    A worker sends a heartbeat every `heartbeat_s`; without one for `lease_s`, it is declared dead and its jobs are
    rescued. An idle worker looks for jobs every `poll_s`. It runs `slots` jobs at once.
    """

    heartbeat_s: float = 3.0
    lease_s: float = 15.0
    poll_s: float = 1.0
    slots: int = 2


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration in force; it is read for every decision, so that an edit applies at the next click.

    `mask` masks secrets in displayed requests and events. `zone` is the time zone of recurring requests that name none,
    an IANA name. `surface_classes` are the classes of work, chat or bulk, of requests from some surfaces. `limits` are
    those by key.
    """

    people: People
    repositories: Mapping[str, RepositorySpec]
    lanes: Mapping[str, Lane]
    policy: Policy
    timing: Timing = Timing()
    mask: Mask = no_mask
    zone: str = "UTC"
    surface_classes: Mapping[str, str] = field(default_factory=dict)
    limits: tuple[Limit, ...] = ()

    def people_of(self, repository: str | None) -> People:
        """The people of the team that owns a repository, with the roles that they have there; see `People`."""
        return self.people.of_repository(repository)

    def repository(self, name: str) -> RepositorySpec:
        """The repository called `name`; raises `NotFoundError`."""
        repository = self.repositories.get(name)
        if repository is None:
            raise NotFoundError(
                "no_such_repository",
                f"no repository called {name!r} is configured",
                f"Known: {', '.join(sorted(self.repositories)) or 'none'}.",
            )
        return repository

    def lane(self, name: str) -> Lane:
        """The lane called `name`; raises `PermanentError` if it was removed since it was chosen."""
        lane = self.lanes.get(name)
        if lane is None:
            raise PermanentError(
                "lane_gone", f"the lane {name!r} is no longer configured", "Reply to choose another lane."
            )
        return lane


SettingsSource = Callable[[], Settings]
"""Returns the settings in force; a file with an error leaves the last valid ones in force."""
