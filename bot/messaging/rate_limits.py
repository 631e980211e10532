"""How much people may say in a minute: each of them, and all together; what is more is answered, not dropped."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

PER_PERSON: Final = 30
"""Words a minute that one person may say; three times that at once is forgiven."""
ALTOGETHER: Final = 12_000
_REMEMBERED: Final = 10_000


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
    """A bucket for everybody and one for each person."""

    clock: Callable[[], float]
    per_person: int = PER_PERSON
    altogether: int = ALTOGETHER
    _people: OrderedDict[str, TokenBucket] = field(default_factory=OrderedDict)
    _all: TokenBucket | None = None
    _told: OrderedDict[str, float] = field(default_factory=OrderedDict)

    def first(self, who: str, within_s: float) -> bool:
        """Whether this is the first time in so many seconds that `who` is to be told something."""
        now_s = self.clock()
        if now_s - self._told.get(who, -within_s) < within_s:
            return False
        self._told[who] = now_s
        self._told.move_to_end(who)
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        return True

    def wait_s(self, person: str) -> float:
        """0 if `person` may go on, else how many seconds they should wait."""
        now_s = self.clock()
        mine = self._people.setdefault(person, TokenBucket(self.per_person, 3 * self.per_person))
        self._people.move_to_end(person)
        if len(self._people) > _REMEMBERED:
            self._people.popitem(last=False)
        if wait := mine.take(now_s):
            return wait
        if self._all is None:
            self._all = TokenBucket(self.altogether, self.altogether)
        return self._all.take(now_s)
