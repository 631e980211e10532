"""Visibility: which tasks a person can see where they act, by the scope of the channel."""

from __future__ import annotations

from core.model.errors import NotFoundError
from core.model.task import Task
from core.model.turn import Actor
from core.store import tasks
from core.store.unit_of_work import Tx


async def visible_task(tx: Tx, number: int, actor: Actor, *, lock: bool = False) -> Task:
    """The task `number`; with `lock` it is locked until this transaction ends.

    Raises `NotFoundError` if there is none, or if its repository is outside the actor's scope.
    """
    task = await tasks.load(tx, number, lock=lock)
    if not actor.scope.covers(task.repo):
        raise NotFoundError(
            "not_here",
            f"#{number} is not a task of this channel's repositories",
            "Ask where its repository is discussed, or in a direct message.",
        )
    return task
