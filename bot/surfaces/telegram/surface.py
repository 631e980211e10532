"""The Telegram surface: updates go to the inbox, and what the bot says goes to Telegram."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from telegram import BotCommand

from bot.cards.diff import DiffView
from bot.cards.model import Card
from bot.cards.safe import one_line
from bot.commands.table import FIRST
from bot.surfaces.port import (
    NO_EXTRAS,
    Attachment,
    ButtonPress,
    Buttons,
    Extras,
    Inbox,
    IncomingMessage,
    Place,
    RenderedCard,
    Response,
    TelegramConfig,
)
from bot.surfaces.telegram.card import TelegramCard, render_telegram_card
from bot.surfaces.telegram.client import TelegramClient
from bot.surfaces.telegram.doctor_checks import check_telegram
from bot.surfaces.telegram.incoming import (
    ALLOWED_UPDATES,
    SURFACE,
    BotAccount,
    CallbackPress,
    ChatMoved,
    RejectedPress,
    TelegramInput,
    UnlistedChat,
    parse_update,
)
from bot.surfaces.telegram.pace import PaceLimits
from bot.surfaces.telegram.polling import poll
from bot.surfaces.telegram.prompts import derive_secret, question_for, reference_link, sign_reference
from bot.surfaces.telegram.sending import MAX_ANSWER, TelegramSender
from bot.surfaces.telegram.split_messages import SplitMessages
from bot.surfaces.telegram.update_parts import UnreadableUpdateError, required_int, text_at, update_id
from bot.surfaces.utf16 import utf16_length
from core.log import fault_of, log
from core.model.errors import CountersignError, TransientError, UsageError

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

_ANSWER_WITHIN_S: Final = 8.0
_CLOSE_GRACE_S: Final = 1.0
_MAX_CONCURRENT_ANSWERS: Final = 64
"""Presses that are answered at the same time."""
_LOG_AGAIN_S: Final = 600.0
"""How often the log mentions the same unlisted chat."""
_WEBHOOK_CHECK_S: Final = 600.0
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{1,256}")
_STILL_WORKING: Final = "Noted. The card will show the result."
_FAULT: Final = "Something went wrong in Countersign. Check the card, then try again."
_BELOW: Final = "The answer is below the card."
_REFUSED: Final = "This button does not belong to a card of Countersign in this chat."


class TelegramSurface:
    """`bot.surfaces.port.Surface` for Telegram. Create one per bot in its event loop; `close` ends it.

    `wait_s` is the time limit of one request, `poll_s` how long Telegram holds a poll open. Raises `UsageError` if a
    webhook is configured without the secret that authenticates its caller.
    """

    name = SURFACE

    def __init__(
        self, config: TelegramConfig, *, limits: PaceLimits | None = None, wait_s: float = 15.0, poll_s: int = 50
    ) -> None:
        if config.webhook_url and not _SECRET.fullmatch(config.webhook_secret or ""):
            mend = "Create one, for example with `openssl rand -hex 32`: 1 to 256 letters, digits, _ and -."
            raise UsageError("telegram_secret", "The Telegram webhook has no valid secret.", mend)
        self._config, self._poll_s = config, poll_s
        self._client = TelegramClient(config, wait_s)
        self._sender = TelegramSender(self._client, limits or PaceLimits(), self._moved)
        self._inbox: Inbox | None = None
        self._running = False
        self._account: BotAccount | None = None
        self._answer_tasks: set[asyncio.Task[None]] = set()
        self._answer_slots = asyncio.Semaphore(_MAX_CONCURRENT_ANSWERS)
        self._listed = set(config.chats)
        self._unlisted: OrderedDict[str, float] = OrderedDict()
        self._cuts = SplitMessages()

    @property
    def webhook_path(self) -> str:
        """The path that Telegram calls in webhook mode."""
        return f"/telegram/{derive_secret(self._config.token, 'webhook path')}"

    async def run(self, inbox: Inbox) -> None:
        """Listen until cancelled; see `Surface.run`."""
        self._inbox, self._running = inbox, True
        try:
            await self._identify()
            if self._config.webhook_url:
                await self._serve_webhook()
            else:
                await poll(self._client, self._store, self._poll_s)
        finally:
            self._running = False
            await self.close()

    def routes(self, inbox: Inbox) -> Sequence[BaseRoute]:
        """The webhook's route in webhook mode, else none."""
        if not self._config.webhook_url:
            return ()
        from bot.surfaces.telegram.webhook import webhook_route

        self._inbox = inbox
        return (webhook_route(self.webhook_path, self._config.webhook_secret or "", self._store_body),)

    def render(self, card: Card, diff: DiffView | None, buttons: Buttons, *, delivered: bool) -> RenderedCard:
        """See `Surface.render`."""
        drawing = render_telegram_card(card, diff, buttons.ids, delivered=delivered)
        return RenderedCard(drawing.card, drawing.hides_lines)

    async def post(self, place: Place, rendered: RenderedCard, reply_to: str | None) -> str:
        """See `Surface.post`."""
        return await self._sender.post(place, _card(rendered), reply_to)

    async def edit(self, place: Place, message_id: str, rendered: RenderedCard) -> str:
        """See `Surface.edit`."""
        return await self._sender.edit(place, message_id, _card(rendered))

    async def attach(
        self, place: Place, files: Sequence[Attachment], caption: str, reply_to: str | None
    ) -> Sequence[str]:
        """See `Surface.attach`."""
        return await self._sender.attach(place, files, caption, reply_to)

    async def send_text(
        self, place: Place, text: str, reply_to: str | None, only_to: str | None, extras: Extras = NO_EXTRAS
    ) -> Sequence[str]:
        """See `Surface.send_text`; in a group everyone can read it, because bots cannot whisper."""
        del only_to
        return await self._sender.send_text(place, text, reply_to, extras)

    async def check_access(self, message: IncomingMessage | ButtonPress) -> str | None:
        """Allow everyone whose id is known: Telegram lets only members write in a group."""
        del message
        return None

    async def complete_message(self, message: IncomingMessage) -> IncomingMessage | None:
        """The message as it is; Telegram's updates are complete."""
        return message

    async def acknowledge(self, place: Place, message_id: str) -> None:
        """See `Surface.acknowledge`."""
        await self._sender.react(place, message_id)

    async def check(self) -> Sequence[Mapping[str, Any]]:
        """See `Surface.check`; closes the connection unless `run` uses it."""
        try:
            return await check_telegram(self._client, self._config)
        finally:
            if not self._running:
                await self.close()

    async def close(self) -> None:
        """Close the connection, with a short grace for answers under way; the next use opens it again."""
        tasks = tuple(self._answer_tasks)
        if tasks:
            _, pending = await asyncio.wait(tasks, timeout=_CLOSE_GRACE_S)
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
        await self._client.close()

    async def _identify(self) -> BotAccount:
        """Fetch the bot's own account, and set the command menu."""
        me = await self._client.get("getMe")
        try:
            account = self._account = BotAccount(required_int(me, "id"), text_at(me, "username"), self._config.token)
        except UnreadableUpdateError as error:
            raise TransientError("telegram_odd", f"Telegram does not identify the bot: {error}.") from error
        menu = [BotCommand(spec.name, spec.help) for spec in FIRST]
        await self._client.call(lambda bot: bot.set_my_commands(menu))
        log.info("telegram_started", bot=account.username, mode="webhook" if self._config.webhook_url else "polling")
        return account

    async def _serve_webhook(self) -> None:
        """Register the webhook, then check regularly that it is still ours and the token valid."""
        url = f"{(self._config.webhook_url or '').rstrip('/')}{self.webhook_path}"
        secret = self._config.webhook_secret
        await self._client.call(lambda bot: bot.set_webhook(url, allowed_updates=ALLOWED_UPDATES, secret_token=secret))
        while True:
            await asyncio.sleep(_WEBHOOK_CHECK_S)
            try:
                info = await self._client.get("getWebhookInfo")
            except TransientError as error:
                log.warning("telegram_was_out_of_reach", why=str(error))
                continue
            if info.get("url") != url:
                raise TransientError("telegram_conflict", "Another program has changed this bot's webhook.")

    async def _store_body(self, body: object) -> bool:
        """Store the update of a webhook's body; returns false if it is not an update."""
        if update_id(body) is None:
            log.warning("telegram_update_was_odd", part="update_id")
            return False
        await self._store(body)
        return True

    async def _store(self, update: object) -> None:
        """Hand over what an update says; raises `TransientError` if it must be delivered again.

        An update that differs from Telegram's documentation, or that raises an unexpected error, would come again
        forever and block all others: it is logged without its text, and skipped.
        """
        account = self._account or await self._identify()
        assert isinstance(update, Mapping), "updates have a number"
        try:
            await self._pass_on(parse_update(update, account, self._listed.__contains__, self._cuts))
        except TransientError:
            raise
        except UnreadableUpdateError as error:
            log.warning("telegram_update_was_odd", update=update_id(update), part=str(error))
        except Exception as error:  # noqa: BLE001 - one message that fails must not block all others
            log.error("telegram_update_broke", update=update_id(update), **fault_of(error))

    async def _pass_on(self, parsed: TelegramInput | None) -> None:
        inbox = self._inbox
        assert inbox is not None, "updates arrive only after run or routes"
        match parsed:
            case None:
                return
            case ChatMoved():
                await self._moved(parsed.channel, parsed.new_channel)
            case UnlistedChat():
                self._log_unlisted(parsed.channel)
                if parsed.callback_id:
                    self._start(self._sender.answer_callback(parsed.callback_id, _REFUSED, alert=True))
            case RejectedPress():
                self._start(self._sender.answer_callback(parsed.callback_id, _REFUSED, alert=True))
            case CallbackPress():
                delivery = await inbox.accept(parsed.press)
                self._start(self._answer(inbox, delivery, parsed))
            case _:
                await inbox.accept(parsed)

    async def _answer(self, inbox: Inbox, delivery: Any, callback: CallbackPress) -> None:
        """Show the outcome to the person who pressed; ask for the text that a button needs."""
        async with self._answer_slots:
            try:
                response = await inbox.wait_for_response(delivery, _ANSWER_WITHIN_S) or Response(_STILL_WORKING)
            except CountersignError as error:
                log.warning("telegram_press_failed", why=str(error))
                response = Response(_FAULT, refused=True)
            except Exception:  # answer the press anyway; the error is logged where the task ends
                await self._sender.answer_callback(callback.callback_id, _FAULT, alert=True)
                raise
            too_long = utf16_length(response.text) > MAX_ANSWER  # for the pop-up over the chat
            popup = _BELOW if too_long and not response.refused else response.text
            await self._sender.answer_callback(callback.callback_id, popup, alert=response.refused)
            if too_long:
                await self._sender.send_text(callback.press.place, response.text, callback.press.message_id)
            if response.form:
                await self._ask(callback.press, response.form)

    async def _ask(self, press: ButtonPress, form: str) -> None:
        place = press.place
        person = None if place.private else (int(press.identity), one_line(press.name, 60))
        signed = sign_reference(self._config.token, int(place.channel), press.button, press.message_id)
        account = self._account or await self._identify()
        references = (signed, reference_link(account.username, signed))
        prompt = await self._sender.prompt(place, question_for(form), person, references, press.message_id)
        if self._inbox is not None:
            await self._inbox.record_message(place, prompt, press.message_id)

    async def _moved(self, channel: str, to: str) -> None:
        """Record a group's new id: it stays listed if it was, and the inbox moves its cards."""
        if self._inbox is not None:
            await self._inbox.record_channel_move(self.name, channel, to)
        self._sender.add_moved_chat(int(channel), int(to))
        if channel in self._listed:
            self._listed.add(to)
            log.warning("telegram_group_moved", old=channel, new=to, mend="put the new id into countersign.yaml")

    def _start(self, answer: Coroutine[Any, Any, None]) -> None:
        """Run an answer in the background while listening continues."""
        task = asyncio.get_running_loop().create_task(answer)
        self._answer_tasks.add(task)
        task.add_done_callback(self._on_answered)

    def _on_answered(self, task: asyncio.Task[None]) -> None:
        self._answer_tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("telegram_answer_failed", **fault_of(error))

    def _log_unlisted(self, channel: str) -> None:
        """Log one line for an unlisted chat, then none again for a while (security.md 6)."""
        now = asyncio.get_running_loop().time()
        if now - self._unlisted.get(channel, -_LOG_AGAIN_S) >= _LOG_AGAIN_S:
            self._unlisted[channel] = now
            log.warning("telegram_chat_not_listed", chat=channel)
        while len(self._unlisted) > 1000:
            self._unlisted.popitem(last=False)


def _card(rendered: RenderedCard) -> TelegramCard:
    assert isinstance(rendered.payload, TelegramCard), "a card that this surface rendered"
    return rendered.payload
