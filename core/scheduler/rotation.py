"""Rotation: within a class of work, keys take turns, so that a key with many demands cannot hold up another's first."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Rotation:
    """Numbers the demands of each key by rounds, in the manner of start-time fair queueing (Goyal, Vin, Cheng 1997).

    A key's next demand belongs to the round after its last one, but never to a round that the class has left behind.
    """

    current: int = 0
    """The latest round from which a demand was granted."""
    waiting: int = 0
    _last: dict[str, int] = field(default_factory=dict)

    def join(self, key: str) -> int:
        """The round of a demand of `key` that begins to wait."""
        round_number = max(self.current, self._last.get(key, -1) + 1)
        self._last[key] = round_number
        self.waiting += 1
        return round_number

    def leave(self, round_number: int, *, granted: bool) -> None:
        """A demand of this round was granted or withdrawn."""
        self.waiting -= 1
        if granted:
            self.current = max(self.current, round_number)
        if self.waiting == 0:
            self._last.clear()
            self.current = 0
