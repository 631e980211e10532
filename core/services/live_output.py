"""The output of running work, for those who look at a task: a worker stores it only while someone does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.model.job import JobState
from core.model.job_output import OutputPiece
from core.model.turn import Actor
from core.rules.visibility import visible_task
from core.settings import SettingsSource
from core.store import job_output
from core.store.database import Database
from core.store.unit_of_work import Tx, reads, writes_quietly

WATCH_MS: Final = 30_000
"""How long a look lasts; a page that stays open renews it."""
MAX_PIECES: Final = 64


@dataclass(frozen=True, slots=True)
class OutputLook:
    """What one look at a task's output saw: pieces after the last look, and whether any job still runs.

    `is_over` says that no job of the task runs or can run soon. `is_watched` says that its workers know that someone
    looks.
    """

    pieces: tuple[OutputPiece, ...]
    is_running: bool
    is_over: bool
    is_watched: bool


@dataclass(frozen=True, slots=True)
class LiveOutputs:
    """Reads the output of running jobs, within the scope of an actor."""

    database: Database
    settings: SettingsSource

    async def look(self, number: int, actor: Actor, after: int = 0) -> OutputLook:
        """The pieces after the one with the id `after`; raises `NotFoundError`, also outside the actor's scope.

        Until `WATCH_MS` after the last look, the worker that runs a job of the task stores what its programs write.
        """
        look = await self._look(number, actor, after)
        if look.is_running and not look.is_watched:
            await self._watch(number)
        return look

    @reads
    async def _look(self, tx: Tx, number: int, actor: Actor, after: int) -> OutputLook:
        await visible_task(tx, self.settings(), number, actor)
        states = await job_output.states_of_work(tx, number)
        is_running = JobState.RUNNING in states
        pieces = await job_output.after(tx, number, after, MAX_PIECES) if is_running or after else []
        until_ms = await job_output.watched_until(tx, number) if is_running else 0
        is_over = not is_running and JobState.READY not in states
        return OutputLook(tuple(pieces), is_running, is_over, until_ms > tx.now_ms + WATCH_MS // 2)

    @writes_quietly
    async def _watch(self, tx: Tx, number: int) -> None:
        await job_output.watch(tx, number, tx.now_ms + WATCH_MS)
