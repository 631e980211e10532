"""Shadow scheduling: other weights beside the live scheduler, and the watch over weights that were adopted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from core.log import log
from core.scheduler.events import Decision, EndpointUp, Event
from core.scheduler.weights import Weights
from core.services.scheduler_weights import SchedulerWeights, ShadowFigures, WeightsState

if TYPE_CHECKING:
    from core.scheduler.scheduler import Scheduler
    from core.simulator.shadow import ShadowScheduler

LOOK_EVERY_S: Final = 5.0
RECORD_EVERY_S: Final = 10.0
WATCH_EVERY_S: Final = 30.0


@dataclass(slots=True)
class ShadowScheduling:
    """Runs the candidate and, to compare it with, today's weights on the events of the live scheduler.

    A granter asks `weights` when it begins, passes each event to `tell`, and begins anew when `step` says so.
    """

    book: SchedulerWeights
    _state: WeightsState = field(default_factory=WeightsState)
    _candidate: ShadowScheduler | None = None
    _today: ShadowScheduler | None = None
    _looked_s: float = 0.0
    _recorded_s: float = 0.0
    _watched_s: float = 0.0

    async def weights(self) -> Weights:
        """The weights to begin with."""
        self._state = await self.book.state()
        self._candidate = self._today = None
        self._looked_s = 0.0
        return self._state.current

    async def step(self, scheduler: Scheduler, now_s: float) -> bool:
        """Look at the stored weights from time to time; True when the queue is to use others from now on."""
        if now_s - self._looked_s < LOOK_EVERY_S:
            return False
        self._looked_s = now_s
        state = await self.book.state()
        if state.before is not None and now_s - self._watched_s >= WATCH_EVERY_S:
            self._watched_s = now_s
            state = await self.book.watch()
        if state.version != self._state.version:
            log.info("weights_changed", version=state.version, reverted=list(state.reverted))
            return True
        if state.candidate != self._state.candidate:
            self._begin(state, scheduler, now_s)
        self._state = state
        if state.candidate is not None and now_s - self._recorded_s >= RECORD_EVERY_S:
            self._recorded_s = now_s
            await self._record(state.candidate)
        return False

    def tell(self, event: Event, decisions: Sequence[Decision], now_s: float) -> None:
        """Pass on what happened, and what the live scheduler decided upon it."""
        for shadow in (self._candidate, self._today):
            if shadow is None:
                continue
            try:
                shadow.tell(event, decisions, now_s)
            except Exception as error:  # noqa: BLE001 - what only watches must not stop the queue
                log.error("shadow_scheduling_broke", problem=repr(error))
                self._candidate = self._today = None
                return

    def _begin(self, state: WeightsState, scheduler: Scheduler, now_s: float) -> None:
        """Begin with the endpoints as they are; what waits or runs already is left out."""
        self._candidate = self._today = None
        if state.candidate is None:
            return
        from core.simulator.shadow import ShadowScheduler  # noqa: PLC0415 - only while weights are tried

        families = scheduler.waiting.families
        self._candidate = ShadowScheduler(families, state.candidate)
        self._today = ShadowScheduler(families, state.current)
        self._recorded_s = now_s
        for endpoint in scheduler.endpoints.values():
            residents = tuple(name for name, each in endpoint.residents.items() if each.is_ready)
            self.tell(EndpointUp(endpoint.spec, residents), (), now_s)

    async def _record(self, candidate: Weights) -> None:
        if self._candidate is None or self._today is None:
            return
        figures = ShadowFigures(
            dict(self._today.figures),
            dict(self._candidate.figures),
            self._today.loads,
            self._candidate.loads,
            tuple(
                {"lease": each.demand, "endpoint": each.endpoint, "wait_s": each.wait_s}
                for each in self._candidate.recent
            ),
        )
        await self.book.record_shadow(self._state.version, candidate, figures)
