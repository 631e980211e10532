"""Circuit breakers: an endpoint that fails repeatedly is skipped for a while, then tried with a single request.

`CircuitBreaker` is a pure value that is given the time. `CircuitBreakers` holds one per endpoint and is shared by every
caller in this process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum


class BreakerState(StrEnum):
    """Closed admits every request, open admits none, half-open admits one trial request."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class BreakerThresholds:
    """A breaker opens for `open_s` after `failures` in a row, and twice as long after each failed trial."""

    failures: int = 3
    open_s: float = 15.0
    max_open_s: float = 300.0


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """The breaker of one endpoint.

    `until_s` is when the next trial is allowed, by the caller's clock; None while closed. `is_trial_running` is True
    while a trial is running; failures reported while the breaker is open without a trial belong to earlier requests.
    """

    thresholds: BreakerThresholds = BreakerThresholds()
    failures: int = 0
    openings: int = 0
    until_s: float | None = None
    is_trial_running: bool = False

    def state(self, now_s: float) -> BreakerState:
        """The state at `now_s`."""
        if self.until_s is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now_s < self.until_s else BreakerState.HALF_OPEN

    def admit(self, now_s: float) -> tuple[CircuitBreaker, bool]:
        """The next breaker, and whether a request may be sent; a half-open breaker opens again for all but the trial.

        A trial whose result is never reported therefore delays the next one by `open_s` at most.
        """
        state = self.state(now_s)
        if state is BreakerState.HALF_OPEN:
            return replace(self, until_s=now_s + self.thresholds.open_s, is_trial_running=True), True
        return self, state is BreakerState.CLOSED

    def after_success(self) -> CircuitBreaker:
        """The breaker after a success: closed, with no failures."""
        return CircuitBreaker(self.thresholds)

    def after_failure(self, now_s: float, retry_after_s: float | None = None) -> CircuitBreaker:
        """The breaker after a failure; `retry_after_s` is what the endpoint asked for, capped at `max_open_s`."""
        requested_s = min(retry_after_s or 0.0, self.thresholds.max_open_s)
        failures = self.failures + 1
        if self.until_s is None and failures < self.thresholds.failures:
            return replace(self, failures=failures)
        if self.until_s is not None and not self.is_trial_running:
            return replace(self, failures=failures, until_s=max(self.until_s, now_s + requested_s))
        wait_s = min(self.thresholds.open_s * 2 ** min(self.openings, 30), self.thresholds.max_open_s)
        until_s = now_s + max(wait_s, requested_s)
        return CircuitBreaker(self.thresholds, failures, self.openings + 1, until_s)


class CircuitBreakers:
    """The breakers of all endpoints by name; thread-safe. `clock` is monotonic, in seconds."""

    def __init__(
        self, thresholds: BreakerThresholds | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._new = CircuitBreaker(thresholds or BreakerThresholds())
        self._clock = clock
        self._breakers: dict[str, CircuitBreaker] = {}
        self._causes: dict[str, str] = {}
        self._lock = threading.Lock()

    def admit(self, endpoint: str) -> bool:
        """True if a request may be sent to `endpoint` now; the caller must then report its success or failure."""
        with self._lock:
            self._breakers[endpoint], is_admitted = self._breakers.get(endpoint, self._new).admit(self._clock())
        return is_admitted

    def record_success(self, endpoint: str) -> None:
        """Record a success."""
        with self._lock:
            self._breakers.pop(endpoint, None)
            self._causes.pop(endpoint, None)

    def record_failure(self, endpoint: str, retry_after_s: float | None = None, cause: str = "") -> None:
        """Record a failure and its cause."""
        with self._lock:
            self._breakers[endpoint] = self._breakers.get(endpoint, self._new).after_failure(
                self._clock(), retry_after_s
            )
            self._causes[endpoint] = cause or self._causes.get(endpoint, "")

    def last_cause(self, endpoint: str) -> str:
        """The cause of the last failure; empty after a success."""
        with self._lock:
            return self._causes.get(endpoint, "")

    def wait_s(self, endpoint: str) -> float:
        """The seconds until the next attempt; 0 when one is allowed now."""
        with self._lock:
            until_s = self._breakers.get(endpoint, self._new).until_s
        return 0.0 if until_s is None else max(0.0, until_s - self._clock())
