"""The repositories that a request may be for: those of the channel where it was made and of the one that answers."""

from __future__ import annotations

from core.model.errors import RefusedError
from core.model.place import RepositoryScope
from core.model.task import Task
from core.model.turn import Actor
from core.rules.visibility import visibility_of
from core.settings import Settings


def offered_repositories(settings: Settings, scope: RepositoryScope) -> tuple[str, ...]:
    """The configured repositories of a scope, sorted; raises `RefusedError` if a limited scope has none."""
    names = tuple(sorted(name for name in settings.repositories if scope.covers(name)))
    if not names and scope.names is not None:
        mend = "Ask where a repository is discussed, or in a direct message."
        raise RefusedError("not_here", "none of the repositories of this channel is configured", mend)
    return names


def answered_repository(settings: Settings, task: Task, reply: str, actor: Actor) -> str | None:
    """The repository that a reply to the question for it names, in any case; None if the reply is something else.

    Raises `RefusedError` for one outside the scope of the request, or of the place where `actor` answers. The name of
    another team's repository is any other text.
    """
    visibility = visibility_of(settings, actor)
    known = [name for name in settings.repositories if visibility.teams.covers(name)]
    options = [name for name in (task.question.options if task.question else ()) if visibility.teams.covers(name)]
    for name in (*options, *known):
        if reply == name.lower():
            visibility.repositories.check(name)
            task.scope.within(visibility.teams).check(name, f"the channel in which #{task.number} was requested")
            return name
    return None
