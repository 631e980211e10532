"""The interpreter without a model: the grammar reads a request exactly, or not at all."""

from __future__ import annotations

from collections.abc import Sequence

from bot.interpret.grammar import NotUnderstood, parse
from bot.interpret.grammar.tokens import hidden_text_warning, strip_word_joiners
from bot.interpret.manifests import locate_packages
from core.model.intent import Intent, Unclear
from core.model.turn import Turn
from core.ports import InterpretationContext


class GrammarInterpreter:
    """Reads plain sentences; leaves others to a lane that accepts any wording.

    If no such lane is on offer it says so, and never guesses. A text with hidden characters is refused.
    """

    async def interpret(self, turns: Sequence[Turn], context: InterpretationContext) -> Intent | Unclear:
        """The intent of the last of `turns`."""
        text = strip_word_joiners(turns[-1].text)
        parsed = parse(strip_opening(text))
        if not isinstance(parsed, NotUnderstood):
            located = await locate_packages(parsed, context)
            return located if isinstance(located, Unclear) else Intent(text, located)
        if warning := hidden_text_warning(text):
            return Unclear(warning, parsed.can)
        if any(offer.reads for offer in context.offers):
            return Intent(text)
        return Unclear(parsed.reason, parsed.can)


_OPENINGS = ("instead", "start over", "from scratch")


def strip_opening(text: str) -> str:
    """The request after an opening such as "instead, …", with which a reply starts afresh."""
    for opening in _OPENINGS:
        if text.lower().startswith(opening):
            return text[len(opening) :].lstrip(" ,:;.-\u2013\u2014\n")
    return text
