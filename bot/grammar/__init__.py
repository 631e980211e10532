"""Plain English to structured edits: understood exactly, or not at all."""

from __future__ import annotations

from bot.grammar.parse import parse
from bot.grammar.words import NotUnderstood

__all__ = ["NotUnderstood", "parse"]
