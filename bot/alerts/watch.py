"""Evaluates the objectives again and again, and alerts operators in their chats."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from bot.alerts.alert_text import OVER, alerts_of
from bot.alerts.certificates import certificate_ends
from bot.alerts.objectives_file import ObjectivesFile
from core.log import log
from core.model.errors import CountersignError
from core.model.objective import Subject
from core.model.place import Place
from core.queue.duty_lease import DutyLease
from core.services.alerts import Alerts
from core.services.objectives import ObjectiveEvaluation

EVERY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class AlertWatch:
    """One of all serving processes does this; `lease` is that of the duty `core.store.leaders.ALERTS`."""

    lease: DutyLease
    alerts: Alerts
    evaluation: ObjectiveEvaluation
    objectives: Callable[[], ObjectivesFile]
    endpoints: Callable[[], Collection[str]]
    places: Callable[[], Sequence[Place]]
    every_s: float = EVERY_S

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(self.every_s)
            try:
                if await self.lease.is_ours():
                    await self.round()
            except CountersignError as error:  # a mistake in the file too: what was announced stays as it is
                log.warning("alerts_not_checked", problem=error.problem.message)

    async def round(self) -> int:
        """Look once; returns how many alerts began or ended.

        Raises `CountersignError`, also for a mistake in objectives.yaml.
        """
        file = self.objectives()
        settings = file.alerts
        if any(each.subject is Subject.ENDPOINT for each in file.objectives):
            await self.alerts.record_looks(self.endpoints())
        results = await self.evaluation.evaluate(file.objectives)
        if results or await self.alerts.has_results():
            await self.alerts.record_results(results)
        situation = await self.alerts.situation(
            self.endpoints(), settings.queue_stalled_s * 1000, settings.endpoint_lost_s * 1000, settings.expiry_s * 1000
        )
        certificates = await asyncio.to_thread(certificate_ends, settings.certificates)
        soon = datetime.now(UTC) + timedelta(seconds=settings.expiry_s)
        lasting = alerts_of(situation, results, certificates, soon)
        return await self.alerts.settle(lasting, OVER, settings.to or self.places())
