"""Picking: which hunks and files of a staged diff there are to choose from, and choosing some of them."""

from __future__ import annotations

from collections.abc import Callable

from core.model.errors import ConflictError
from core.model.hunk_selection import SelectedHunks, read_selection
from core.model.turn import Actor
from core.ports import Repository
from core.services.requests import Requests
from core.store import tasks
from core.store.database import Database
from lanes.executors.pick import read_selectable

Repositories = Callable[[str], Repository]


async def parts_of(database: Database, repository: Repositories, number: int) -> tuple[SelectedHunks, ...]:
    """The parts of what a task has staged, in the order of their numbers; raises `ConflictError` when nothing is."""
    task = await database.read(lambda session: tasks.load(session, number))
    if task.staged is None or task.repo is None:
        raise ConflictError("nothing_staged", f"#{number} has nothing staged to pick from", "Look at its card.")
    return (await read_selectable(repository(task.repo), task.staged.base, task.staged.tree)).parts


async def picked(
    database: Database,
    repository: Repositories,
    service: Requests,
    number: int,
    what: str,
    actor: Actor,
    dedup: str | None = None,
) -> None:
    """Begin a revision with only what `what` names; a slip in it raises `UsageError` and supersedes nothing."""
    read_selection(what, await parts_of(database, repository, number))
    await service.pick(number, what, actor, dedup=dedup)
