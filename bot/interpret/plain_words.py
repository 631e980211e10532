"""The grammar's reading of a request: exact and free, or none."""

from __future__ import annotations

from collections.abc import Sequence

from bot.interpret.grammar import NotUnderstood, parse
from bot.interpret.grammar.words import without_breaks
from bot.interpret.hiding import hiding_place
from bot.interpret.manifests import with_manifests
from core.model.intent import Intent, Unclear
from core.model.turn import Turn
from core.ports import InterpretationContext


class GrammarInterpreter:
    """Reads plain sentences without a model; what it cannot read it leaves to a lane that takes any wording.

    Where no such lane is on offer it says so, and never guesses. A text that hides something from its readers is left
    to nobody.
    """

    async def interpret(self, turns: Sequence[Turn], scene: InterpretationContext) -> Intent | Unclear:
        """The intent of the last of `turns`."""
        text = without_breaks(turns[-1].text)
        read = parse(without_opening(text))
        if not isinstance(read, NotUnderstood):
            located = await with_manifests(read, scene)
            return located if isinstance(located, Unclear) else Intent(text, located)
        if hidden := hiding_place(text):
            return Unclear(hidden, read.can)
        if any(offer.reads for offer in scene.offers):
            return Intent(text)
        return Unclear(read.reason, read.can)


_OPENINGS = ("instead", "start over", "from scratch")


def without_opening(text: str) -> str:
    """A reply that starts afresh says so first ("instead, set …"); the request follows."""
    for opening in _OPENINGS:
        if text.lower().startswith(opening):
            return text[len(opening) :].lstrip(" ,:;.-\u2013\u2014\n")
    return text
