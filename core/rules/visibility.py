"""Visibility: which tasks and repositories a person can see where they act, by their teams and by the channel.

A task belongs to the team that owns its repository. One that has no repository yet is seen by those who see every
repository that it may get, and by its requester. What another team owns does not exist: it is answered as a task or a
repository is that never was. A task of the own team that is outside the channel's repositories is refused as such.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.model.errors import NotFoundError, RefusedError
from core.model.person import People
from core.model.place import EVERY_REPOSITORY, RepositoryScope
from core.model.role import Role
from core.model.task import Task
from core.model.turn import Actor
from core.ports.repository import RepositorySpec
from core.settings import Settings
from core.store import tasks
from core.store.unit_of_work import Tx


@dataclass(frozen=True, slots=True)
class Visibility:
    """What one actor can see: `teams` are the repositories of their teams, `channel` those of where they act.

    `person` is None for the operator of the home and the system.
    """

    person: str | None
    teams: RepositoryScope
    channel: RepositoryScope
    people: People

    @property
    def repositories(self) -> RepositoryScope:
        """The repositories whose tasks they see here."""
        return self.teams.within(self.channel)

    @property
    def is_whole(self) -> bool:
        """Whether they see everything of the home."""
        return self.repositories.names is None

    def owns(self, repo: str | None, scope: RepositoryScope, requester: str) -> bool:
        """Whether a task of `repo`, requested by `requester` in a channel for `scope`, belongs to a team of theirs."""
        if self.teams.names is None or (repo is None and requester == self.person):
            return True
        if repo is not None:
            return self.teams.covers(repo)
        return self.teams.contains(scope.within(self.people.seen_by(requester)))

    def shows(self, repo: str | None, scope: RepositoryScope, requester: str) -> bool:
        """Whether they see such a task here."""
        is_here = self.channel.covers(repo) if repo is not None else self.channel.overlaps(scope)
        return is_here and self.owns(repo, scope, requester)

    def shows_task(self, task: Task) -> bool:
        """Whether they see this task here."""
        return self.shows(task.repo, task.scope, task.requester)


def visibility_of(settings: Settings, actor: Actor) -> Visibility:
    """What `actor` can see now; the operator of the home and the system see all teams."""
    is_bound = actor.person is not None and not actor.is_operator
    teams = settings.people.seen_by(actor.person or "") if is_bound else EVERY_REPOSITORY
    return Visibility(actor.person, teams, actor.scope, settings.people)


def requesting_actor(settings: Settings, actor: Actor) -> Actor:
    """`actor` within the repositories for which their roles let them make requests at all."""
    if actor.person is None or actor.is_operator:
        return actor
    return replace(actor, scope=settings.people.seen_by(actor.person, Role.REQUESTER).within(actor.scope))


def visible_repository(settings: Settings, actor: Actor, name: str) -> RepositorySpec:
    """The repository called `name`; raises `NotFoundError` for one that is not configured or is another team's."""
    visibility = visibility_of(settings, actor)
    if name in settings.repositories and visibility.teams.covers(name):
        return settings.repositories[name]
    known = ", ".join(visible_names(settings, visibility)) or "none"
    raise NotFoundError("no_such_repository", f"no repository called {name!r} is configured", f"Known: {known}.")


def visible_names(settings: Settings, visibility: Visibility) -> tuple[str, ...]:
    """The names of the configured repositories that are seen here, sorted."""
    return tuple(sorted(name for name in settings.repositories if visibility.repositories.covers(name)))


def check_whole_home(settings: Settings, actor: Actor) -> None:
    """Raise `RefusedError` for an actor who sees only some teams; for what is about the whole home."""
    if not visibility_of(settings, actor).is_whole:
        mend = "An operator of Countersign gives such a role, as `home_roles` in countersign.yaml."
        raise RefusedError("not_of_one_team", "this is about all teams together", mend)


async def visible_task(tx: Tx, settings: Settings, number: int, actor: Actor, *, lock: bool = False) -> Task:
    """The task `number`; with `lock` it is locked until this transaction ends.

    Raises `NotFoundError` if there is none, if it is another team's, or if it is outside the channel's repositories.
    """
    visibility = visibility_of(settings, actor)
    task = await tasks.load(tx, number, lock=lock)
    if not visibility.owns(task.repo, task.scope, task.requester):
        raise tasks.no_such_task(number)
    if not visibility.shows_task(task):
        raise NotFoundError(
            "not_here",
            f"#{number} is not a task of this channel's repositories",
            "Ask where its repository is discussed, or in a direct message.",
        )
    return task
