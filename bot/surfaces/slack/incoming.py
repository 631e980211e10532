"""Listeners for Slack's deliveries: parse, store, acknowledge; only then respond.

bolt dispatches, but the listeners run before its response (``process_before_response``): stock bolt responds when a
poll every 10 ms finds the acknowledgement, we respond once `Inbox.accept` has stored the message. Everything after that
runs in a task of our own.
"""

from __future__ import annotations

import asyncio
import re
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, TypeVar

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.response import BoltResponse

from bot.cards.model import Card
from bot.surfaces.port import ButtonPress, Inbox, IncomingMessage, TakenMessage
from bot.surfaces.slack import payloads, views
from bot.surfaces.slack.api import SlackApi, silent_logger
from bot.surfaces.slack.members import SlackMembers
from bot.surfaces.slack.text import strip_markup
from core.log import fault_of, log
from core.model.errors import CountersignError, PermanentError, TransientError

T = TypeVar("T")
WaitingCards = Callable[[str], Awaitable[Sequence[Card]]]
"""The cards that wait for the person of an identity."""
SayPrivately = Callable[[ButtonPress, str], Awaitable[None]]
"""Sends a text to the person who pressed a button."""

FORM_S: Final = 2.0
"""The time limit of a response that needs a form: the trigger of a press expires after 3 s.

https://docs.slack.dev/interactivity/handling-user-interaction#modal_responses
"""
RESPONSE_S: Final = 30.0
LOOKUP_S: Final = 1.5
"""The time limit of our own requests to Slack before an acknowledgement or a form."""
_ANY: Final = re.compile(r".*", re.DOTALL)
_NOT_LISTED: Final = (
    "I am not set up for this channel. Ask me in a direct message, or in a channel that I am set up for."
)
_EMPTY: Final = "Write a few words."
_FORM_EXPIRED: Final = "Slack did not wait long enough for the form. Press the button again."


