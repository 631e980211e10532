"""What the fake Telegram keeps: chats, messages as people see them now, clicks and their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.telegram.words import slice_units

Json = dict[str, Any]


@dataclass(slots=True, eq=False)
class Chat:
    """A private chat, group, supergroup or channel. `gone` is what Telegram answers (403) when the bot is out."""

    id: int
    kind: str
    title: str = ""
    forum: bool = False
    topics: dict[int, str] = field(default_factory=dict)
    messages: dict[int, Shown] = field(default_factory=dict)
    gone: str = ""
    moved_to: Chat | None = None
    member: Json | None = None

    @property
    def is_group(self) -> bool:
        """True for what the limit of 20 messages a minute is for."""
        return self.kind in ("group", "supergroup")

    def __str__(self) -> str:
        return str(self.id)

    def to_json(self) -> Json:
        """The chat as it stands in a message."""
        if self.kind == "private":
            assert self.member is not None
            rest: Json = {key: self.member[key] for key in ("first_name", "username") if key in self.member}
            return {"id": self.id, "type": "private", **rest}
        forum = {"is_forum": True} if self.forum else {}
        return {"id": self.id, "type": self.kind, "title": self.title, **forum}

    def visible(self) -> list[Shown]:
        """The messages that are there now, in order."""
        return list(self.messages.values())

    def by_bot(self) -> list[Shown]:
        """Those of them that the bot wrote."""
        return [message for message in self.messages.values() if message.by_bot]


@dataclass(frozen=True, slots=True)
class Button:
    """A button below a message."""

    label: str
    callback_data: str


@dataclass(frozen=True, slots=True)
class Upload:
    """A file below a message."""

    name: str
    content: bytes
    media_type: str


@dataclass(slots=True, eq=False)
class Shown:
    """A message as it can be seen now. `raw` is the Bot API's object; `edits` counts how often it was changed."""

    chat: Chat
    raw: Json
    by_bot: bool
    edits: int = 0
    document: Upload | None = None
    reactions: list[str] = field(default_factory=list)
    force_reply: bool = False

    @property
    def id(self) -> int:
        """Its number in the chat."""
        return int(self.raw["message_id"])

    @property
    def text(self) -> str:
        """Its text, or the caption of its file."""
        return str(self.raw.get("text", self.raw.get("caption", "")))

    @property
    def entities(self) -> list[Json]:
        """Its entities: the sender's, and those that Telegram found."""
        found: list[Json] = self.raw.get("entities") or self.raw.get("caption_entities") or []
        return found

    @property
    def thread(self) -> int | None:
        """The topic that it is in."""
        found = self.raw.get("message_thread_id")
        return int(found) if found is not None else None

    @property
    def reply_to(self) -> int | None:
        """The message that it answers."""
        found = self.raw.get("reply_to_message")
        return int(found["message_id"]) if found else None

    @property
    def rows(self) -> list[list[Button]]:
        """The rows of its buttons."""
        keyboard = (self.raw.get("reply_markup") or {}).get("inline_keyboard", [])
        return [[Button(b["text"], b.get("callback_data", "")) for b in row] for row in keyboard]

    @property
    def buttons(self) -> list[Button]:
        """All its buttons."""
        return [button for row in self.rows for button in row]

    def covered(self, kind: str) -> Iterator[str]:
        """The texts under entities of one kind."""
        for entity in self.entities:
            if entity["type"] == kind:
                yield slice_units(self.text, entity["offset"], entity["length"])

    def button(self, label: str) -> Button:
        """The one button whose label contains `label`."""
        found = [button for button in self.buttons if label in button.label]
        assert len(found) == 1, f"{label!r} is not one of {[button.label for button in self.buttons]}"
        return found[0]


@dataclass(slots=True, eq=False)
class Click:
    """A button that was pressed, and what the person saw then; None until the bot answered."""

    id: str
    answers: list[Mapping[str, Any]] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def told(self, answer: Mapping[str, Any]) -> None:
        """The bot answered."""
        self.answers.append(answer)
        self._changed.set()

    async def answered(self, within_s: float = 60) -> Mapping[str, Any]:
        """The bot's answer: ``text`` and ``show_alert``."""
        async with asyncio.timeout(within_s):
            await self._changed.wait()
        return self.answers[0]
