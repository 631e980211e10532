"""The stored form of messages, button presses and responses: converts them to JSON and back."""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, replace
from typing import Any, Final

from bot.surfaces.port import ButtonPress, IncomingMessage, QuotedMessage, Response
from core.model.inbox import InboxDelivery, RecordedResponse
from core.model.place import Place
from core.model.stored import StoredObject

MAX_CHARACTERS: Final = 200_000
"""Maximum characters of a message's text; no platform allows as many."""
CONTINUATION_WAIT_MS: Final = 2_000
"""How long a text waits for its next part if a client may have split it."""
MESSAGE, PRESS = "heard", "clicked"
"""The kinds of deliveries, under the names that older versions stored."""
_MAX_NAME: Final = 200
"""Maximum characters of a name or id; longer ones end in their hash."""
_NOT_STORABLE: Final = re.compile("[\0\ud800-\udfff]")
_TEXT_FIELDS: Final = ("text", "context", "hint")


def storable(message: IncomingMessage | ButtonPress) -> IncomingMessage | ButtonPress:
    """The message as every database can store it: without NUL and lone surrogates, with bounded text and names."""
    place = message.place
    place = replace(place, channel=_name(place.channel), thread=place.thread and _name(place.thread))
    changes: dict[str, Any] = {}
    for field in message.__slots__:
        value = getattr(message, field)
        if isinstance(value, str):
            changes[field] = _text(value) if field in _TEXT_FIELDS else _name(value)
        elif isinstance(value, QuotedMessage):
            changes[field] = QuotedMessage(_text(value.text), _name(value.identity), _name(value.name))
    return replace(message, **changes, place=place)


def _text(text: str) -> str:
    return _NOT_STORABLE.sub("\N{REPLACEMENT CHARACTER}", text[:MAX_CHARACTERS])


def _name(text: str) -> str:
    """A name of bounded length; different names stay different."""
    if len(text) <= _MAX_NAME:
        return _NOT_STORABLE.sub("\N{REPLACEMENT CHARACTER}", text)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return _NOT_STORABLE.sub("\N{REPLACEMENT CHARACTER}", text[: _MAX_NAME - 33]) + "~" + digest


def to_delivery(message: IncomingMessage | ButtonPress) -> InboxDelivery:
    """A message or a button press in its stored form."""
    body: dict[str, Any] = {
        field: getattr(message, field) for field in message.__slots__ if field not in ("place", "dedup")
    }
    body["place"] = message.place.to_json()
    if isinstance(message, ButtonPress):
        return InboxDelivery(message.place.surface, message.dedup, PRESS, body)
    body["quoted"] = asdict(message.quoted) if message.quoted is not None else None
    wait_ms = CONTINUATION_WAIT_MS if message.may_go_on else 0
    return InboxDelivery(message.place.surface, message.dedup, MESSAGE, body, wait_ms)


def from_delivery(delivery: InboxDelivery) -> IncomingMessage | ButtonPress:
    """The message or button press from the form that `to_delivery` returns."""
    if delivery.kind == PRESS:
        return _press_of(StoredObject(delivery.body, "a pressed button"), delivery.dedup)
    return _message_of(StoredObject(delivery.body, "a message"), delivery.dedup)


def _press_of(stored: StoredObject, dedup: str) -> ButtonPress:
    return ButtonPress(
        identity=stored["identity"],
        place=Place.from_json(stored["place"]),
        button=stored["button"],
        message_id=stored["message_id"],
        dedup=dedup,
        text=stored.get("text", ""),
        name=stored.get("name", ""),
        edits=stored.get("edits", ""),
    )


def _message_of(stored: StoredObject, dedup: str) -> IncomingMessage:
    quoted = stored.get("quoted")
    return IncomingMessage(
        identity=stored["identity"],
        place=Place.from_json(stored["place"]),
        text=stored["text"],
        message_id=stored["message_id"],
        dedup=dedup,
        addressed=stored["addressed"],
        reply_to=stored.get("reply_to"),
        context=stored.get("context", ""),
        name=stored.get("name", ""),
        quoted=_quoted_of(StoredObject(quoted, "a quoted message")) if quoted else None,
        edits=stored.get("edits", ""),
        may_go_on=stored.get("may_go_on", False),
        rest_of=stored.get("rest_of", ""),
        hint=stored.get("hint", ""),
    )


def _quoted_of(stored: StoredObject) -> QuotedMessage:
    return QuotedMessage(stored["text"], stored.get("identity", ""), stored.get("name", ""))


def to_recorded(response: Response) -> RecordedResponse:
    """A response as it is recorded with its delivery."""
    return RecordedResponse(
        response.text, response.refused, response.form, response.personal, response.about, response.choices
    )


def from_recorded(recorded: RecordedResponse) -> Response:
    """The response that was recorded with a delivery."""
    return Response(recorded.text, recorded.refused, recorded.form, recorded.personal, recorded.about, recorded.choices)
