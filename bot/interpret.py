"""Interpretation: what a text seems to ask, read by the deterministic grammar."""

from __future__ import annotations

from collections.abc import Sequence

from bot.grammar import NotUnderstood, parse
from core.intent import Intent, Unclear
from core.turn import Turn


class GrammarInterpreter:
    """Reads plain sentences without a model; what it cannot read it says, and never guesses."""

    async def interpret(self, turns: Sequence[Turn]) -> Intent | Unclear:
        """The intent of the last of `turns`."""
        text = turns[-1].text
        read = parse(_without_opening(text))
        if isinstance(read, NotUnderstood):
            return Unclear(read.reason, read.can)
        return Intent(text, read)


_OPENINGS = ("instead", "start over", "from scratch")


def _without_opening(text: str) -> str:
    """A reply that starts afresh says so first ("instead, set …"); the request follows."""
    for opening in _OPENINGS:
        if text.lower().startswith(opening):
            return text[len(opening) :].lstrip(" ,:;.-\u2013\u2014\n")
    return text
