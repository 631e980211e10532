"""Previews: how a request would be read and planned, without making it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from core.model.intent import Intent, Unclear
from core.model.turn import Turn
from core.ports.executor import Executor
from core.ports.interpretation import InterpretationContext, Interpreter
from core.ports.repository import Repository
from core.rules.lane_availability import LaneAvailability
from core.rules.planning import RequestOrigin, RequestPlan, open_lanes, plan_request
from core.settings import SettingsSource
from core.store import workers
from core.store.database import Database


@dataclass(frozen=True, slots=True)
class RequestPreview:
    """Reads and plans a request as a worker of this process would now."""

    database: Database
    settings: SettingsSource
    executors: Callable[[], Mapping[str, Executor]]
    repository: Callable[[str], Repository]

    async def read(
        self, origin: RequestOrigin, text: str, interpreter: Interpreter, *, with_files: bool = True
    ) -> Intent | Unclear:
        """The intent that `interpreter` reads; the text alone if the named lane's executor gets the text as it is.

        `with_files` lets the interpreter list and read the repository's files, which may be fetched first.
        """
        settings, availability = self.settings(), await self._availability()
        if not availability.reads_text(settings.lanes.get(origin.lane or "")):
            return Intent(text)
        lanes = open_lanes(settings, origin)
        # in a thread, because checking a lane may start a sandbox
        offers = await asyncio.to_thread(lambda: tuple(map(availability.offer, lanes)))
        context = InterpretationContext(origin.repository, offers)
        if with_files:
            context = self._with_files(context, self.repository(origin.repository))
        turn = Turn(1, origin.person, origin.surface, text, datetime.now(UTC), 1)
        return await interpreter.interpret([turn], context)

    async def plan(self, origin: RequestOrigin, intent: Intent, *, later: bool = False) -> RequestPlan:
        """Policy's decision, and whether the lane can run now; with `later` every lane counts as able to run."""
        availability = await self._availability()
        return plan_request(self.settings(), replace(availability, assumed=later), origin, intent)

    async def _availability(self) -> LaneAvailability:
        return LaneAvailability(self.executors(), tuple(await self.database.read(workers.offered)))

    @staticmethod
    def _with_files(context: InterpretationContext, repository: Repository) -> InterpretationContext:
        async def files() -> Sequence[str]:
            return await repository.paths(await repository.fetch_base())

        async def read(path: str) -> bytes | None:
            return await repository.read_path(await repository.fetch_base(), path)

        return replace(context, files=files, read=read)
