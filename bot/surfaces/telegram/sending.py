"""Speaking: messages that reach their chat, in order, whatever happened to the chat or to Telegram meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Final, TypeVar

from telegram import Bot, ForceReply, MessageEntity, ReactionTypeEmoji, User

from bot.surfaces.port import NO_EXTRAS, Attachment, Extras, Place
from bot.surfaces.telegram.card import TelegramCard
from bot.surfaces.telegram.client import ChatMovedError, TelegramClient, TelegramRefusedError
from bot.surfaces.telegram.entities import MAX_CAPTION, measure, neutralize, truncate, utf16_length
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
from core.log import log
from core.model.errors import PermanentError, TransientError

T = TypeVar("T")

MAX_FILE_BYTES: Final = 50_000_000
"""What a bot may send (core.telegram.org/bots/api#sending-files: 50 MB)."""
MAX_PARTS: Final = 3
"""Messages that one text is split into; longer ones come as a file."""
MAX_ANSWER: Final = 200
_TRIES: Final = 6
_REMEMBERED: Final = 1000
"""Files that arrived while others beside them did not."""
_SEEN: Final = "👀"
_ASKS: Final = "✍️"
_LONG: Final = "The answer is long; it is in the file."


class TelegramSender:
    """What we say on Telegram. `moved` is told of a group's new id before we speak there."""

    def __init__(self, wire: TelegramClient, limits: PaceLimits, moved: Callable[[str, str], Awaitable[None]]) -> None:
        self._wire, self._moved = wire, moved
        self._pace = ChatPace(limits)
        self._new_ids: dict[int, int] = {}
        self._arrived: dict[tuple[str, str | None, str | None, str, bytes], None] = {}

    async def post(self, place: Place, card: TelegramCard, reply_to: str | None) -> str:
        """Post a card; its message id."""

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
        """Change a card; its id, which is a new one if the message was gone."""

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
            if "message is not modified" in refused.words:
                return message_id
            if any(sign in refused.words for sign in ("to edit not found", "can't be edited", "message_id_invalid")):
                log.info("telegram_card_was_gone", chat=place.channel, message=message_id)
                return await self.post(place, card, None)
            raise
        return message_id

    async def attach(self, place: Place, files: Sequence[Attachment], words: str, reply_to: str | None) -> list[str]:
        """Send files one after the other; the words stand below the first. Returns the messages' ids."""
        for file in files:
            if not 0 < len(file.content) <= MAX_FILE_BYTES:
                told = f"{file.name} has {len(file.content):,} bytes; Telegram takes 1 to {MAX_FILE_BYTES:,}."
                raise PermanentError("file_size", told, "Whoever runs Countersign can see it at its terminal.")
        fits = measure(text_lines(words)) <= MAX_CAPTION + 1
        ids = await self.say(place, words, reply_to) if words and not fits else []
        sent = [(place.channel, place.thread, reply_to, file.name, sha256(file.content).digest()) for file in files]
        for n, file in enumerate(files):
            if sent[n] in self._arrived:  # what got through before another did not is there
                continue
            caption = words if n == 0 and fits else ""
            ids.append(
                sent_message_id(
                    await self._in_turn(place, document_request(file, caption, reply_to if n == 0 else None))
                )
            )
            self._arrived[sent[n]] = None
            while len(self._arrived) > _REMEMBERED:
                self._arrived.pop(next(iter(self._arrived)))
        for one in sent:
            self._arrived.pop(one, None)
        return ids

    async def say(self, place: Place, text: str, reply_to: str | None, extras: Extras = NO_EXTRAS) -> list[str]:
        """Say plain words: in one message, in a few, or as a file; buttons stand below the last. Returns their ids."""
        parts = split_lines(text_lines(text))
        if not parts:
            return []
        if len(parts) > MAX_PARTS:
            whole = Attachment("answer.txt", text.encode("utf-8", "backslashreplace"), "text/plain")
            return await self.attach(place, [whole], _LONG, reply_to)
        ids = []
        for n, part in enumerate(parts):
            last = extras if n == len(parts) - 1 else NO_EXTRAS
            ids.append(
                sent_message_id(await self._in_turn(place, message_request(part, reply_to if n == 0 else None, last)))
            )
        return ids

    async def ask(
        self, place: Place, asked: tuple[str, str], person: tuple[int, str] | None, ref: tuple[str, str], card: str
    ) -> str:
        """Ask one person for words: `asked` is the question and the field's hint, `ref` what leads back, and as a link.

        Without entities the reference stands as the last line. Returns the message's id.
        """
        said, hint = asked
        name = neutralize(truncate(person[1], 60)) if person else ""
        text = f"{_ASKS} {name}, {said[0].lower()}{said[1:]}" if name else f"{_ASKS} {said}"
        marks = [MessageEntity(MessageEntity.TEXT_LINK, 0, utf16_length(_ASKS), url=ref[1])]
        if person and name:  # who pressed is meant: only they are shown the field (Bot API, ForceReply.selective)
            user = User(person[0], name, is_bot=False)
            marks.append(
                MessageEntity(MessageEntity.TEXT_MENTION, utf16_length(_ASKS) + 1, utf16_length(name), user=user)
            )

        def send(bot: Bot, chat: int, topic: int | None, bare: bool) -> Awaitable[object]:
            return bot.send_message(
                chat,
                f"{text}\n\n{ref[0]}" if bare else text,
                entities=None if bare else marks,
                message_thread_id=topic,
                reply_parameters=reply_parameters(card),
                reply_markup=ForceReply(selective=bool(name), input_field_placeholder=hint),
                link_preview_options=NO_PREVIEW,
            )

        return sent_message_id(await self._in_turn(place, send))

    async def answer(self, callback: str, text: str, *, alert: bool) -> None:
        """Answer a press, a few times if need be; one that is too old to be answered is no fault."""
        words = truncate("\n".join(" ".join(line.split()) for line in text.strip().splitlines()), MAX_ANSWER)
        for pause_s in (0.25, 1.0, 0.0):
            try:
                await self._wire.call(
                    lambda bot: bot.answer_callback_query(callback, text=words or None, show_alert=alert)
                )
            except TelegramRefusedError as refused:
                log.info("telegram_press_was_not_answered", why=refused.words)
            except TransientError as error:
                log.warning("telegram_press_was_not_answered", why=str(error))
                await asyncio.sleep(min(error.retry_after_s or pause_s, 5.0))
                continue
            return

    async def seen(self, place: Place, message_id: str) -> None:
        """Put \N{EYES} below a message; one that is gone, or a chat without reactions, is no fault."""
        seen = [ReactionTypeEmoji(_SEEN)]
        try:
            await self._wire.call(lambda bot: bot.set_message_reaction(self._chat(place), int(message_id), seen))
        except (TelegramRefusedError, ChatMovedError) as refused:
            log.info("telegram_reaction_was_refused", chat=place.channel, why=str(refused))

    def learn(self, old: int, new: int) -> None:
        """A group has another id."""
        self._new_ids[old] = new

    async def _in_turn(self, place: Place, send: SendRequest[T]) -> T:
        """Send in the chat's turn; follows a moved group, leaves a lost topic, does without refused entities."""
        chat, topic, bare = self._chat(place), topic_id(place), False
        async with self._pace.turn(chat) as turn:
            for _ in range(_TRIES):
                await turn.ready()
                try:
                    return await self._once(turn, send, chat, topic, bare=bare)
                except ChatMovedError as moved:
                    await self._moved(str(chat), str(moved.to))
                    self.learn(chat, moved.to)
                    chat = moved.to
                except TelegramRefusedError as refused:
                    if "thread not found" in refused.words and topic is not None:
                        topic = None
                    elif "entit" in refused.words and not bare:
                        bare = True
                    else:
                        raise
                    log.warning("telegram_message_was_simplified", chat=str(chat), why=refused.words)
        raise TransientError("telegram_busy", "Telegram put this message off too often.", retry_after_s=5)

    async def _once(self, turn: SendTurn, send: SendRequest[T], chat: int, topic: int | None, *, bare: bool) -> T:
        """One request; told to wait, it waits within the patience, so that no later message overtakes this one."""
        for _ in range(_TRIES):
            try:
                return await self._wire.call(lambda bot: send(bot, chat, topic, bare))
            except TransientError as error:
                if error.problem.code != "telegram_busy" or not turn.hold(error.retry_after_s or 1.0):
                    raise
                log.info("telegram_asked_for_patience", chat=str(chat), wait_s=error.retry_after_s)
                await turn.ready()
        raise TransientError("telegram_busy", "Telegram put this message off too often.", retry_after_s=5)

    def _chat(self, place: Place) -> int:
        try:
            chat = int(place.channel)
        except ValueError as error:
            raise PermanentError("place_gone", f"{place.channel} is not a chat of Telegram's.") from error
        return self._new_ids.get(chat, chat)
