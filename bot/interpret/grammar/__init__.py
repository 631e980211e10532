"""Reads plain English as structured edits: exactly, or not at all."""

from __future__ import annotations

from bot.interpret.grammar.parse import parse
from bot.interpret.grammar.tokens import NotUnderstood
from core.model.edits import Edit
from core.model.errors import UsageError

__all__ = ["NotUnderstood", "parse", "read_sentence"]


def read_sentence(sentence: str) -> tuple[Edit, ...]:
    """The edits of a plain sentence; raises `UsageError` if it is not understood."""
    parsed = parse(sentence)
    if isinstance(parsed, NotUnderstood):
        mend = f"I can: {'; '.join(parsed.can)}." if parsed.can else ""
        raise UsageError("not_understood", f"{sentence[:100]!r}: {parsed.reason.rstrip('.')}", mend)
    return parsed