class SlackListener:
    """Passes the deliveries of one app in one workspace to `inbox`; `tasks` holds background work."""

    def __init__(
        self,
        api: SlackApi,
        members: SlackMembers,
        account: Callable[[], Awaitable[payloads.OwnAccount]],
        inbox: Inbox,
        say: SayPrivately,
        waiting: WaitingCards | None,
        tasks: set[asyncio.Task[None]],
        on_message: Callable[[IncomingMessage], None] = lambda _message: None,
    ) -> None:
        self._api, self._members, self._account, self._inbox, self._say = api, members, account, inbox, say
        self._waiting, self._tasks, self._on_message = waiting, tasks, on_message
        self._direct_channels: dict[str, str] = {}

    def app(self) -> AsyncApp:
        """The bolt app that dispatches to this listener; signatures are checked before, in `http`.

        Authorization needs no call.
        """

        async def authorize() -> AuthorizeResult:  # bolt does not call bound methods here
            account, token = await self._account(), self._api.client.token
            return AuthorizeResult(
                enterprise_id=None, team_id=account.team, bot_user_id=account.user_id, bot_token=token
            )

        app = AsyncApp(
            name="countersign",
            logger=silent_logger(),
            client=self._api.client,
            authorize=authorize,
            process_before_response=True,
            request_verification_enabled=False,
            ssl_check_enabled=False,
            url_verification_enabled=False,
            ignoring_self_events_enabled=False,
            attaching_function_token_enabled=False,
            attaching_conversation_kwargs_enabled=False,
        )
        app.event(_ANY)(self.on_event)
        app.command(_ANY)(self.on_command)
        app.action(_ANY)(self.on_action)
        app.view(_ANY)(self.on_view)
        app.shortcut(payloads.SHORTCUT)(self.on_shortcut)
        app.error(_on_error)
        return app

    async def on_event(self, body: dict[str, Any], ack: AsyncAck) -> None:
        """A message, a mention, or a person who opened the Home tab."""
        account, event = await self._account(), body.get("event")
        if isinstance(event, Mapping) and event.get("type") == "app_home_opened":
            user = event.get("user")
            if body.get("team_id") == account.team and isinstance(user, str):
                self._spawn(self._show_home(payloads.make_identity(account.team, user)))
        elif message := _read(lambda: payloads.event_message(body, account)):
            await self._inbox.accept(message)
            self._on_message(message)
        await ack()

    async def on_command(self, body: dict[str, Any], ack: AsyncAck) -> None:
        """`/countersign …`; if it is not accepted here, only its sender gets an answer."""
        account, user = await self._account(), str(body.get("user_id", ""))
        direct_channel = None
        if str(body.get("channel_id", "")).startswith("D") and body.get("team_id") == account.team:
            direct_channel = await self._direct_channel(user)
        message = _read(lambda: payloads.command_message(body, account, direct_channel))
        if message is None:
            await ack(text=_NOT_LISTED, response_type="ephemeral")
        else:
            await self._inbox.accept(message)
            await ack()

    async def on_action(self, body: dict[str, Any], ack: AsyncAck) -> None:
        """A button of a card was pressed."""
        account = await self._account()
        press = _read(lambda: payloads.button_press(body, account))
        if press is None:
            await ack()
            return
        delivery = await self._inbox.accept(press)
        await ack()
        if delivery.is_new:
            self._spawn(self._respond(delivery, press, str(body.get("trigger_id", ""))))

    async def on_view(self, body: dict[str, Any], ack: AsyncAck) -> None:
        """A form was submitted: the text that a button needed, or the message shortcut's."""
        account, view = await self._account(), body.get("view")
        is_shortcut = isinstance(view, Mapping) and view.get("callback_id") == payloads.SHORTCUT
        parsed = _read(
            lambda: payloads.shortcut_message(body, account) if is_shortcut else payloads.form_press(body, account)
        )
        if parsed is None:
            await ack()
            return
        if not parsed.text:
            await ack(response_action="errors", errors={payloads.FIELD: _EMPTY})
            return
        delivery = await self._inbox.accept(parsed)
        await ack()
        if delivery.is_new and isinstance(parsed, ButtonPress):
            self._spawn(self._respond(delivery, parsed, ""))

    async def on_shortcut(self, body: dict[str, Any], ack: AsyncAck) -> None:
        """The message shortcut was used; nothing was said yet, so there is nothing to store."""
        await ack()
        account = await self._account()
        identity = payloads.sender_identity(body, account)
        if identity is not None:
            self._spawn(self._open_shortcut_form(body, account, identity))

    async def _direct_channel(self, user: str) -> str | None:
        """The bot's direct conversation with a person, who may have typed the command in another one."""
        if user not in self._direct_channels:
            answer = await self._api.call("conversations.open", {"users": user}, channel=user, timeout_s=LOOKUP_S)
            self._direct_channels[user] = str(answer["channel"]["id"])
        return self._direct_channels[user]

    async def _respond(self, delivery: TakenMessage, press: ButtonPress, trigger: str) -> None:
        response = await self._inbox.wait_for_response(delivery, FORM_S)
        if response is None:
            response = await self._inbox.wait_for_response(delivery, RESPONSE_S)
        if response is None:
            return
        if response.form and trigger:
            try:
                await self._open(
                    trigger, views.text_form(response.form, payloads.press_metadata(press)), press.identity
                )
            except PermanentError as error:
                log.warning("slack_form_not_opened", code=error.problem.code, detail=error.problem.message)
                await self._say(press, _FORM_EXPIRED)
        elif response.text:
            await self._say(press, response.text)

    async def _open_shortcut_form(self, body: dict[str, Any], account: payloads.OwnAccount, identity: str) -> None:
        if not await self._members.is_full_member(identity):
            return
        channel, message = body.get("channel"), body.get("message")
        is_listed = isinstance(channel, Mapping) and channel.get("id") in account.channels
        direct_channel = None if is_listed else await self._direct_channel(payloads.user_id_of(identity))
        text = message.get("text") if isinstance(message, Mapping) else ""
        view = views.shortcut_form(
            strip_markup(text if isinstance(text, str) else ""),
            payloads.shortcut_metadata(body, account, direct_channel),
        )
        await self._open(str(body.get("trigger_id", "")), view, identity)

    async def _open(self, trigger: str, view: views.View, identity: str) -> None:
        await self._api.call(
            "views.open", {"trigger_id": trigger, "view": view}, channel=identity, timeout_s=LOOKUP_S * 2
        )

    async def _show_home(self, identity: str) -> None:
        cards = (
            await self._waiting(identity)
            if self._waiting is not None and await self._members.is_full_member(identity)
            else None
        )
        view = views.home_view(cards)
        await self._api.call(
            "views.publish", {"user_id": payloads.user_id_of(identity), "view": view}, channel=identity
        )

    def _spawn(self, coroutine: Coroutine[Any, Any, None] | Awaitable[None]) -> None:
        task = asyncio.create_task(_logged(coroutine))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _read(parse: Callable[[], T]) -> T | None:
    """Parse a delivery; None for one that raises an error, which is acknowledged and skipped."""
    try:
        return parse()
    except Exception as error:  # noqa: BLE001 - it would fail again and block others
        log.error("slack_delivery_broke", **fault_of(error))
        return None


async def _logged(work: Awaitable[None]) -> None:
    """Run the work after an acknowledgement and log its errors, because Slack already has its response."""
    try:
        await work
    except CountersignError as error:
        log.warning("slack_answer_failed", code=error.problem.code, detail=error.problem.message)
    except Exception as error:  # noqa: BLE001 - this task is never awaited, so its error is logged here
        log.error("slack_answer_broke", **fault_of(error))


async def _on_error(error: Exception, body: dict[str, Any]) -> BoltResponse:
    """Do not acknowledge: Slack delivers an event again, and tells the person that a press or form failed.

    What can never be stored is acknowledged, and so is what makes bolt fail before it reaches us.
    """
    if isinstance(error, TransientError):
        log.warning("slack_delivery_not_kept", code=error.problem.code)
        return BoltResponse(status=503, body="")
    log.error("slack_delivery_broke", kind=payloads.delivery_kind(body), **fault_of(error))
    reached_us = any(frame.filename == __file__ for frame in traceback.extract_tb(error.__traceback__))
    never = isinstance(error, PermanentError) or not reached_us
    return BoltResponse(status=200 if never else 500, body="")
