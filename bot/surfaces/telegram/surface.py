"""The surface: what Telegram tells us goes to the ears, what the bot says goes to Telegram."""

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
from bot.surfaces.telegram.checks import check_telegram
from bot.surfaces.telegram.client import TelegramClient
from bot.surfaces.telegram.entities import utf16_length
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
from core.log import fault_of, log
from core.model.errors import CountersignError, TransientError, UsageError

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

_ANSWER_WITHIN_S: Final = 8.0
_LAST_WORDS_S: Final = 1.0
_AT_ONCE: Final = 64
"""Presses that are answered at the same time."""
_TELL_AGAIN_S: Final = 600.0
"""How often one stranger's chat is mentioned in the log."""
_LOOK_AGAIN_S: Final = 600.0
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{1,256}")
_LATER: Final = "Noted. The card will show what became of it."
_FAULT: Final = "That went wrong on our side. Look at the card, and try again."
_BELOW: Final = "The answer is below the card."
_REFUSED: Final = "This button belongs to no card of ours here."


class TelegramSurface:
    """`bot.surfaces.port.Surface` for Telegram. Build one per bot, in the event loop that uses it; `close` ends it.

    `wait_s` is the time for one request, `poll_s` how long Telegram holds a poll open. Raises `UsageError` when a
    webhook is configured without the secret that proves who calls it.
    """

    name = SURFACE

    def __init__(
        self, config: TelegramConfig, *, limits: PaceLimits | None = None, wait_s: float = 15.0, poll_s: int = 50
    ) -> None:
        if config.webhook_url and not _SECRET.fullmatch(config.webhook_secret or ""):
            mend = "Make one, for example with `openssl rand -hex 32`: 1 to 256 letters, digits, _ and -."
            raise UsageError("telegram_secret", "The Telegram webhook has no secret that can be used.", mend)
        self._config, self._poll_s = config, poll_s
        self._wire = TelegramClient(config, wait_s)
        self._speaker = TelegramSender(self._wire, limits or PaceLimits(), self._moved)
        self._ears: Inbox | None = None
        self._running = False
        self._us: BotAccount | None = None
        self._answering: set[asyncio.Task[None]] = set()
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._listed = set(config.chats)
        self._strangers: OrderedDict[str, float] = OrderedDict()
        self._cuts = SplitMessages()

    @property
    def webhook_path(self) -> str:
        """The path that Telegram calls in webhook mode."""
        return f"/telegram/{derive_secret(self._config.token, 'webhook path')}"

    async def run(self, ears: Inbox) -> None:
        """Listen until cancelled; see `Surface.run`."""
        self._ears, self._running = ears, True
        try:
            await self._introduce()
            if self._config.webhook_url:
                await self._be_called()
            else:
                await poll(self._wire, self._keep, self._poll_s)
        finally:
            self._running = False
            await self.close()

    def routes(self, ears: Inbox) -> Sequence[BaseRoute]:
        """The webhook's route in webhook mode, else nothing."""
        if not self._config.webhook_url:
            return ()
        from bot.surfaces.telegram.webhook import webhook_route

        self._ears = ears
        return (webhook_route(self.webhook_path, self._config.webhook_secret or "", self._keep_body),)

    def draw(self, card: Card, diff: DiffView | None, buttons: Buttons, *, delivered: bool) -> RenderedCard:
        """See `Surface.draw`."""
        drawing = render_telegram_card(card, diff, buttons.ids, delivered=delivered)
        return RenderedCard(drawing.card, drawing.hides)

    async def post(self, place: Place, drawn: RenderedCard, reply_to: str | None) -> str:
        """See `Surface.post`."""
        return await self._speaker.post(place, _card(drawn), reply_to)

    async def edit(self, place: Place, message_id: str, drawn: RenderedCard) -> str:
        """See `Surface.edit`."""
        return await self._speaker.edit(place, message_id, _card(drawn))

    async def attach(
        self, place: Place, files: Sequence[Attachment], caption: str, reply_to: str | None
    ) -> Sequence[str]:
        """See `Surface.attach`."""
        return await self._speaker.attach(place, files, caption, reply_to)

    async def say(
        self, place: Place, text: str, reply_to: str | None, only_to: str | None, extras: Extras = NO_EXTRAS
    ) -> Sequence[str]:
        """See `Surface.say`; Telegram has no words for one pair of ears in a group, so all in it can read them."""
        del only_to
        return await self._speaker.say(place, text, reply_to, extras)

    async def admits(self, said: IncomingMessage | ButtonPress) -> str | None:
        """Everybody whose id is known: Telegram itself lets only members write in a group."""
        del said
        return None

    async def in_full(self, said: IncomingMessage) -> IncomingMessage | None:
        """The message as it is; Telegram's updates are whole."""
        return said

    async def acknowledge(self, place: Place, message_id: str) -> None:
        """See `Surface.acknowledge`."""
        await self._speaker.seen(place, message_id)

    async def check(self) -> Sequence[Mapping[str, Any]]:
        """See `Surface.check`; closes the connection unless somebody listens on it."""
        try:
            return await check_telegram(self._wire, self._config)
        finally:
            if not self._running:
                await self.close()

    async def close(self) -> None:
        """End the connection, after a moment for what is still being answered; the next use opens it again."""
        answering = tuple(self._answering)
        if answering:
            _, late = await asyncio.wait(answering, timeout=_LAST_WORDS_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._wire.close()

    async def _introduce(self) -> BotAccount:
        """Learn who we are, and put the menu up."""
        me = await self._wire.ask("getMe")
        try:
            us = self._us = BotAccount(required_int(me, "id"), text_at(me, "username"), self._config.token)
        except UnreadableUpdateError as error:
            raise TransientError("telegram_odd", f"Telegram does not say who we are: {error}.") from error
        menu = [BotCommand(spec.name, spec.help) for spec in FIRST]
        await self._wire.call(lambda bot: bot.set_my_commands(menu))
        log.info("telegram_started", bot=us.username, mode="webhook" if self._config.webhook_url else "polling")
        return us

    async def _be_called(self) -> None:
        """Tell Telegram our address, then look now and then whether the token is still good."""
        url = f"{(self._config.webhook_url or '').rstrip('/')}{self.webhook_path}"
        secret = self._config.webhook_secret
        await self._wire.call(lambda bot: bot.set_webhook(url, allowed_updates=ALLOWED_UPDATES, secret_token=secret))
        while True:
            await asyncio.sleep(_LOOK_AGAIN_S)
            try:
                found = await self._wire.ask("getWebhookInfo")
            except TransientError as error:
                log.warning("telegram_was_out_of_reach", why=str(error))
                continue
            if found.get("url") != url:
                raise TransientError("telegram_conflict", "Another program has changed this bot's webhook.")

    async def _keep_body(self, body: object) -> bool:
        """Keep the update in a webhook's body; false when there is none in it."""
        if update_id(body) is None:
            log.warning("telegram_update_was_odd", part="update_id")
            return False
        await self._keep(body)
        return True

    async def _keep(self, update: object) -> None:
        """Hand over what an update says; raises `TransientError` when it must come again.

        One that is not as Telegram documents it, or that breaks us, would come again for ever and let nothing else
        come: it is logged without its words, and passed over.
        """
        us = self._us or await self._introduce()
        assert isinstance(update, Mapping), "updates have a number"
        try:
            await self._pass_on(parse_update(update, us, self._listed.__contains__, self._cuts))
        except TransientError:
            raise
        except UnreadableUpdateError as error:
            log.warning("telegram_update_was_odd", update=update_id(update), part=str(error))
        except Exception as error:  # noqa: BLE001 - one message that breaks us must not keep all others away
            log.error("telegram_update_broke", update=update_id(update), **fault_of(error))

    async def _pass_on(self, said: TelegramInput | None) -> None:
        ears = self._ears
        assert ears is not None, "nothing is heard before run or routes"
        match said:
            case None:
                return
            case ChatMoved():
                await self._moved(said.channel, said.to)
            case UnlistedChat():
                self._mention(said.channel)
                if said.callback:
                    self._start(self._speaker.answer(said.callback, _REFUSED, alert=True))
            case RejectedPress():
                self._start(self._speaker.answer(said.callback, _REFUSED, alert=True))
            case CallbackPress():
                taken = await ears.take(said.clicked)
                self._start(self._answer(ears, taken, said))
            case _:
                await ears.take(said)

    async def _answer(self, ears: Inbox, taken: Any, pressed: CallbackPress) -> None:
        """Tell the one who pressed what became of it, whatever became of it; ask for the words a button wants."""
        async with self._at_once:
            try:
                answer = await ears.answer(taken, _ANSWER_WITHIN_S) or Response(_LATER)
            except CountersignError as error:
                log.warning("telegram_press_failed", why=str(error))
                answer = Response(_FAULT, refused=True)
            except Exception:  # the press is answered all the same; the fault is logged where the task ends
                await self._speaker.answer(pressed.callback, _FAULT, alert=True)
                raise
            too_long = utf16_length(answer.text) > MAX_ANSWER  # for what is shown over the chat
            told = _BELOW if too_long and not answer.refused else answer.text
            await self._speaker.answer(pressed.callback, told, alert=answer.refused)
            if too_long:
                await self._speaker.say(pressed.clicked.place, answer.text, pressed.clicked.message_id)
            if answer.form:
                await self._ask(pressed.clicked, answer.form)

    async def _ask(self, clicked: ButtonPress, form: str) -> None:
        place = clicked.place
        person = None if place.private else (int(clicked.identity), one_line(clicked.name, 60))
        ref = sign_reference(self._config.token, int(place.channel), clicked.button, clicked.message_id)
        us = self._us or await self._introduce()
        back = (ref, reference_link(us.username, ref))
        prompt = await self._speaker.ask(place, question_for(form), person, back, clicked.message_id)
        if self._ears is not None:
            await self._ears.posted(place, prompt, clicked.message_id)

    async def _moved(self, channel: str, to: str) -> None:
        """A group has another id: it stays listened to if it was, and the ears move what they keep about it."""
        if self._ears is not None:
            await self._ears.moved(self.name, channel, to)
        self._speaker.learn(int(channel), int(to))
        if channel in self._listed:
            self._listed.add(to)
            log.warning("telegram_group_moved", old=channel, new=to, mend="put the new id into countersign.yaml")

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """Let an answer be given while we listen on."""
        task = asyncio.get_running_loop().create_task(work)
        self._answering.add(task)
        task.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._answering.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("telegram_answer_failed", **fault_of(error))

    def _mention(self, channel: str) -> None:
        """One log line for a chat we do not know, and none again for a while (security.md 6)."""
        now = asyncio.get_running_loop().time()
        if now - self._strangers.get(channel, -_TELL_AGAIN_S) >= _TELL_AGAIN_S:
            self._strangers[channel] = now
            log.warning("telegram_chat_not_listed", chat=channel)
        while len(self._strangers) > 1000:
            self._strangers.popitem(last=False)


def _card(drawn: RenderedCard) -> TelegramCard:
    assert isinstance(drawn.payload, TelegramCard), "a card that this surface drew"
    return drawn.payload
