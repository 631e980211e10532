"""Previews: what would become of a request that nobody made. Changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from core.model.intent import Intent, Unclear
from core.model.turn import Turn
from core.ports import Executor, InterpretationContext, Interpreter, Repository
from core.rules.lane_availability import LaneAvailability
from core.rules.planning import RequestOrigin, RequestPlan, open_lanes, plan_request
from core.settings import SettingsSource
from core.store import workers
from core.store.database import Database


@dataclass(frozen=True, slots=True)
class RequestPreview:
    """Reads and plans a request as a worker of this process would do it now."""

    database: Database
    settings: SettingsSource
    executors: Callable[[], Mapping[str, Executor]]
    repository: Callable[[str], Repository]

    async def read(
        self, origin: RequestOrigin, text: str, interpreter: Interpreter, *, with_files: bool = True
    ) -> Intent | Unclear:
        """What `interpreter` reads in the text; the text as it stands where the named lane's executor is given that.

        `with_files` lets it look at the repository's files, which may be fetched first.
        """
        settings, availability = self.settings(), await self._availability()
        if not availability.reads_text(settings.lanes.get(origin.lane or "")):
            return Intent(text)
        lanes = open_lanes(settings, origin)
        # whether a lane can work may be found out by starting a sandbox
        offers = await asyncio.to_thread(lambda: tuple(map(availability.offer, lanes)))
        context = InterpretationContext(origin.repository, offers)
        if with_files:
            context = self._with_files(context, self.repository(origin.repository))
        turn = Turn(1, origin.person, origin.surface, text, datetime.now(UTC), 1)
        return await interpreter.interpret([turn], context)

    async def plan(self, origin: RequestOrigin, intent: Intent, *, later: bool = False) -> RequestPlan:
        """What policy says of the request, and whether its lane can work now; `later` takes it that every lane can."""
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
