"""Finds which rules can match a text at all, in one pass: each rule has literal words of which one must occur."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

import re2

_CHUNK_BYTES: Final = 64 * 1024
"""RE2's automaton has a state for every set of words seen so far; short pieces keep these sets, and it, small."""
_MEMORY_BYTES: Final = 32 * 1024 * 1024


class Hinted(Protocol):
    """A rule with `hints`: the lower-case words of which one must occur in a text for the rule to match."""

    @property
    def hints(self) -> tuple[bytes, ...]:
        """The words."""


R = TypeVar("R", bound=Hinted)


class HintIndex(Generic[R]):
    """The words of all rules as one automaton."""

    def __init__(self, rules: Sequence[R]) -> None:
        self._rules = rules
        self._words = sorted({hint for rule in rules for hint in rule.hints})
        self._overlap = max(map(len, self._words), default=1) - 1
        self._set = _automaton(self._words)

    def candidates(self, text: bytes) -> list[R]:
        """The rules of which a word occurs in `text`, in their order."""
        low = text.lower()
        words: set[bytes] = set()
        for start in range(0, len(low), _CHUNK_BYTES):
            words |= self._words_in(low[start : start + _CHUNK_BYTES + self._overlap])
        return [rule for rule in self._rules if not words.isdisjoint(rule.hints)]

    def _words_in(self, chunk: bytes) -> set[bytes]:
        """The words in a piece. Pattern 0 is empty: it is missing from the answer only if RE2 ran out of memory."""
        matched = self._set.Match(chunk)
        if not matched or 0 not in matched:
            return {word for word in self._words if word in chunk}
        return {self._words[number - 1] for number in matched if number}


def _automaton(words: Sequence[bytes]) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    options.max_mem = _MEMORY_BYTES
    automaton = re2.Set.SearchSet(options)
    automaton.Add(b"")
    for word in words:
        automaton.Add(re2.escape(word.decode("latin-1")).encode("latin-1"))
    automaton.Compile()
    return automaton
