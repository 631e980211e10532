"""Rate limits: how many messages people may send in a minute, each of them and all together."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

PER_PERSON: Final = 30
"""Messages a minute of one person; a burst of three times that is allowed."""
ALTOGETHER: Final = 12_000
_MAX_REMEMBERED: Final = 10_000


@dataclass(slots=True)
class TokenBucket:
    """A bucket of tokens that fills by `per_minute`, up to `most`; `seconds` are of a monotonic clock."""

    per_minute: float
    most: float
    level: float = -1.0
    seconds: float = 0.0

    def take(self, now_s: float) -> float:
        """Take a token; 0, or the seconds until there is one."""
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
    """A token bucket for everybody and one for each person; `clock` is monotonic."""

    clock: Callable[[], float]
    per_person: int = PER_PERSON
    altogether: int = ALTOGETHER
    _people: OrderedDict[str, TokenBucket] = field(default_factory=OrderedDict)
    _all: TokenBucket | None = None
    _last_seen_s: OrderedDict[str, float] = field(default_factory=OrderedDict)

    def is_first_within(self, name: str, within_s: float) -> bool:
        """Whether `name` was not asked about in the last `within_s` seconds."""
        now_s = self.clock()
        if now_s - self._last_seen_s.get(name, -within_s) < within_s:
            return False
        self._last_seen_s[name] = now_s
        self._last_seen_s.move_to_end(name)
        if len(self._last_seen_s) > _MAX_REMEMBERED:
            self._last_seen_s.popitem(last=False)
        return True

    def wait_s(self, person: str) -> float:
        """0 if `person` may go on, else how many seconds they should wait."""
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
