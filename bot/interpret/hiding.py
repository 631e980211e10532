"""Hidden characters: what a person does not see in a request must not be what a model reads in it."""

from __future__ import annotations

from typing import Final

from bot.interpret.grammar.tokens import hidden_character

_JOINERS: Final = dict.fromkeys((0x200C, 0x200D))
"""The two that are part of ordinary writing: Persian and Indic scripts, and emoji, are not spelled without them."""


def hidden_text_warning(text: str) -> str:
    """One sentence about the first character of `text` that hides what it says, or an empty string.

    Those are controls, marks that turn the direction, and the invisible letters of Unicode's tags (security.md 91).
    """
    char = hidden_character(text.translate(_JOINERS))
    return f"The text holds an invisible character ({char}) that could hide its meaning." if char else ""
