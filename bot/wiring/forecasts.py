"""Wires the queue's forecasts: the worker that grants models makes them, or one of all where none are configured."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from core.log import log
from core.model.errors import CountersignError
from core.services.idle_looks import IdleLooks

if TYPE_CHECKING:
    from bot.wiring.app import App
    from core.queue.lease_granter import LeaseGranter
    from core.queue.queue_forecaster import QueueForecaster

_LOOKS_EVERY_S: Final = 3.0
_LONGEST_S: Final = 60.0
"""After how long it looks in any case; no job begins to wait without a commit."""


@dataclass(frozen=True, slots=True)
class LateForecaster:
    """Forecasts from the first job on; until then nothing of it is imported, so that an idle `serve` stays small.

    `granter` returns this worker's granter of models, once it runs.
    """

    app: App
    worker: str
    granter: Callable[[], LeaseGranter | None]

    async def run(self) -> None:
        """Run until cancelled."""
        idle = IdleLooks(self.app.database, _LONGEST_S, _LONGEST_S)
        while not await idle.unless_idle(self._any_in_work):  # noqa: ASYNC110 (it asks the database)
            await asyncio.sleep(_LOOKS_EVERY_S)
        await self._build().run()

    async def _any_in_work(self) -> bool:
        try:
            return await self.app.queries.any_in_work()
        except CountersignError as error:
            log.warning("queue_not_forecast", problem=error.problem.message)
            return False

    def _build(self) -> QueueForecaster:
        from core.queue.duty_lease import DutyLease
        from core.queue.queue_forecaster import QueueForecaster
        from core.services.queue_forecasts import QueueForecasts
        from core.store import leaders

        app = self.app
        duty = DutyLease(app.database, app.settings, leaders.FORECAST, self.worker)

        async def leads() -> bool:
            if not app.config.endpoint_kinds:
                return await duty.is_ours()
            granter = self.granter()
            return granter is not None and granter.scheduling is not None

        return QueueForecaster(
            forecasts=QueueForecasts(app.database, app.settings),
            settings=app.settings,
            leads=leads,
            scheduling=lambda: granter.scheduling if (granter := self.granter()) is not None else None,
        )
