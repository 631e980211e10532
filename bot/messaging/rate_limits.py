"""Rate limits: how many messages a minute each person may send, and all people together."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

PER_PERSON: Final = 30
"""Messages a minute for one person, with bursts of up to three times as many."""
ALTOGETHER: Final = 12_000
_MAX_REMEMBERED: Final = 10_000


@dataclass(slots=True)
class TokenBucket:
    """A token bucket that gains `per_minute` tokens, up to `most`; `seconds` is a monotonic time."""

    per_minute: float
    most: float
    level: float = -1.0
    seconds: float = 0.0

    def take(self, now_s: float) -> float:
        """Take a token; returns 0, or the seconds until one is available."""
        if self.level < 0:
            self.level, self.seconds = self.most, now_s
        self.level = min(self.most, self.level + max(0.0, now_s - self.seconds) * self.per_minute / 60)
        self.seconds = now_s
        if self.level >= 1:
            self.level -= 1
            return 0.0
        return (1 - self.level) * 60 / self.per_minute


@dataclass(slots=True)
class RateLimits:
    """A token bucket for each person, and one for all together; `clock` is monotonic."""

    clock: Callable[[], float]
    per_person: int = PER_PERSON
    altogether: int = ALTOGETHER
    _people: OrderedDict[str, TokenBucket] = field(default_factory=OrderedDict)
    _all: TokenBucket | None = None
    _last_seen_s: OrderedDict[str, float] = field(default_factory=OrderedDict)

    def is_first_within(self, name: str, within_s: float) -> bool:
        """Whether this is the first call for `name` within the last `within_s` seconds."""
        now_s = self.clock()
        if now_s - self._last_seen_s.get(name, -within_s) < within_s:
            return False
        self._last_seen_s[name] = now_s
        self._last_seen_s.move_to_end(name)
        if len(self._last_seen_s) > _MAX_REMEMBERED:
            self._last_seen_s.popitem(last=False)
        return True

    def wait_s(self, person: str) -> float:
        """0 if `person` may send a message now, else the seconds they should wait."""
        now_s = self.clock()
        bucket = self._people.setdefault(person, TokenBucket(self.per_person, 3 * self.per_person))
        self._people.move_to_end(person)
        if len(self._people) > _MAX_REMEMBERED:
            self._people.popitem(last=False)
        if wait_s := bucket.take(now_s):
            return wait_s
        if self._all is None:
            self._all = TokenBucket(self.altogether, self.altogether)
        return self._all.take(now_s)
