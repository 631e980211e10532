"""Which endpoints may be asked now: one circuit breaker for each, shared by all workers, and drains and canaries."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from core.log import log
from core.model.circuit_breaker import BreakerState, BreakerThresholds, CircuitBreaker
from core.model.errors import CountersignError
from core.model.family_figures import TimingKind
from core.model.inventory import ServerState
from core.ports.inventory import EndpointRefusal
from core.store import inventory
from core.store.database import Database
from core.store.inventory import EndpointGate
from core.store.unit_of_work import Tx, reads, writes

T = TypeVar("T")

_LOOK_AGAIN_S: Final = 30.0
"""When work that a drain or a dead model keeps from an endpoint asks again."""
_STALE_MS: Final = 60_000
"""A state that no worker confirmed for this long keeps nothing from an endpoint."""


@dataclass(frozen=True, slots=True)
class EndpointHealth:
    """Implements `core.ports.inventory.EndpointAdmission` by the database's clock.

    While the database cannot be reached every endpoint may be asked: its answers are worth more than the count of its
    failures.
    """

    database: Database
    thresholds: BreakerThresholds = field(default_factory=BreakerThresholds)

    async def admit(self, endpoint: str) -> EndpointRefusal | None:
        """See `EndpointAdmission.admit`."""
        return await _or_log(self._admit(endpoint), None)

    async def record_success(self, endpoint: str) -> None:
        """See `EndpointAdmission.record_success`."""
        await _or_log(self._close(endpoint), None)

    async def record_failure(self, endpoint: str, retry_after_s: float | None = None, cause: str = "") -> None:
        """See `EndpointAdmission.record_failure`."""
        await _or_log(self._fail(endpoint, retry_after_s, cause), None)

    async def record_load(self, endpoint: str, model: str, seconds: float) -> None:
        """See `EndpointAdmission.record_load`; a model that no look has shown yet is of no known family."""
        await _or_log(self._learn(endpoint, model, seconds), None)

    @writes
    async def _learn(self, tx: Tx, endpoint: str, model: str, seconds: float) -> None:
        stored = (await inventory.endpoints(tx)).get(endpoint)
        models = stored.snapshot.models if stored is not None and stored.snapshot is not None else ()
        for known in models:
            if known.name in (model, f"{model}:latest"):
                await inventory.add_timing(tx, endpoint, known.family.key, TimingKind.LOAD, seconds)

    async def _admit(self, endpoint: str) -> EndpointRefusal | None:
        refusal, is_trial = await self._look(endpoint)
        return await self._take_trial(endpoint) if is_trial else refusal

    @reads
    async def _look(self, tx: Tx, endpoint: str) -> tuple[EndpointRefusal | None, bool]:
        """Why the endpoint may not be asked, if so, and whether this would be the trial of a half-open breaker."""
        gate = await inventory.gate(tx, endpoint)
        if gate is None:
            return None, False
        if (reason := _held_back(endpoint, gate, tx.now_ms)) is not None:
            return EndpointRefusal(reason, _LOOK_AGAIN_S), False
        breaker = self._breaker(gate)
        if breaker.state(tx.now_ms / 1000) is BreakerState.OPEN:
            return _refusal(endpoint, gate, breaker, tx), False
        return None, breaker.state(tx.now_ms / 1000) is BreakerState.HALF_OPEN

    @writes
    async def _take_trial(self, tx: Tx, endpoint: str) -> EndpointRefusal | None:
        """Be the one that asks a half-open endpoint, or say why another is."""
        gate = await inventory.lock_gate(tx, endpoint)
        breaker, is_admitted = self._breaker(gate).admit(tx.now_ms / 1000)
        if not is_admitted:
            return _refusal(endpoint, gate, breaker, tx)
        await inventory.save_breaker(tx, endpoint, breaker, gate.cause)
        return None

    async def _close(self, endpoint: str) -> None:
        if await self._has_failures(endpoint):
            await self._reset(endpoint)

    @reads
    async def _has_failures(self, tx: Tx, endpoint: str) -> bool:
        gate = await inventory.gate(tx, endpoint)
        return gate is not None and gate.failures > 0

    @writes
    async def _reset(self, tx: Tx, endpoint: str) -> None:
        await inventory.save_breaker(tx, endpoint, CircuitBreaker(self.thresholds), "")

    @writes
    async def _fail(self, tx: Tx, endpoint: str, retry_after_s: float | None, cause: str) -> None:
        gate = await inventory.lock_gate(tx, endpoint)
        breaker = self._breaker(gate).after_failure(tx.now_ms / 1000, retry_after_s)
        await inventory.save_breaker(tx, endpoint, breaker, cause or gate.cause)

    def _breaker(self, gate: EndpointGate) -> CircuitBreaker:
        until_s = gate.open_until_ms / 1000 if gate.open_until_ms else None
        return CircuitBreaker(self.thresholds, gate.failures, gate.openings, until_s, gate.is_trial_running)


def _held_back(endpoint: str, gate: EndpointGate, now_ms: int) -> str | None:
    """Why an endpoint that may be well gets no requests."""
    if gate.drain is not None:
        by = f" by {gate.drain.by}" if gate.drain.by else ""
        return f"the endpoint {endpoint} is drained{by}" + (f": {gate.drain.reason}" if gate.drain.reason else "")
    if gate.state is ServerState.WEDGED and now_ms - gate.checked_ms < _STALE_MS:
        return f"the endpoint {endpoint} hangs: {gate.problem}"
    return None


def _refusal(endpoint: str, gate: EndpointGate, breaker: CircuitBreaker, tx: Tx) -> EndpointRefusal:
    cause = gate.cause or f"The endpoint {endpoint} failed several times in a row"
    return EndpointRefusal(cause, max(0.0, (breaker.until_s or 0.0) - tx.now_ms / 1000))


async def _or_log(work: Awaitable[T], otherwise: T) -> T:
    """The result of `work`, or `otherwise` when the database cannot be reached."""
    try:
        return await work
    except CountersignError as error:
        log.warning("endpoint_health_unknown", problem=error.problem.message)
        return otherwise
