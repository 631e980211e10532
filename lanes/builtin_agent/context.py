"""Fits a long conversation into one question: the request always stays, old results of tools go first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from lanes.models import ChatMessage

_CHARS_PER_TOKEN: Final = 3  # fewer than models take for prose, so that code and other scripts fit too
_OPENING: Final = 2
_LATEST: Final = 6
_STUB_CHARS: Final = 400


def fitted(messages: Sequence[ChatMessage], room_tokens: int) -> list[ChatMessage]:
    """`messages` within three quarters of `room_tokens`; the rest is for the answer.

    The opening (the system's words and the request) and the latest messages stay as they are. Results of tools in the
    middle are cut first, the oldest before the newer; then the middle is left out, and a line says so.
    """
    room = room_tokens * _CHARS_PER_TOKEN * 3 // 4
    shown = list(messages)
    middle = range(_OPENING, max(_OPENING, len(shown) - _LATEST))
    size = sum(map(_chars, shown))
    for n in middle:
        if size <= room:
            return shown
        if shown[n].role == "tool" and len(shown[n].text) > _STUB_CHARS:
            stub = _stub(shown[n])
            size -= _chars(shown[n]) - _chars(stub)
            shown[n] = stub
    if size <= room:
        return shown
    dropped = [shown[n] for n in middle]
    rest = [*shown[:_OPENING], *([_note(dropped)] if dropped else []), *shown[middle.stop :]]
    return _cut(rest, room)


def _cut(messages: list[ChatMessage], room: int) -> list[ChatMessage]:
    """Cut the longest messages, the opening last, until all of them fit."""
    order = sorted(range(len(messages)), key=lambda n: (n < _OPENING, -len(messages[n].text)))
    for n in order:
        excess = sum(map(_chars, messages)) - room
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
