"""Visibility: which tasks exist for somebody where they act (the scopes of channels)."""

from __future__ import annotations

from core.model.errors import NotFoundError
from core.model.task import Task
from core.model.turn import Actor
from core.store import tasks
from core.store.unit_of_work import Tx


async def visible_task(tx: Tx, number: int, actor: Actor, *, lock: bool = False) -> Task:
    """The task `number`; with `lock`, nobody else changes it before this transaction ends.

    Raises `NotFoundError` when there is none, or when its repository lies outside the actor's scope.
    """
    task = await tasks.load(tx, number, lock=lock)
    if not actor.scope.covers(task.repo):
        raise NotFoundError(
            "not_here",
            f"#{number} is not a task of this channel's repositories",
            "Ask where its repository is discussed, or in a direct message.",
        )
    return task
