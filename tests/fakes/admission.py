"""Admission to endpoints in memory, for tests of what asks models, as `core.ports.inventory.EndpointAdmission`."""

from __future__ import annotations

import time
from collections.abc import Callable

from core.model.circuit_breaker import BreakerThresholds, CircuitBreaker
from core.ports.inventory import EndpointRefusal


class MemoryAdmission:
    """A circuit breaker for each endpoint. `clock` is monotonic, in seconds."""

    def __init__(
        self, thresholds: BreakerThresholds | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._new = CircuitBreaker(thresholds or BreakerThresholds())
        self._clock = clock
        self._breakers: dict[str, CircuitBreaker] = {}
        self._causes: dict[str, str] = {}
        self.loads: list[tuple[str, str, float]] = []

    async def admit(self, endpoint: str) -> EndpointRefusal | None:
        self._breakers[endpoint], is_admitted = self._breakers.get(endpoint, self._new).admit(self._clock())
        return None if is_admitted else EndpointRefusal(self._causes.get(endpoint, ""), self.wait_s(endpoint))

    async def record_success(self, endpoint: str) -> None:
        self._breakers.pop(endpoint, None)
        self._causes.pop(endpoint, None)

    async def record_failure(self, endpoint: str, retry_after_s: float | None = None, cause: str = "") -> None:
        self._breakers[endpoint] = self._breakers.get(endpoint, self._new).after_failure(self._clock(), retry_after_s)
        self._causes[endpoint] = cause or self._causes.get(endpoint, "")

    async def record_load(self, endpoint: str, model: str, seconds: float) -> None:
        self.loads.append((endpoint, model, seconds))

    def last_cause(self, endpoint: str) -> str:
        """The cause of the last failure; empty after a success."""
        return self._causes.get(endpoint, "")

    def wait_s(self, endpoint: str) -> float:
        """The seconds until the next attempt; 0 when one is allowed now."""
        until_s = self._breakers.get(endpoint, self._new).until_s
        return 0.0 if until_s is None else max(0.0, until_s - self._clock())
