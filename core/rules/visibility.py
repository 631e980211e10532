"""Visibility: which tasks a person can see where they act, by the scope of the channel."""

from __future__ import annotations

from core.model.errors import NotFoundError
from core.model.place import RepositoryScope
from core.model.task import Task
from core.model.turn import Actor
from core.store import tasks
from core.store.unit_of_work import Tx


def is_visible(task: Task, actor: Actor) -> bool:
    """Whether a task is inside the actor's scope: its repository, or, while it has none, one that it may get."""
    return is_visible_in(task.repo, task.scope, actor)


def is_visible_in(repo: str | None, scope: RepositoryScope, actor: Actor) -> bool:
    """`is_visible` for a task of `repo` that was requested in `scope`."""
    return actor.scope.covers(repo) if repo is not None else actor.scope.overlaps(scope)


async def visible_task(tx: Tx, number: int, actor: Actor, *, lock: bool = False) -> Task:
    """The task `number`; with `lock` it is locked until this transaction ends.

    Raises `NotFoundError` if there is none, or if it is outside the actor's scope.
    """
    task = await tasks.load(tx, number, lock=lock)
    if not is_visible(task, actor):
        raise NotFoundError(
            "not_here",
            f"#{number} is not a task of this channel's repositories",
            "Ask where its repository is discussed, or in a direct message.",
        )
    return task
