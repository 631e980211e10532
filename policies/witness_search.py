"""Finds a shortest text for each combination of patterns that a text can match, by walking all patterns together."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from typing import Any, Final, Protocol

MAX_STATES: Final = 20_000


class TooManyCombinationsError(ValueError):
    """The patterns combine in too many ways to look at each."""


class Walk(Protocol):
    """A pattern as it is walked, one symbol of a text at a time; equal states go on alike."""

    def start(self) -> Hashable:
        """The state before the first symbol."""

    def step(self, state: Any, symbol: str) -> Hashable:
        """The state after one more symbol."""

    def accepts(self, state: Any) -> bool:
        """Whether the text so far matches."""


def witnesses(
    walks: Sequence[Walk], symbols: Sequence[str], separator: str = "", never: frozenset[str] = frozenset()
) -> list[str]:
    """A shortest text of `symbols` for each combination of `walks` that it can match, none of them included.

    The empty text and those in `never` are no witnesses. Raises `TooManyCombinationsError` if there are more than
    20,000 states to look at.
    """
    queue = deque([("", tuple(walk.start() for walk in walks))])
    seen: set[tuple[Hashable, ...]] = set()  # without the start, which is no text yet
    found: dict[tuple[bool, ...], str] = {}
    while queue:
        text, state = queue.popleft()
        if text and text not in never:
            found.setdefault(tuple(walk.accepts(at) for walk, at in zip(walks, state, strict=True)), text)
        for symbol in symbols:
            following = tuple(walk.step(at, symbol) for walk, at in zip(walks, state, strict=True))
            if following not in seen:
                seen.add(following)
                queue.append((f"{text}{separator}{symbol}" if text else symbol, following))
        if len(seen) > MAX_STATES:
            raise TooManyCombinationsError
    return list(found.values())
