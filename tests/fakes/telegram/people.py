"""People on the fake Telegram: what they write and press becomes updates, as Telegram makes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.fakes.telegram.model import Chat, Click, Json, Shown
from tests.fakes.telegram.words import find_entities

if TYPE_CHECKING:
    from tests.fakes.telegram.server import FakeTelegram

ANONYMOUS: Final[Json] = {"id": 1087968824, "is_bot": True, "first_name": "Group", "username": "GroupAnonymousBot"}
CHANNEL: Final[Json] = {"id": 136817688, "is_bot": True, "first_name": "Channel", "username": "Channel_Bot"}
SERVICE: Final[Json] = {"id": 777000, "is_bot": False, "first_name": "Telegram"}
"""Who writes when no one does (core.telegram.org/bots/api, Message.from)."""


@dataclass(slots=True, eq=False)
class Person:
    """Someone with an account; `private` is their chat with the bot."""

    telegram: FakeTelegram
    id: int
    name: str
    username: str | None = None
    is_bot: bool = False

    @property
    def private(self) -> Chat:
        """The chat of the bot and this person."""
        return self.telegram.private(self)

    def to_json(self) -> Json:
        """The account as it stands in an update."""
        username = {"username": self.username} if self.username else {}
        return {"id": self.id, "is_bot": self.is_bot, "first_name": self.name, **username}

    def says(
        self,
        chat: Chat,
        text: str,
        *,
        reply_to: Shown | None = None,
        thread: int | None = None,
        photo: bool = False,
        document: str | None = None,
        forwarded: bool = False,
        via_bot: bool = False,
        as_channel: bool = False,
    ) -> Shown:
        """Write `text` (below a photo or a document: as its caption); the bot hears what Telegram lets it hear."""
        extra: Json = {}
        if photo:
            extra["photo"] = [{"file_id": "p1", "file_unique_id": "u1", "width": 90, "height": 90}]
        if document is not None:
            extra["document"] = {"file_id": "d1", "file_unique_id": "u2", "file_name": document}
        if forwarded:
            origin = {"id": 4242, "is_bot": False, "first_name": "Somebody"}
            extra["forward_origin"] = {"type": "user", "date": self.telegram.now(), "sender_user": origin}
        if via_bot:
            extra["via_bot"] = {"id": 4343, "is_bot": True, "first_name": "Gif", "username": "gif"}
        if as_channel:
            extra["sender_chat"] = _channel()
        return _write(self.telegram, chat, self.to_json(), text, reply_to, thread, extra)

    def edits(self, message: Shown, text: str) -> None:
        """Change what one wrote."""
        key = "text" if "text" in message.raw else "caption"
        raw = {**message.raw, key: text, "edit_date": self.telegram.now(tick=True)}
        _set(raw, f"{'' if key == 'text' else 'caption_'}entities", find_entities(text))
        message.raw = raw
        message.edits += 1
        if _reaches(self.telegram, message):
            self.telegram.arrives({"edited_message": raw})

    def clicks(self, message: Shown, label: str, *, times: int = 1) -> list[Click]:
        """Press a button of a message, `times` at once."""
        return [self.sends(message, message.button(label).callback_data) for _ in range(times)]

    def sends(self, message: Shown | None, callback_data: str) -> Click:
        """Send any callback data, as a changed client can; without a message as from an inline one."""
        click = self.telegram.click()
        where: Json = {"inline_message_id": "inline-1"} if message is None else {"message": dict(message.raw)}
        self.telegram.arrives(
            {
                "callback_query": {
                    "id": click.id,
                    "from": self.to_json(),
                    "chat_instance": "1",
                    "data": callback_data,
                    **where,
                }
            }
        )
        return click

    def blocks_the_bot(self) -> None:
        """The bot can write to this person no more."""
        self.private.gone = "Forbidden: bot was blocked by the user"


def anonymous_admin_says(telegram: FakeTelegram, group: Chat, text: str, reply_to: Shown | None = None) -> Shown:
    """An admin writes in the group's name."""
    return _write(telegram, group, ANONYMOUS, text, reply_to, None, {"sender_chat": group.to_json()})


def channel_says(telegram: FakeTelegram, group: Chat, text: str) -> Shown:
    """Someone writes in the name of their channel."""
    return _write(telegram, group, CHANNEL, text, None, None, {"sender_chat": _channel()})


def channel_is_forwarded(telegram: FakeTelegram, group: Chat, text: str) -> Shown:
    """A post of the linked channel appears in its discussion group."""
    origin = {"type": "channel", "date": telegram.now(), "chat": _channel(), "message_id": 5}
    extra = {"sender_chat": _channel(), "is_automatic_forward": True, "forward_origin": origin}
    return _write(telegram, group, SERVICE, text, None, None, extra)


def _channel() -> Json:
    return {"id": -1009990001111, "type": "channel", "title": "News"}


def _write(
    telegram: FakeTelegram, chat: Chat, author: Json, text: str, reply_to: Shown | None, thread: int | None, extra: Json
) -> Shown:
    chat = chat.moved_to or chat
    caption = "photo" in extra or "document" in extra
    key, entities = ("caption", "caption_entities") if caption else ("text", "entities")
    raw: Json = {"message_id": telegram.next_id(chat), "from": author, "chat": chat.to_json(), "date": telegram.now()}
    raw |= {key: text, **extra} if text else extra
    _set(raw, entities, find_entities(text))
    if thread is not None:
        assert thread in chat.topics, "write into a topic that is there"
        raw |= {"message_thread_id": thread, "is_topic_message": True}
    if reply_to is not None:
        raw["reply_to_message"] = {k: v for k, v in reply_to.raw.items() if k != "reply_to_message"}
    elif thread is not None:  # a message in a topic answers the service message that opened it
        raw["reply_to_message"] = _opening(chat, telegram.bot, thread)
    message = Shown(chat, raw, by_bot=False)
    chat.messages[message.id] = message
    if _reaches(telegram, message):
        telegram.arrives({"message": raw})
    return message


def _opening(chat: Chat, bot: Json, thread: int) -> Json:
    opened = {"name": chat.topics[thread], "icon_color": 7322096}
    about = {"message_id": thread, "from": bot, "chat": chat.to_json(), "date": 1_700_000_000}
    return {**about, "message_thread_id": thread, "is_topic_message": True, "forum_topic_created": opened}


def _set(raw: Json, key: str, entities: list[Json]) -> None:
    if entities:
        raw[key] = entities
    else:
        raw.pop(key, None)


def _reaches(telegram: FakeTelegram, message: Shown) -> bool:
    """Privacy mode: in groups a bot gets commands, mentions of and replies to itself (BotFather, /setprivacy)."""
    if message.chat.gone:
        return False
    if not message.chat.is_group or not telegram.privacy:
        return True
    answered: Any = message.raw.get("reply_to_message") or {}
    to_bot = (answered.get("from") or {}).get("id") == telegram.bot["id"]
    marks: Callable[[str], bool] = f"@{telegram.bot['username']}".casefold().__contains__
    mentioned = any(marks(word.casefold()) for word in message.covered("mention"))
    return to_bot or mentioned or any(True for _ in message.covered("bot_command"))
