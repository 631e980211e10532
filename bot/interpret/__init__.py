"""Interpretation: what a text seems to ask, read by the deterministic grammar, and what that cannot read by a model."""

from bot.interpret.grammar_interpreter import GrammarInterpreter

__all__ = ["GrammarInterpreter"]
