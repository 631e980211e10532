"""What is configured now: people, repositories, lanes and the policy, as one consistent snapshot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.model.errors import NotFoundError, PermanentError
from core.model.lane import Lane
from core.model.masking import Mask, shows_all
from core.model.person import People
from core.ports import Policy, RepositorySpec


@dataclass(frozen=True, slots=True)
class Timing:
    """How the queue paces itself, in seconds.

    A worker says every `heartbeat_s` that it lives; silent for `lease_s`, it is declared dead and its jobs
    go to others. An idle worker looks for work every `poll_s`. `slots` jobs run at once.
    """

    heartbeat_s: float = 3.0
    lease_s: float = 15.0
    poll_s: float = 1.0
    slots: int = 2


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration in force: read again at every decision, so that an edit holds at the next click.

    `mask` takes the secrets out of what is shown of requests and events. `zone` is the time zone of recurring requests
    that name none, an IANA name.
    """

    people: People
    repositories: Mapping[str, RepositorySpec]
    lanes: Mapping[str, Lane]
    policy: Policy
    timing: Timing = Timing()
    mask: Mask = shows_all
    zone: str = "UTC"

    def repository(self, name: str) -> RepositorySpec:
        """The repository called `name`; raises `NotFoundError`."""
        found = self.repositories.get(name)
        if found is None:
            raise NotFoundError(
                "no_such_repository",
                f"no repository called {name!r} is configured",
                f"Known: {', '.join(sorted(self.repositories)) or 'none'}.",
            )
        return found

    def lane(self, name: str) -> Lane:
        """The lane called `name`; raises `PermanentError` when it was removed since it was chosen."""
        found = self.lanes.get(name)
        if found is None:
            raise PermanentError(
                "lane_gone", f"the lane {name!r} is no longer configured", "Reply to choose another lane."
            )
        return found


SettingsSource = Callable[[], Settings]
"""Gives the settings in force; a broken edit of a file leaves the last good ones in force."""
