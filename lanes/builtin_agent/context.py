"""Shortens a long conversation to the context size: old tool results are cut first, the request is kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from lanes.models import ChatMessage

_CHARS_PER_TOKEN: Final = 3  # fewer than for English prose, so that code and other scripts fit too
_OPENING: Final = 2
_LATEST: Final = 6
_STUB_CHARS: Final = 400


def fit_context(messages: Sequence[ChatMessage], context_tokens: int) -> list[ChatMessage]:
    """`messages` shortened to three quarters of `context_tokens`; the rest is for the answer.

    The opening (the system message and the request) and the latest messages are kept. Tool results in between are cut
    first, the oldest before newer ones; then all messages in between are replaced by a note.
    """
    max_chars = context_tokens * _CHARS_PER_TOKEN * 3 // 4
    fitted = list(messages)
    middle = range(_OPENING, max(_OPENING, len(fitted) - _LATEST))
    size = sum(map(_chars, fitted))
    for n in middle:
        if size <= max_chars:
            return fitted
        if fitted[n].role == "tool" and len(fitted[n].text) > _STUB_CHARS:
            stub = _stub(fitted[n])
            size -= _chars(fitted[n]) - _chars(stub)
            fitted[n] = stub
    if size <= max_chars:
        return fitted
    dropped = [fitted[n] for n in middle]
    rest = [*fitted[:_OPENING], *([_note(dropped)] if dropped else []), *fitted[middle.stop :]]
    return _cut(rest, max_chars)


def _cut(messages: list[ChatMessage], max_chars: int) -> list[ChatMessage]:
    """Cut the longest messages, the opening last, until all messages fit."""
    order = sorted(range(len(messages)), key=lambda n: (n < _OPENING, -len(messages[n].text)))
    for n in order:
        excess = sum(map(_chars, messages)) - max_chars
        if excess <= 0:
            break
        message = messages[n]
        chars = max(_STUB_CHARS, len(message.text) - excess - 80)
        if chars < len(message.text):
            messages[n] = ChatMessage(message.role, _shortened(message.text, chars), message.calls, message.tool)
    return messages


def _stub(message: ChatMessage) -> ChatMessage:
    return ChatMessage(message.role, _shortened(message.text, _STUB_CHARS // 2), message.calls, message.tool)


def _shortened(text: str, chars: int) -> str:
    return f"{text[:chars]}\n[{len(text) - chars} characters left out to save room; call the tool again if needed]"


def _note(dropped: Sequence[ChatMessage]) -> ChatMessage:
    calls = [call.name for message in dropped for call in message.calls]
    return ChatMessage(
        "user", f"[{len(dropped)} earlier messages are left out; they called: {', '.join(calls) or 'nothing'}]"
    )


def _chars(message: ChatMessage) -> int:
    return len(message.text) + sum(len(json.dumps(dict(call.arguments), default=str)) + 40 for call in message.calls)
