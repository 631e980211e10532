"""The hunk picker: lists the hunks of a staged diff, and starts a revision that keeps only the chosen ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.model.errors import ConflictError
from core.model.hunk_selection import SelectedHunks, read_selection
from core.model.turn import NOWHERE, SYSTEM, Actor, MessageOrigin
from core.ports.repository import Repository
from core.services.requests import Requests
from core.services.task_document import TaskDocuments
from lanes.executors.pick import read_selectable


@dataclass(frozen=True, slots=True)
class HunkPicker:
    """Lists the parts of a staged diff and starts a revision with some of them."""

    documents: TaskDocuments
    requests: Requests
    repository: Callable[[str], Repository]

    async def parts_of(self, number: int, actor: Actor = SYSTEM) -> tuple[SelectedHunks, ...]:
        """The parts of a task's staged diff in order of their numbers; raises `ConflictError` if nothing is staged."""
        task = (await self.documents.document(number, actor)).task
        if task.staged is None or task.repo is None:
            raise ConflictError("nothing_staged", f"#{number} has nothing staged to pick from", "Look at its card.")
        return (await read_selectable(self.repository(task.repo), task.staged.base, task.staged.tree)).parts

    async def pick(
        self, number: int, hunks: str, actor: Actor, dedup: str | None = None, origin: MessageOrigin = NOWHERE
    ) -> None:
        """Start a revision with only the named `hunks`; raises `UsageError`, without effect, if they are not valid."""
        read_selection(hunks, await self.parts_of(number, actor))
        await self.requests.pick(number, hunks, actor, dedup, origin)
