"""Rate limits of the API, told by RateLimit headers (draft-ietf-httpapi-ratelimit-headers-11).

Each token has a quota of requests that read and one of requests that change something, in fixed windows. An address
that presents wrong tokens has a quota of those. Addresses are those of the connections: no header is trusted.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

_MAX_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class QuotaPolicy:
    """A quota of `quota` requests in each window of `window_s` seconds."""

    name: str
    quota: int
    window_s: int = 60

    @property
    def header(self) -> str:
        """The item of RateLimit-Policy."""
        return f'"{self.name}";q={self.quota};w={self.window_s}'


@dataclass(frozen=True, slots=True)
class ApiQuotas:
    """The quotas of each token, and the one of wrong tokens from one address."""

    read: QuotaPolicy = QuotaPolicy("read", 1200)
    write: QuotaPolicy = QuotaPolicy("write", 240)
    wrong_tokens: QuotaPolicy = QuotaPolicy("wrong-tokens", 60)


@dataclass(frozen=True, slots=True)
class QuotaState:
    """What is left of a quota, and the seconds until the window ends."""

    policy: QuotaPolicy
    remaining: int
    reset_s: int
    is_exceeded: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the response."""
        limit = f'"{self.policy.name}";r={self.remaining};t={self.reset_s}'
        headers = {"RateLimit-Policy": self.policy.header, "RateLimit": limit}
        return headers | ({"Retry-After": str(self.reset_s)} if self.is_exceeded else {})


@dataclass(slots=True)
class _Window:
    ends_s: float
    used: int = 0


@dataclass(slots=True)
class Quotas:
    """The quotas of one process, by name; `clock` is monotonic."""

    clock: Callable[[], float]
    _windows: OrderedDict[tuple[str, str], _Window] = field(default_factory=OrderedDict)

    def take(self, policy: QuotaPolicy, name: str) -> QuotaState:
        """Use one request of a quota."""
        window, state = self._window(policy, name), self.look(policy, name)
        if state.is_exceeded:
            return state
        window.used += 1
        return QuotaState(policy, policy.quota - window.used, state.reset_s)

    def look(self, policy: QuotaPolicy, name: str) -> QuotaState:
        """The state of a quota as it is."""
        window = self._window(policy, name)
        left = policy.quota - window.used
        return QuotaState(policy, max(0, left), max(1, math.ceil(window.ends_s - self.clock())), is_exceeded=left <= 0)

    def _window(self, policy: QuotaPolicy, name: str) -> _Window:
        key, now_s = (policy.name, name), self.clock()
        window = self._windows.get(key)
        if window is None or window.ends_s <= now_s:
            window = self._windows[key] = _Window(now_s + policy.window_s)
        self._windows.move_to_end(key)
        if len(self._windows) > _MAX_REMEMBERED:
            self._windows.popitem(last=False)
        return window
