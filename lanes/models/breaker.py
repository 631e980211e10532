"""Circuit breakers: an endpoint that keeps failing is not asked for a while, then tried with one question.

`CircuitBreaker` is pure: a value, told the time. `CircuitBreakers` keeps one for each endpoint, for everybody in this
process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum


class BreakerState(StrEnum):
    """Closed lets everything through, open nothing, half-open one question to see whether it works again."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class BreakerThresholds:
    """After `failures` in a row it opens for `open_s`; twice as long after each failed trial, up to `most_open_s`."""

    failures: int = 3
    open_s: float = 15.0
    most_open_s: float = 300.0


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """One breaker. `until_s` is when the next trial may be, by the caller's clock; None while it is closed.

    `trying`: a trial is on its way. Other failures that come in while it is open belong to older questions.
    """

    thresholds: BreakerThresholds = BreakerThresholds()
    failures: int = 0
    openings: int = 0
    until_s: float | None = None
    trying: bool = False

    def position(self, now_s: float) -> BreakerState:
        """Where it stands."""
        if self.until_s is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now_s < self.until_s else BreakerState.HALF_OPEN

    def admit(self, now_s: float) -> tuple[CircuitBreaker, bool]:
        """Whether a question may go through; a half-open one is open again for all who come after the trial.

        So a trial of which nothing is ever heard holds up the next one no longer than `open_s`.
        """
        position = self.position(now_s)
        if position is BreakerState.HALF_OPEN:
            return replace(self, until_s=now_s + self.thresholds.open_s, trying=True), True
        return self, position is BreakerState.CLOSED

    def succeeded(self) -> CircuitBreaker:
        """An answer came: closed, and nothing held against it."""
        return CircuitBreaker(self.thresholds)

    def failed(self, now_s: float, retry_after_s: float | None = None) -> CircuitBreaker:
        """No answer came; `retry_after_s` is what the endpoint asked for, and gets up to `most_open_s`."""
        asked_s = min(retry_after_s or 0.0, self.thresholds.most_open_s)
        failures = self.failures + 1
        if self.until_s is None and failures < self.thresholds.failures:
            return replace(self, failures=failures)
        if self.until_s is not None and not self.trying:
            return replace(self, failures=failures, until_s=max(self.until_s, now_s + asked_s))
        wait_s = min(self.thresholds.open_s * 2 ** min(self.openings, 30), self.thresholds.most_open_s)
        until_s = now_s + max(wait_s, asked_s)
        return CircuitBreaker(self.thresholds, failures, self.openings + 1, until_s)


class CircuitBreakers:
    """The breakers of all endpoints by name; safe between threads. `clock` is monotonic, in seconds."""

    def __init__(
        self, thresholds: BreakerThresholds | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._new = CircuitBreaker(thresholds or BreakerThresholds())
        self._clock = clock
        self._known: dict[str, CircuitBreaker] = {}
        self._causes: dict[str, str] = {}
        self._lock = threading.Lock()

    def admits(self, endpoint: str) -> bool:
        """Whether a question to `endpoint` may go now; the one that asks must say what came of it."""
        with self._lock:
            self._known[endpoint], admitted = self._known.get(endpoint, self._new).admit(self._clock())
        return admitted

    def succeeded(self, endpoint: str) -> None:
        """It answered."""
        with self._lock:
            self._known.pop(endpoint, None)
            self._causes.pop(endpoint, None)

    def failed(self, endpoint: str, retry_after_s: float | None = None, cause: str = "") -> None:
        """It did not, for this cause."""
        with self._lock:
            self._known[endpoint] = self._known.get(endpoint, self._new).failed(self._clock(), retry_after_s)
            self._causes[endpoint] = cause or self._causes.get(endpoint, "")

    def cause(self, endpoint: str) -> str:
        """Why it failed last; empty while it answers."""
        with self._lock:
            return self._causes.get(endpoint, "")

    def wait_s(self, endpoint: str) -> float:
        """How long until it is tried again; 0 when it may be now."""
        with self._lock:
            until_s = self._known.get(endpoint, self._new).until_s
        return 0.0 if until_s is None else max(0.0, until_s - self._clock())
