"""Interpretation: what a text seems to ask, read by the deterministic grammar, and what that cannot read by a model."""

from bot.interpret.plain_words import GrammarInterpreter

__all__ = ["GrammarInterpreter"]
