"""Plain English to structured edits: understood exactly, or not at all."""

from __future__ import annotations

from bot.interpret.grammar.parse import parse
from bot.interpret.grammar.tokens import NotUnderstood
from core.model.edits import Edit
from core.model.errors import UsageError

__all__ = ["NotUnderstood", "parse", "read_sentence"]


def read_sentence(sentence: str) -> tuple[Edit, ...]:
    """What a plain sentence asks for; raises `UsageError` for one that is not understood."""
    read = parse(sentence)
    if isinstance(read, NotUnderstood):
        mend = f"I can: {'; '.join(read.can)}." if read.can else ""
        raise UsageError("not_understood", f"{sentence[:100]!r}: {read.reason.rstrip('.')}", mend)
    return read
