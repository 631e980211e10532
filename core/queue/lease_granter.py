"""The lease granter: one worker of all runs the scheduler over the leases and endpoints in the database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from core.log import fault_of, log
from core.model.errors import CountersignError
from core.ports.leases import EndpointControl
from core.queue.duty_lease import DutyLease
from core.queue.lease_scheduling import LeaseScheduling
from core.queue.model_moves import ModelMoves
from core.queue.shadow_scheduling import ShadowScheduling
from core.services.idle_looks import FIRST_S, IdleLooks
from core.services.inventory import EndpointStatus, Inventory
from core.services.model_leases import ModelLeaseBook
from core.services.scheduler_weights import SchedulerWeights

BUSY_EVERY_S: Final = 0.1
IDLE_EVERY_S: Final = 0.5
INVENTORY_EVERY_S: Final = 1.0
_LEAD_EVERY_S: Final = 2.0


@dataclass(slots=True)
class LeaseGranter:
    """Grants leases on behalf of one worker while that has the duty; `on_change` is called after every grant.

    `on_moved` is called when a load ended: the endpoint should be looked at soon, because what is known of it is older.

    When the duty comes to this worker, the scheduler is built anew from the rows; nothing of it is stored elsewhere.
    """

    book: ModelLeaseBook
    inventory: Inventory
    duty: DutyLease
    control: EndpointControl
    on_change: Callable[[], None] = lambda: None
    on_moved: Callable[[], None] = lambda: None
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    _scheduling: LeaseScheduling | None = None
    _moves: ModelMoves | None = None
    _looked_s: float = 0.0
    _led_s: float = 0.0
    shadow: ShadowScheduling = field(init=False)
    _idle: IdleLooks = field(init=False)

    def __post_init__(self) -> None:
        self._idle = IdleLooks(self.inventory.database, max(FIRST_S, self.duty.settings().timing.lease_s / 3))
        self.shadow = ShadowScheduling(SchedulerWeights(self.book.database, self.duty.settings))

    @property
    def scheduling(self) -> LeaseScheduling | None:
        """What this worker schedules with while it has the duty; forecasts run a copy of its scheduler forward."""
        return self._scheduling

    async def run(self) -> None:
        """Grant again and again, until cancelled."""
        try:
            while True:
                is_busy = False
                try:
                    is_busy = bool(await self._idle.unless_idle(self.step))
                except CountersignError as error:  # what was decided may not be recorded: begin anew from the rows
                    log.warning("leases_not_granted", problem=error.problem.message)
                    self._stop()
                except Exception as error:  # noqa: BLE001 - what is granted wrongly once must not stop the worker
                    log.error("lease_granter_broke", **fault_of(error))
                    self._stop()
                await self._sleep(BUSY_EVERY_S if is_busy else IDLE_EVERY_S)
        finally:
            self._stop()

    async def step(self) -> bool:
        """Do what can be done now; returns whether any lease is alive."""
        if not self.inventory.configured() or not await self._leads():
            self._stop()
            return False
        scheduling, moves = await self._current()
        alive = await self.book.alive()
        now_s = alive.now_s
        if await self.shadow.step(scheduling.scheduler, now_s):
            self._stop()  # the weights were changed: begin anew from the rows
            return True
        if now_s - self._looked_s >= INVENTORY_EVERY_S or scheduling.is_behind(alive.leases):
            self._looked_s = now_s
            scheduling.see_endpoints(self._scheduled(await self.inventory.endpoints()), moves.moving, now_s)
        if finished := moves.take_finished():
            self.on_moved()
        for outcome in finished:
            scheduling.see_move(outcome, now_s)
        scheduling.see_leases(alive.leases, now_s)
        moves.begin(scheduling.take_moves())
        verdicts = scheduling.take_verdicts(now_s)
        if verdicts or alive.expired:
            await self.book.record(
                granter=self.duty.worker,
                granted=verdicts.granted,
                places=verdicts.places,
                refused=verdicts.refused,
                reasons=verdicts.reasons,
                expired=alive.expired,
            )
            self.on_change()
        return bool(alive.leases) or bool(moves.moving)

    async def _leads(self) -> bool:
        now_s = time.monotonic()
        every_s = min(_LEAD_EVERY_S, self.duty.settings().timing.lease_s / 4)
        if self._scheduling is None or now_s - self._led_s >= every_s:
            if not await self.duty.is_ours():
                return False
            self._led_s = now_s
        return True

    async def _current(self) -> tuple[LeaseScheduling, ModelMoves]:
        if self._scheduling is None or self._moves is None:
            await self.book.prune()
            weights = await self.shadow.weights()
            self._scheduling = LeaseScheduling(await self.book.history(), weights, self.shadow.tell)
            self._moves = ModelMoves(self.control, self.inventory, self.wake.set)
            self._looked_s = 0.0
        return self._scheduling, self._moves

    @staticmethod
    def _scheduled(statuses: Iterable[EndpointStatus]) -> Sequence[EndpointStatus]:
        return [status for status in statuses if status.snapshot.is_scheduled]

    def _stop(self) -> None:
        if self._moves is not None:
            self._moves.close()
        self._scheduling = self._moves = None

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.wake.wait()
        except TimeoutError:
            pass
        self.wake.clear()
