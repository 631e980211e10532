"""The circuit breaker: an endpoint that fails repeatedly is skipped for a while, then tried with a single request.

It is a pure value that is given the time; `core.services.endpoint_health` keeps one for each endpoint.
"""

from __future__ import annotations

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
