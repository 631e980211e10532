"""The methods of the Bot API as the fake answers them, with Telegram's limits and its words for what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from tests.fakes.telegram.model import Chat, Json, Shown, Upload
from tests.fakes.telegram.words import find_entities, units, wrong_entities

if TYPE_CHECKING:
    from tests.fakes.telegram.server import FakeTelegram

MAX_TEXT: Final = 4096
MAX_CAPTION: Final = 1024
MAX_ANSWER: Final = 200
MAX_DATA_BYTES: Final = 64
MAX_FILE_BYTES: Final = 50 * 1000 * 1000
MAX_ROW: Final = 8
MAX_BUTTONS: Final = 100
REACTIONS: Final = frozenset("👍👎❤🔥👏😁🤔🤯😱🎉🤩🙏👌🤡🥱🥴😍👀🎃🙈😇🤝✍🤗🫡🎅🎄☃💅🤪🗿🆒💘🙉🦄😘💊🙊😎👾")

Params = Mapping[str, Any]


class Refusal(Exception):  # noqa: N818 - it is an answer, not an error of the fake
    """What Telegram answers instead of a result; `ours` is true for what documented limits forbid."""

    def __init__(self, status: int, description: str, *, ours: bool = False, **parameters: Any) -> None:
        super().__init__(description)
        self.status, self.description, self.ours, self.parameters = status, description, ours, parameters


def _bad(words: str, *, ours: bool = False) -> Refusal:
    return Refusal(400, f"Bad Request: {words}", ours=ours)


class Methods:
    """One bot's methods. Each takes checked parameters and gives the result's JSON, or raises `Refusal`."""

    def __init__(self, telegram: FakeTelegram) -> None:
        self.telegram = telegram

    async def getMe(self, _params: Params) -> Json:  # noqa: N802 - the Bot API's name
        abilities = {
            "can_join_groups": True,
            "can_read_all_group_messages": not self.telegram.privacy,
            "supports_inline_queries": False,
        }
        return {**self.telegram.bot, **abilities}

    async def getUpdates(self, params: Params) -> list[Json]:  # noqa: N802
        telegram = self.telegram
        if telegram.webhook.get("url"):
            words = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the "
            raise Refusal(409, words + "webhook first")
        if telegram.poller is not None:
            telegram.poller.set()  # the older poller is told, as Telegram does
        mine = telegram.poller = asyncio.Event()
        try:
            return await self._poll(params, mine)
        finally:
            if telegram.poller is mine:
                telegram.poller = None

    async def _poll(self, params: Params, mine: asyncio.Event) -> list[Json]:
        queue = self.telegram.queue
        queue.allow(params.get("allowed_updates"))
        queue.confirm(params.get("offset"))
        deadline = asyncio.get_running_loop().time() + float(params.get("timeout") or 0)
        while True:
            if mine.is_set() or self.telegram.other_poller:
                words = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is "
                raise Refusal(409, words + "running")
            if self.telegram.revoked:
                raise Refusal(401, "Unauthorized")
            found = queue.waiting(int(params.get("limit") or 100))
            left = deadline - asyncio.get_running_loop().time()
            if found or left <= 0:
                return found
            await queue.change(min(left, 0.5), mine)

    async def setWebhook(self, params: Params) -> bool:  # noqa: N802
        secret = params.get("secret_token")
        if secret is not None and not (1 <= len(secret) <= 256 and secret.replace("-", "_").isidentifier()):
            allowed = all(c.isascii() and (c.isalnum() or c in "_-") for c in secret) and 1 <= len(secret) <= 256
            if not allowed:
                raise _bad("secret token contains unallowed characters", ours=True)
        if not str(params["url"]).startswith("https://") and params["url"]:
            raise _bad("bad webhook: An HTTPS URL must be provided for webhook", ours=True)
        self.telegram.queue.allow(params.get("allowed_updates"))
        self.telegram.set_webhook(dict(params))
        return True

    async def deleteWebhook(self, _params: Params) -> bool:  # noqa: N802
        self.telegram.set_webhook({})
        return True

    async def getWebhookInfo(self, _params: Params) -> Json:  # noqa: N802
        hook = self.telegram.webhook
        rest: Json = {"last_error_message": self.telegram.webhook_error} if self.telegram.webhook_error else {}
        if rest:
            rest["last_error_date"] = self.telegram.now()
        pending = len(self.telegram.queue.waiting(10**6))
        return {"url": hook.get("url", ""), "has_custom_certificate": False, "pending_update_count": pending, **rest}

    async def setMyCommands(self, params: Params) -> bool:  # noqa: N802
        for command in params["commands"]:
            name, words = command["command"], command["description"]
            if not (1 <= len(name) <= 32 and name.isascii() and name.replace("_", "a").isalnum() and name.islower()):
                raise _bad("BOT_COMMAND_INVALID", ours=True)
            if not 1 <= len(words) <= 256:
                raise _bad("BOT_COMMAND_DESCRIPTION_INVALID", ours=True)
        if len(params["commands"]) > 100:
            raise _bad("BOT_COMMANDS_TOO_MUCH", ours=True)
        self.telegram.commands = {c["command"]: c["description"] for c in params["commands"]}
        return True

    async def getChat(self, params: Params) -> Json:  # noqa: N802
        chat = self._chat(params)
        gifts = ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels")
        looks = {"accent_color_id": 1, "max_reaction_count": 11, "accepted_gift_types": dict.fromkeys(gifts, False)}
        return {**chat.to_json(), **looks}

    async def sendMessage(self, params: Params) -> Json:  # noqa: N802
        chat = self._chat(params, speaking=True)
        entities = self._words(params["text"], params.get("entities"), MAX_TEXT, "message is too long")
        if not params["text"].strip():
            raise _bad("message text is empty", ours=True)
        raw = self._new(chat, params) | {"text": params["text"]}
        if entities:
            raw["entities"] = entities
        return self._show(chat, raw, params)

    async def sendDocument(self, params: Params) -> Json:  # noqa: N802
        chat = self._chat(params, speaking=True)
        upload = params["document"]
        if not isinstance(upload, Upload):
            raise _bad("wrong file identifier/HTTP URL specified", ours=True)
        if not upload.content:
            raise _bad("file must be non-empty", ours=True)
        if len(upload.content) > MAX_FILE_BYTES:
            raise Refusal(413, "Request Entity Too Large", ours=True)
        caption = params.get("caption") or ""
        entities = self._words(caption, params.get("caption_entities"), MAX_CAPTION, "message caption is too long")
        number = f"file{self.telegram.next_file()}"
        self.telegram.files[number] = upload
        document = {"file_id": number, "file_unique_id": number, "file_name": upload.name}
        raw = self._new(chat, params)
        raw["document"] = document | {"mime_type": upload.media_type, "file_size": len(upload.content)}
        if caption:
            raw["caption"] = caption
        if entities:
            raw["caption_entities"] = entities
        return self._show(chat, raw, params, upload)

    async def editMessageText(self, params: Params) -> Json:  # noqa: N802
        message = self._own(params)
        entities = self._words(params["text"], params.get("entities"), MAX_TEXT, "MESSAGE_TOO_LONG")
        if not params["text"].strip():
            raise _bad("message text is empty", ours=True)
        raw = {k: v for k, v in message.raw.items() if k not in ("text", "entities", "reply_markup")}
        raw["text"] = params["text"]
        if entities:
            raw["entities"] = entities
        return self._change(message, raw, params)

    async def editMessageReplyMarkup(self, params: Params) -> Json:  # noqa: N802
        message = self._own(params)
        return self._change(message, {k: v for k, v in message.raw.items() if k != "reply_markup"}, params)

    async def answerCallbackQuery(self, params: Params) -> bool:  # noqa: N802
        click = self.telegram.clicks.get(params["callback_query_id"])
        if click is None:
            raise _bad("query is too old and response timeout expired or query ID is invalid")
        if units(params.get("text") or "") > MAX_ANSWER:
            raise _bad("MESSAGE_TOO_LONG", ours=True)
        click.told({"text": params.get("text") or "", "show_alert": bool(params.get("show_alert"))})
        return True

    async def sendChatAction(self, params: Params) -> bool:  # noqa: N802
        self._chat(params, speaking=True)
        return True

    async def setMessageReaction(self, params: Params) -> bool:  # noqa: N802
        message = self._chat(params).messages.get(params["message_id"])
        if message is None:
            raise _bad("message to react not found")
        wanted = [reaction["emoji"] for reaction in params.get("reaction") or []]
        if not set(wanted) <= REACTIONS or len(wanted) > 1:
            raise _bad("REACTION_INVALID", ours=True)
        message.reactions = wanted
        return True

    async def getFile(self, params: Params) -> Json:  # noqa: N802
        upload = self.telegram.files.get(params["file_id"])
        if upload is None:
            raise _bad("wrong file_id or the file is temporarily unavailable")
        number = params["file_id"]
        return {"file_id": number, "file_unique_id": number, "file_path": f"documents/{number}"}

    def _chat(self, params: Params, *, speaking: bool = False) -> Chat:
        try:
            chat = self.telegram.chats.get(int(params["chat_id"]))
        except ValueError:
            chat = None
        if chat is None:
            raise _bad("chat not found")
        if chat.moved_to is not None:
            words = "group chat was upgraded to a supergroup chat"
            raise Refusal(400, f"Bad Request: {words}", migrate_to_chat_id=chat.moved_to.id)
        if chat.gone:
            raise Refusal(403, chat.gone)
        thread = params.get("message_thread_id")
        if speaking and thread is not None and thread not in chat.topics:
            raise _bad("message thread not found")
        return chat

    def _own(self, params: Params) -> Shown:
        message = self._chat(params).messages.get(int(params["message_id"]))
        if message is None:
            raise _bad("message to edit not found")
        if not message.by_bot:
            raise _bad("message can't be edited")
        return message

    def _words(self, text: str, entities: Any, limit: int, complaint: str) -> list[Json]:
        if units(text) > limit:
            raise _bad(complaint, ours=True)
        given = [dict(entity) for entity in entities or []]
        wrong = wrong_entities(text, given)
        if wrong is None and self.telegram.refuse_entities and given:
            raise _bad("can't parse entities: unsupported start tag")
        if wrong is not None:
            raise _bad(wrong, ours=True)
        return find_entities(text, given)

    def _new(self, chat: Chat, params: Params) -> Json:
        raw: Json = {"from": self.telegram.bot, "chat": chat.to_json(), "date": self.telegram.now()}
        if params.get("message_thread_id") is not None:
            raw |= {"message_thread_id": params["message_thread_id"], "is_topic_message": True}
        reply = params.get("reply_parameters")
        if reply is not None:
            answered = chat.messages.get(reply["message_id"])
            if answered is None and not reply.get("allow_sending_without_reply"):
                raise _bad("message to be replied not found")
            if answered is not None:
                raw["reply_to_message"] = {k: v for k, v in answered.raw.items() if k != "reply_to_message"}
        return raw | _keyboard(params)

    def _show(self, chat: Chat, raw: Json, params: Params, upload: Upload | None = None) -> Json:
        raw["message_id"] = self.telegram.next_id(chat)
        forced = bool((params.get("reply_markup") or {}).get("force_reply"))
        shown = Shown(chat, raw, by_bot=True, document=upload, force_reply=forced)
        chat.messages[shown.id] = shown
        self.telegram.changed()
        return raw

    def _change(self, message: Shown, raw: Json, params: Params) -> Json:
        raw |= _keyboard(params)
        parts = ("text", "entities", "reply_markup")
        if [raw.get(part) for part in parts] == [message.raw.get(part) for part in parts]:
            words = "message is not modified: specified new message content and reply markup are exactly the same as "
            raise _bad(words + "a current content and reply markup of the message")
        message.raw = raw | {"edit_date": self.telegram.now(tick=True)}
        message.edits += 1
        self.telegram.changed()
        return message.raw


def _keyboard(params: Params) -> Json:
    """The checked inline keyboard of a message, if it has one (core.telegram.org/bots/api#inlinekeyboardbutton)."""
    rows = (params.get("reply_markup") or {}).get("inline_keyboard")
    if not rows:
        return {}
    buttons = [button for row in rows for button in row]
    if len(buttons) > MAX_BUTTONS or any(len(row) > MAX_ROW for row in rows):
        raise _bad("BUTTON_COUNT_INVALID", ours=True)
    for button in buttons:
        if not button["text"].strip():
            raise _bad(
                "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard", ours=True
            )
        if not 1 <= len(button.get("callback_data", "").encode()) <= MAX_DATA_BYTES:
            raise _bad("BUTTON_DATA_INVALID", ours=True)
    return {"reply_markup": {"inline_keyboard": [[dict(button) for button in row] for row in rows if row]}}
