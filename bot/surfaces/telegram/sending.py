"""Sends messages to chats in order, and adapts when a chat moved, a topic is gone or entities are rejected."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Final, TypeVar

from telegram import Bot, ForceReply, MessageEntity, ReactionTypeEmoji, User

from bot.surfaces.port import NO_EXTRAS, Attachment, Extras, Place
from bot.surfaces.telegram.card import TelegramCard
from bot.surfaces.telegram.client import ChatMovedError, TelegramClient, TelegramRefusedError
from bot.surfaces.telegram.entities import (
    MAX_CAPTION,
    measure,
    neutralize,
    truncate,
)
from bot.surfaces.telegram.pace import ChatPace, PaceLimits, SendTurn
from bot.surfaces.telegram.requests import (
    NO_PREVIEW,
    SendRequest,
    document_request,
    inline_keyboard,
    message_request,
    reply_parameters,
    sent_message_id,
    split_lines,
    text_lines,
    to_entities,
    topic_id,
)
from bot.surfaces.utf16 import utf16_length
from core.log import log
from core.model.errors import PermanentError, TransientError

T = TypeVar("T")

MAX_FILE_BYTES: Final = 50_000_000
"""The largest file that a bot may send (core.telegram.org/bots/api#sending-files: 50 MB)."""
MAX_PARTS: Final = 3
"""Messages that one text is split into; longer texts are sent as a file."""
MAX_ANSWER: Final = 200
_MAX_TRIES: Final = 6
_MAX_REMEMBERED: Final = 1000
"""Delivered files of a set that failed in part."""
_SEEN_EMOJI: Final = "👀"
_PROMPT_EMOJI: Final = "✍️"
_LONG_TEXT: Final = "The answer is long, so it is in the attached file."


class TelegramSender:
    """Sends everything that the bot says; `moved` is called with a group's new id before sending there."""

    def __init__(self, wire: TelegramClient, limits: PaceLimits, moved: Callable[[str, str], Awaitable[None]]) -> None:
        self._wire, self._moved = wire, moved
        self._pace = ChatPace(limits)
        self._new_ids: dict[int, int] = {}
        self._delivered: dict[tuple[str, str | None, str | None, str, bytes], None] = {}

    async def post(self, place: Place, card: TelegramCard, reply_to: str | None) -> str:
        """Post a card; returns its message id."""

        def send(bot: Bot, chat: int, topic: int | None, bare: bool) -> Awaitable[object]:
            return bot.send_message(
                chat,
                card.plain if bare else card.text,
                entities=None if bare else to_entities(card.spans),
                message_thread_id=topic,
                reply_markup=inline_keyboard(card),
                reply_parameters=reply_parameters(reply_to),
                link_preview_options=NO_PREVIEW,
            )

        return sent_message_id(await self._in_turn(place, send))

    async def edit(self, place: Place, message_id: str, card: TelegramCard) -> str:
        """Change a card; returns its id, a new one if the message was gone."""

        def change(bot: Bot, chat: int, _topic: int | None, bare: bool) -> Awaitable[object]:
            return bot.edit_message_text(
                card.plain if bare else card.text,
                chat,
                int(message_id),
                entities=None if bare else to_entities(card.spans),
                reply_markup=inline_keyboard(card),
                link_preview_options=NO_PREVIEW,
            )

        try:
            await self._in_turn(place, change)
        except TelegramRefusedError as refused:
            if "message is not modified" in refused.reason:
                return message_id
            if any(
                phrase in refused.reason for phrase in ("to edit not found", "can't be edited", "message_id_invalid")
            ):
                log.info("telegram_card_was_gone", chat=place.channel, message=message_id)
                return await self.post(place, card, None)
            raise
        return message_id

    async def attach(self, place: Place, files: Sequence[Attachment], caption: str, reply_to: str | None) -> list[str]:
        """Send files one after the other, with the caption below the first; returns the messages' ids."""
        for file in files:
            if not 0 < len(file.content) <= MAX_FILE_BYTES:
                message = f"{file.name} has {len(file.content):,} bytes; Telegram takes 1 to {MAX_FILE_BYTES:,}."
                raise PermanentError("file_size", message, "The operator can see it on the terminal.")
        fits = measure(text_lines(caption)) <= MAX_CAPTION + 1
        ids = await self.send_text(place, caption, reply_to) if caption and not fits else []
        keys = [(place.channel, place.thread, reply_to, file.name, sha256(file.content).digest()) for file in files]
        for n, file in enumerate(files):
            if keys[n] in self._delivered:  # already delivered before another file failed
                continue
            file_caption = caption if n == 0 and fits else ""
            ids.append(
                sent_message_id(
                    await self._in_turn(place, document_request(file, file_caption, reply_to if n == 0 else None))
                )
            )
            self._delivered[keys[n]] = None
            while len(self._delivered) > _MAX_REMEMBERED:
                self._delivered.pop(next(iter(self._delivered)))
        for key in keys:
            self._delivered.pop(key, None)
        return ids

    async def send_text(self, place: Place, text: str, reply_to: str | None, extras: Extras = NO_EXTRAS) -> list[str]:
        """Send plain text in one or a few messages, or as a file; buttons go below the last one.

        Returns the messages' ids.
        """
        parts = split_lines(text_lines(text))
        if not parts:
            return []
        if len(parts) > MAX_PARTS:
            attachment = Attachment("answer.txt", text.encode("utf-8", "backslashreplace"), "text/plain")
            return await self.attach(place, [attachment], _LONG_TEXT, reply_to)
        ids = []
        for n, part in enumerate(parts):
            part_extras = extras if n == len(parts) - 1 else NO_EXTRAS
            ids.append(
                sent_message_id(
                    await self._in_turn(place, message_request(part, reply_to if n == 0 else None, part_extras))
                )
            )
        return ids

    async def prompt(
        self,
        place: Place,
        question: tuple[str, str],
        person: tuple[int, str] | None,
        ref: tuple[str, str],
        card_message_id: str,
    ) -> str:
        """Ask one person for text: `question` is the question and the input field's placeholder.

        `ref` is the reference that leads back to the button, as text and as a link. Without entities the reference is
        the last line. Returns the message's id.
        """
        sentence, placeholder = question
        name = neutralize(truncate(person[1], 60)) if person else ""
        text = f"{_PROMPT_EMOJI} {name}, {sentence[0].lower()}{sentence[1:]}" if name else f"{_PROMPT_EMOJI} {sentence}"
        marks = [MessageEntity(MessageEntity.TEXT_LINK, 0, utf16_length(_PROMPT_EMOJI), url=ref[1])]
        if person and name:  # only the person who pressed sees the input field (Bot API, ForceReply.selective)
            user = User(person[0], name, is_bot=False)
            marks.append(
                MessageEntity(
                    MessageEntity.TEXT_MENTION, utf16_length(_PROMPT_EMOJI) + 1, utf16_length(name), user=user
                )
            )

        def send(bot: Bot, chat: int, topic: int | None, bare: bool) -> Awaitable[object]:
            return bot.send_message(
                chat,
                f"{text}\n\n{ref[0]}" if bare else text,
                entities=None if bare else marks,
                message_thread_id=topic,
                reply_parameters=reply_parameters(card_message_id),
                reply_markup=ForceReply(selective=bool(name), input_field_placeholder=placeholder),
                link_preview_options=NO_PREVIEW,
            )

        return sent_message_id(await self._in_turn(place, send))

    async def answer_callback(self, callback_id: str, text: str, *, alert: bool) -> None:
        """Answer a button press, with a few retries; a press that is too old is ignored."""
        popup = truncate("\n".join(" ".join(line.split()) for line in text.strip().splitlines()), MAX_ANSWER)
        for pause_s in (0.25, 1.0, 0.0):
            try:
                await self._wire.call(
                    lambda bot: bot.answer_callback_query(callback_id, text=popup or None, show_alert=alert)
                )
            except TelegramRefusedError as refused:
                log.info("telegram_press_was_not_answered", why=refused.reason)
            except TransientError as error:
                log.warning("telegram_press_was_not_answered", why=str(error))
                await asyncio.sleep(min(error.retry_after_s or pause_s, 5.0))
                continue
            return

    async def react(self, place: Place, message_id: str) -> None:
        r"""React to a message with \N{EYES}; a deleted message or a chat without reactions is ignored."""
        reactions = [ReactionTypeEmoji(_SEEN_EMOJI)]
        try:
            await self._wire.call(lambda bot: bot.set_message_reaction(self._chat(place), int(message_id), reactions))
        except (TelegramRefusedError, ChatMovedError) as refused:
            log.info("telegram_reaction_was_refused", chat=place.channel, why=str(refused))

    def add_moved_chat(self, old: int, new: int) -> None:
        """Record a group's new id."""
        self._new_ids[old] = new

    async def _in_turn(self, place: Place, send: SendRequest[T]) -> T:
        """Send in the chat's turn; follows a moved group, leaves a lost topic, drops rejected entities."""
        chat, topic, bare = self._chat(place), topic_id(place), False
        async with self._pace.turn(chat) as turn:
            for _ in range(_MAX_TRIES):
                await turn.wait()
                try:
                    return await self._once(turn, send, chat, topic, bare=bare)
                except ChatMovedError as moved:
                    await self._moved(str(chat), str(moved.to))
                    self.add_moved_chat(chat, moved.to)
                    chat = moved.to
                except TelegramRefusedError as refused:
                    if "thread not found" in refused.reason and topic is not None:
                        topic = None
                    elif "entit" in refused.reason and not bare:
                        bare = True
                    else:
                        raise
                    log.warning("telegram_message_was_simplified", chat=str(chat), why=refused.reason)
        raise TransientError("telegram_busy", "Telegram delayed this message too often.", retry_after_s=5)

    async def _once(self, turn: SendTurn, send: SendRequest[T], chat: int, topic: int | None, *, bare: bool) -> T:
        """Send one request; if asked to wait, waits within the patience so that messages keep their order."""
        for _ in range(_MAX_TRIES):
            try:
                return await self._wire.call(lambda bot: send(bot, chat, topic, bare))
            except TransientError as error:
                if error.problem.code != "telegram_busy" or not turn.pause(error.retry_after_s or 1.0):
                    raise
                log.info("telegram_asked_for_patience", chat=str(chat), wait_s=error.retry_after_s)
                await turn.wait()
        raise TransientError("telegram_busy", "Telegram delayed this message too often.", retry_after_s=5)

    def _chat(self, place: Place) -> int:
        try:
            chat = int(place.channel)
        except ValueError as error:
            raise PermanentError("place_gone", f"{place.channel} is not a Telegram chat.") from error
        return self._new_ids.get(chat, chat)
