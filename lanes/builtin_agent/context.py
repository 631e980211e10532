"""What of a long talk still fits into one question: the request always, old results of tools least."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from lanes.models import ChatMessage

_CHARS_A_TOKEN: Final = 3  # fewer than models take for prose, so that code and other scripts fit too
_OPENING: Final = 2
_LATEST: Final = 6
_STUB_CHARS: Final = 400


def fitted(talk: Sequence[ChatMessage], room_tokens: int) -> list[ChatMessage]:
    """`talk` within three quarters of `room_tokens`; the rest is for the answer.

    The opening (the system's words and the request) and the latest messages stay as they are. Results of tools in the
    middle are cut first, the oldest before the newer; then the middle goes, and a line says so.
    """
    room = room_tokens * _CHARS_A_TOKEN * 3 // 4
    kept = list(talk)
    middle = range(_OPENING, max(_OPENING, len(kept) - _LATEST))
    size = sum(map(_chars, kept))
    for n in middle:
        if size <= room:
            return kept
        if kept[n].role == "tool" and len(kept[n].text) > _STUB_CHARS:
            stub = _stub(kept[n])
            size -= _chars(kept[n]) - _chars(stub)
            kept[n] = stub
    if size <= room:
        return kept
    dropped = [kept[n] for n in middle]
    left = [*kept[:_OPENING], *([_note(dropped)] if dropped else []), *kept[middle.stop :]]
    return _cut(left, room)


def _cut(talk: list[ChatMessage], room: int) -> list[ChatMessage]:
    """Cut what is longest, the request last, until all of it fits."""
    order = sorted(range(len(talk)), key=lambda n: (n < _OPENING, -len(talk[n].text)))
    for n in order:
        over = sum(map(_chars, talk)) - room
        if over <= 0:
            break
        message = talk[n]
        keep = max(_STUB_CHARS, len(message.text) - over - 80)
        if keep < len(message.text):
            talk[n] = ChatMessage(message.role, _shortened(message.text, keep), message.calls, message.tool)
    return talk


def _stub(message: ChatMessage) -> ChatMessage:
    return ChatMessage(message.role, _shortened(message.text, _STUB_CHARS // 2), message.calls, message.tool)


def _shortened(text: str, keep: int) -> str:
    return f"{text[:keep]}\n[{len(text) - keep} characters left out to save room; call the tool again if needed]"


def _note(dropped: Sequence[ChatMessage]) -> ChatMessage:
    calls = [call.name for message in dropped for call in message.calls]
    return ChatMessage(
        "user", f"[{len(dropped)} earlier messages are left out; they called: {', '.join(calls) or 'nothing'}]"
    )


def _chars(message: ChatMessage) -> int:
    return len(message.text) + sum(len(json.dumps(dict(call.arguments), default=str)) + 40 for call in message.calls)
