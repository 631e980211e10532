"""The grammar's reading of a request: exact and free, or none."""

from __future__ import annotations

from collections.abc import Sequence

from bot.interpret.grammar import NotUnderstood, parse
from bot.interpret.grammar.tokens import strip_word_joiners
from bot.interpret.hiding import hidden_text_warning
from bot.interpret.manifests import locate_packages
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
        text = strip_word_joiners(turns[-1].text)
        read = parse(strip_opening(text))
        if not isinstance(read, NotUnderstood):
            located = await locate_packages(read, scene)
            return located if isinstance(located, Unclear) else Intent(text, located)
        if hidden := hidden_text_warning(text):
            return Unclear(hidden, read.can)
        if any(offer.reads for offer in scene.offers):
            return Intent(text)
        return Unclear(read.reason, read.can)


_OPENINGS = ("instead", "start over", "from scratch")


def strip_opening(text: str) -> str:
    """A reply that starts afresh says so first ("instead, set …"); the request follows."""
    for opening in _OPENINGS:
        if text.lower().startswith(opening):
            return text[len(opening) :].lstrip(" ,:;.-\u2013\u2014\n")
    return text
