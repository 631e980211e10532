"""What happens at each delivery: read it, keep it, acknowledge; only then answer.

bolt dispatches, but the listeners run before its response (``process_before_response``): stock bolt answers when a
poll every 10 ms finds the acknowledgement, we answer when `Inbox.take` has kept the words. What follows is our own
task.
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
"""What waits for the person of an identity."""
SayPrivately = Callable[[ButtonPress, str], Awaitable[None]]
"""Tells the person who pressed a button something."""

FORM_S: Final = 2.0
"""How long an answer may take that wants a form: the trigger of a click dies after 3 s.

https://docs.slack.dev/interactivity/handling-user-interaction#modal_responses
"""
ANSWER_TO_CLICK_S: Final = 30.0
QUESTION_S: Final = 1.5
"""How long a question of ours to Slack may take that stands before an acknowledgement or a form."""
_ANY: Final = re.compile(r".*", re.DOTALL)
_ELSEWHERE: Final = "I do not listen in this channel. Ask me in a direct message, or where I was set up to listen."
_EMPTY: Final = "Write a few words."
_LATE: Final = "Slack gave up waiting for the form. Press the button again."


class SlackListener:
    """The deliveries of one app in one workspace, on their way to `ears`; `tasks` holds what goes on after them."""

    def __init__(
        self,
        api: SlackApi,
        members: SlackMembers,
        ours: Callable[[], Awaitable[payloads.OwnAccount]],
        ears: Inbox,
        say: SayPrivately,
        waiting: WaitingCards | None,
        tasks: set[asyncio.Task[None]],
        heard: Callable[[IncomingMessage], None] = lambda _heard: None,
    ) -> None:
        self._api, self._members, self._ours, self._ears, self._say = api, members, ours, ears, say
        self._waiting, self._tasks, self._heard = waiting, tasks, heard
        self._direct: dict[str, str] = {}

    def app(self) -> AsyncApp:
        """The bolt app that dispatches to us; `http` checks signatures before it, authorisation needs no call."""

        async def authorize() -> AuthorizeResult:  # bolt does not call bound methods here
            ours, token = await self._ours(), self._api.client.token
            return AuthorizeResult(enterprise_id=None, team_id=ours.team, bot_user_id=ours.bot, bot_token=token)

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
        app.error(_not_kept)
        return app

    async def on_event(self, body: dict[str, Any], ack: AsyncAck) -> None:
        """A message, a mention, or somebody who opened the Home tab."""
        ours, event = await self._ours(), body.get("event")
        if isinstance(event, Mapping) and event.get("type") == "app_home_opened":
            user = event.get("user")
            if body.get("team_id") == ours.team and isinstance(user, str):
                self._spawn(self._show_home(payloads.make_identity(ours.team, user)))
        elif heard := _read(lambda: payloads.event_message(body, ours)):
            await self._ears.take(heard)
            self._heard(heard)
        await ack()

    async def on_command(self, body: dict[str, Any], ack: AsyncAck) -> None:
        """`/countersign …`; what is not heard is said so, to its writer alone."""
        ours, user = await self._ours(), str(body.get("user_id", ""))
        direct = None
        if str(body.get("channel_id", "")).startswith("D") and body.get("team_id") == ours.team:
            direct = await self._direct_with(user)
        heard = _read(lambda: payloads.command_message(body, ours, direct))
        if heard is None:
            await ack(text=_ELSEWHERE, response_type="ephemeral")
        else:
            await self._ears.take(heard)
            await ack()

    async def on_action(self, body: dict[str, Any], ack: AsyncAck) -> None:
        """A button of a card."""
        ours = await self._ours()
        clicked = _read(lambda: payloads.button_press(body, ours))
        if clicked is None:
            await ack()
            return
        taken = await self._ears.take(clicked)
        await ack()
        if taken.new:
            self._spawn(self._answer(taken, clicked, str(body.get("trigger_id", ""))))

    async def on_view(self, body: dict[str, Any], ack: AsyncAck) -> None:
        """A form that was filled in: the words a button wanted, or the message shortcut's."""
        ours, view = await self._ours(), body.get("view")
        asked = isinstance(view, Mapping) and view.get("callback_id") == payloads.SHORTCUT
        said = _read(lambda: payloads.shortcut_message(body, ours) if asked else payloads.form_press(body, ours))
        if said is None:
            await ack()
            return
        if not said.text:
            await ack(response_action="errors", errors={payloads.FIELD: _EMPTY})
            return
        taken = await self._ears.take(said)
        await ack()
        if taken.new and isinstance(said, ButtonPress):
            self._spawn(self._answer(taken, said, ""))

    async def on_shortcut(self, body: dict[str, Any], ack: AsyncAck) -> None:
        """The message shortcut: nothing is said yet, so there is nothing to keep."""
        await ack()
        ours = await self._ours()
        who = payloads.sender_identity(body, ours)
        if who is not None:
            self._spawn(self._ask_about(body, ours, who))

    async def _direct_with(self, user: str) -> str | None:
        """Our direct message with a person; a command may be typed in one of theirs with somebody else."""
        if user not in self._direct:
            answer = await self._api.call("conversations.open", {"users": user}, lane=user, timeout_s=QUESTION_S)
            self._direct[user] = str(answer["channel"]["id"])
        return self._direct[user]

    async def _answer(self, taken: TakenMessage, clicked: ButtonPress, trigger: str) -> None:
        answer = await self._ears.answer(taken, FORM_S)
        if answer is None:
            answer = await self._ears.answer(taken, ANSWER_TO_CLICK_S)
        if answer is None:
            return
        if answer.form and trigger:
            try:
                await self._open(
                    trigger, views.text_form(answer.form, payloads.press_metadata(clicked)), clicked.identity
                )
            except PermanentError as error:
                log.warning("slack_form_not_opened", code=error.problem.code, detail=error.problem.message)
                await self._say(clicked, _LATE)
        elif answer.text:
            await self._say(clicked, answer.text)

    async def _ask_about(self, body: dict[str, Any], ours: payloads.OwnAccount, who: str) -> None:
        if not await self._members.ok(who):
            return
        channel, message = body.get("channel"), body.get("message")
        listened = isinstance(channel, Mapping) and channel.get("id") in ours.channels
        direct = None if listened else await self._direct_with(payloads.user_id_of(who))
        words = message.get("text") if isinstance(message, Mapping) else ""
        view = views.shortcut_form(
            strip_markup(words if isinstance(words, str) else ""), payloads.shortcut_metadata(body, ours, direct)
        )
        await self._open(str(body.get("trigger_id", "")), view, who)

    async def _open(self, trigger: str, view: views.View, who: str) -> None:
        await self._api.call("views.open", {"trigger_id": trigger, "view": view}, lane=who, timeout_s=QUESTION_S * 2)

    async def _show_home(self, who: str) -> None:
        cards = await self._waiting(who) if self._waiting is not None and await self._members.ok(who) else None
        view = views.home_view(cards)
        await self._api.call("views.publish", {"user_id": payloads.user_id_of(who), "view": view}, lane=who)

    def _spawn(self, work: Coroutine[Any, Any, None] | Awaitable[None]) -> None:
        task = asyncio.create_task(_told(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _read(reading: Callable[[], T]) -> T | None:
    """What a delivery says; None for one that breaks us, which is acknowledged and passed over."""
    try:
        return reading()
    except Exception as error:  # noqa: BLE001 - it would break us again, and keep others away
        log.error("slack_delivery_broke", **fault_of(error))
        return None


async def _told(work: Awaitable[None]) -> None:
    """Do the work after an acknowledgement; what fails there is logged, for Slack has its answer already."""
    try:
        await work
    except CountersignError as error:
        log.warning("slack_answer_failed", code=error.problem.code, detail=error.problem.message)
    except Exception as error:  # noqa: BLE001 - nobody waits for this task; its fault is told here
        log.error("slack_answer_broke", **fault_of(error))


async def _not_kept(error: Exception, body: dict[str, Any]) -> BoltResponse:
    """No acknowledgement: Slack delivers an event again, and shows the person that a click or form did not arrive.

    What can never be kept is acknowledged, and so is what bolt trips over before it comes to us.
    """
    if isinstance(error, TransientError):
        log.warning("slack_delivery_not_kept", code=error.problem.code)
        return BoltResponse(status=503, body="")
    log.error("slack_delivery_broke", kind=payloads.delivery_kind(body), **fault_of(error))
    reached_us = any(frame.filename == __file__ for frame in traceback.extract_tb(error.__traceback__))
    never = isinstance(error, PermanentError) or not reached_us
    return BoltResponse(status=200 if never else 500, body="")
