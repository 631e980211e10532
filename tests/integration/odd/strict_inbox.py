"""An inbox that converts messages as for the database, and remembers only their names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bot.messaging.stored_messages import from_delivery, storable, to_delivery
from bot.surfaces.port import ButtonPress, IncomingMessage, Place, Response, TakenMessage


class StrictInbox:
    """Fails at anything that a database could not keep."""

    def __init__(self) -> None:
        self.texts: set[str] = set()
        self.known: set[str] = set()

    async def accept(self, said: IncomingMessage | ButtonPress) -> TakenMessage:
        delivery = to_delivery(storable(said))
        stored = json.dumps(delivery.body, ensure_ascii=False)
        stored.encode("utf-8")
        assert "\0" not in stored
        assert len(delivery.dedup.encode()) < 2000
        assert all(isinstance(getattr(said, name), str) for name in ("identity", "text", "message_id", "name"))
        assert isinstance(from_delivery(delivery), type(said))
        new = delivery.dedup not in self.known
        self.known.add(delivery.dedup)
        self.texts.add(said.text)
        return TakenMessage(1, is_new=new)

    async def wait_for_response(self, taken: TakenMessage, within_s: float) -> Response | None:
        del taken, within_s
        return Response()

    async def record_message(self, place: Place, message_id: str, below: str) -> None:
        del place, message_id, below

    async def record_channel_move(self, surface: str, channel: str, to: str) -> None:
        del surface, channel, to

    async def load_state(self, surface: str) -> Mapping[str, Any]:
        del surface
        return {}

    async def save_state(self, surface: str, value: Mapping[str, Any]) -> None:
        del surface, value
