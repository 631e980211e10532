"""Interpretation: what a text asks for, read by a deterministic grammar, and by a model if the grammar cannot."""

from bot.interpret.grammar_interpreter import GrammarInterpreter

__all__ = ["GrammarInterpreter"]
