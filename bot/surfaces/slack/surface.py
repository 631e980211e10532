"""The Slack surface: messages go to the inbox, and cards, texts and files go to Slack."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from bot.cards.diff import DiffView
from bot.cards.model import Card
from bot.surfaces.port import (
    NO_EXTRAS,
    Attachment,
    ButtonPress,
    Buttons,
    Extras,
    Inbox,
    IncomingMessage,
    RenderedCard,
    SlackConfig,
)
from bot.surfaces.slack import doctor_checks, payloads, socket, webhook
from bot.surfaces.slack.api import SlackApi
from bot.surfaces.slack.card import render_slack_card
from bot.surfaces.slack.catch_up import IsConnected, SlackCatchUp
from bot.surfaces.slack.errors import error_code
from bot.surfaces.slack.incoming import SlackListener, WaitingCards
from bot.surfaces.slack.members import SlackMembers
from bot.surfaces.slack.text import escape, split_text, truncate
from core.log import log
from core.model.errors import PermanentError, UsageError
from core.model.place import Place

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

_MAX_PARTS: Final = 3
"""Messages that a long text is split into; a longer one is attached."""
_MAX_COMMENT: Final = 700
"""UTF-16 units of the text with files; escaping can make it five times as long."""
_MEMBERS_ONLY: Final = (
    "Only full members of this Slack workspace can use Countersign here, not guests or former members."
)
_GONE: Final = ("message_not_found", "cant_update_message", "edit_window_closed")
_LITERAL: Final = {"unfurl_links": False, "unfurl_media": False, "link_names": False, "parse": "none", "mrkdwn": False}
"""Slack must not interpret our text: no previews, names, channels or formats.

https://docs.slack.dev/reference/methods/chat.postMessage
"""


class SlackSurface:
    """One app in one workspace, over Socket Mode, signed HTTP, or both.

    `waiting` returns the cards that wait for an identity, for the Home tab; without it the tab explains how to ask.
    Raises `UsageError` for a configuration that could receive nothing, or that accepts forged requests.
    """

    name = payloads.SURFACE
    answers_forms = True

    def __init__(self, config: SlackConfig, waiting: WaitingCards | None = None) -> None:
        _check_config(config)
        self._config, self._waiting = config, waiting
        self._api = SlackApi(config.bot_token, config.base_url)
        self._members = SlackMembers(self._api, config.team)
        self._own_account: payloads.OwnAccount | None = None
        self._catch_up = SlackCatchUp(self._api, self.account, config.channels)
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, inbox: Inbox) -> None:
        """Listen until cancelled; raises when it cannot continue, and the caller restarts it later."""
        async with self._api.session():
            try:
                await self.account()
                app = self._listener(inbox).app()
                if self._config.app_token is not None:
                    connection = socket.SlackConnection(
                        self._api, self._config.app_token, app, self._catch_up.connection_opened
                    )
                    await self._with_catch_up(inbox, connection.listen(), connection.is_connected)
                else:  # deliveries arrive over HTTP; responses use the connections kept here
                    self._catch_up.connection_opened()
                    await self._with_catch_up(inbox, asyncio.Event().wait(), _always)
            finally:
                await self._end_tasks()

    async def _with_catch_up(self, inbox: Inbox, listening: Awaitable[object], is_connected: IsConnected) -> None:
        """Listen, and catch up in the background; ends when the listening ends."""
        catch_up = asyncio.create_task(self._catch_up.run(inbox, is_connected))
        try:
            await listening
        finally:
            catch_up.cancel()
            await asyncio.gather(catch_up, return_exceptions=True)

    def routes(self, inbox: Inbox) -> Sequence[BaseRoute]:
        """The routes for signed requests; none without a signing secret."""
        if self._config.signing_secret is None:
            return ()
        return webhook.build_routes(self._listener(inbox).app(), self._config.signing_secret)

    def render(self, card: Card, diff: DiffView | None, buttons: Buttons, *, delivered: bool) -> RenderedCard:
        """The card as blocks; pure."""
        rendered = render_slack_card(card, diff, buttons.ids, delivered=delivered)
        return RenderedCard({"text": rendered.text, "blocks": list(rendered.blocks)}, rendered.hides_lines)

    async def post(self, place: Place, rendered: RenderedCard, reply_to: str | None) -> str:
        """Post a card; returns the id (``ts``) of its message."""
        answer = await self._post(place, rendered.payload, reply_to)
        return str(answer["ts"])

    async def edit(self, place: Place, message_id: str, rendered: RenderedCard) -> str:
        """Change a card in place; if the message is gone, posts a new one and returns its id."""
        arguments = {
            "channel": place.channel,
            "ts": message_id,
            "link_names": False,
            "parse": "none",
            **rendered.payload,
        }
        try:
            await self._api.call("chat.update", arguments, channel=place.channel)
        except PermanentError as error:
            if error_code(error) not in _GONE:
                raise
            return await self.post(place, rendered, None)
        return message_id

    async def attach(
        self, place: Place, files: Sequence[Attachment], caption: str, reply_to: str | None
    ) -> Sequence[str]:
        """Upload files into the conversation; returns when Slack has them all.

        Slack does not report which message shows a file. So outside a thread the caption is posted first, as a message
        whose id is returned, and the files go into its thread, where replies are known to be about them.
        """
        uploads = [{"filename": file.name, "content": file.content} for file in files]
        comment = escape(truncate(caption, _MAX_COMMENT)) if caption else None
        thread = _thread(place, reply_to)
        if thread is not None or comment is None:
            await self._api.upload(uploads, place.channel, thread, comment)
            return ()
        root = str((await self._post(place, {"text": comment}, reply_to))["ts"])
        await self._api.upload(uploads, place.channel, root, None)
        return [root]

    async def send_text(
        self, place: Place, text: str, reply_to: str | None, only_to: str | None, extras: Extras = NO_EXTRAS
    ) -> Sequence[str]:
        """Send plain text; for one person alone as an ephemeral message, which Slack does not store.

        In a direct conversation it is a normal message. A text that needs more than three messages is attached.
        """
        parts = list(split_text(text))
        if len(parts) > _MAX_PARTS:
            attachment = Attachment("message.txt", text.encode("utf-8", "backslashreplace"), "text/plain")
            return await self.attach(place, [attachment], parts[0][:200].rstrip() + " …", reply_to)
        ids = []
        for n, part in enumerate(parts):
            payload = payloads.text_payload(part, extras if n == len(parts) - 1 else NO_EXTRAS)
            if only_to is not None and not place.private:
                await self._whisper(place, payload, reply_to, only_to)
            else:
                ids.append(str((await self._post(place, payload, reply_to))["ts"]))
        return ids

    async def acknowledge(self, place: Place, message_id: str) -> None:
        """React to the message with eyes; commands and forms have no message."""
        if not payloads.is_ts(message_id):
            return
        arguments = {"channel": place.channel, "timestamp": message_id, "name": "eyes"}
        try:
            await self._api.call("reactions.add", arguments, channel=place.channel)
        except PermanentError as error:
            if error_code(error) not in ("already_reacted", "message_not_found", "too_many_reactions"):
                raise

    async def close(self) -> None:
        """Nothing to do: a call outside `run` closes its own connection."""

    async def check(self) -> Sequence[Mapping[str, Any]]:
        """The checks that `doctor` runs; asks Slack."""
        return await doctor_checks.check_slack(self._api, self._config)

    async def check_access(self, message: IncomingMessage | ButtonPress) -> str | None:
        """Allow full members of the workspace; refuse guests and people who have left."""
        return None if await self._members.is_full_member(message.identity) else _MEMBERS_ONLY

    async def complete_message(self, message: IncomingMessage) -> IncomingMessage | None:
        """The message with the one that began its thread, if another person wrote that."""
        thread = message.place.thread
        if not message.addressed or message.place.private or thread in (None, message.message_id):
            return message
        arguments = {"channel": message.place.channel, "ts": thread or "", "limit": "1", "inclusive": "true"}
        try:
            messages = (await self._api.get("conversations.replies", arguments)).data.get("messages")
        except PermanentError as error:  # the request is complete without it
            log.warning("slack_thread_not_read", code=error.problem.code)
            return message
        return replace(message, quoted=payloads.quoted_message(messages, thread or "", await self.account()))

    async def account(self) -> payloads.OwnAccount:
        """The bot's own account, fetched once. Raises `PermanentError` if the token is of another workspace."""
        if self._own_account is None:
            answer = (await self._api.get("auth.test", {}, timeout_s=5)).data
            if answer.get("team_id") != self._config.team:
                reason = f"The Slack token is for workspace {answer.get('team_id')}, not {self._config.team}"
                raise PermanentError(
                    "slack_team", reason, "Set the team to the workspace in which the app is installed."
                )
            self._own_account = payloads.OwnAccount(
                self._config.team, str(answer["user_id"]), frozenset(self._config.channels)
            )
        return self._own_account

    def _listener(self, inbox: Inbox) -> SlackListener:
        return SlackListener(
            self._api,
            self._members,
            self.account,
            inbox,
            self._tell,
            self._waiting,
            self._tasks,
            self._catch_up.note_direct_message,
        )

    async def _end_tasks(self) -> None:
        """Cancel responses under way; the messages that they respond to are stored."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell(self, press: ButtonPress, text: str) -> None:
        await self.send_text(press.place, text, None, press.identity)

    async def _post(self, place: Place, payload: Mapping[str, Any], reply_to: str | None) -> Mapping[str, Any]:
        thread = _thread(place, reply_to)
        arguments = {"channel": place.channel, **_LITERAL, **payload, **({"thread_ts": thread} if thread else {})}
        return await self._api.call("chat.postMessage", arguments, channel=place.channel)

    async def _whisper(self, place: Place, payload: Mapping[str, Any], reply_to: str | None, only_to: str) -> None:
        thread = _thread(place, reply_to)
        arguments: dict[str, Any] = {"channel": place.channel, "user": payloads.user_id_of(only_to), **payload}
        arguments |= {"link_names": False, "parse": "none", **({"thread_ts": thread} if thread else {})}
        await self._api.call("chat.postEphemeral", arguments, channel=place.channel)


async def _always() -> bool:
    return True


def _thread(place: Place, reply_to: str | None) -> str | None:
    """The thread to post into: the conversation's, else below the replied message; direct messages stay flat."""
    if place.thread is not None or place.private:
        return place.thread
    return reply_to if payloads.is_ts(reply_to) else None


def _check_config(config: SlackConfig) -> None:
    mend = "See docs/surfaces/slack.md."
    if not config.bot_token.startswith("xoxb-"):
        raise UsageError("slack_config", "Slack's bot token is missing or not valid (xoxb-…)", mend)
    if not config.team:
        raise UsageError("slack_config", "Slack's team id is missing", mend)
    if config.signing_secret is not None and not config.signing_secret.strip():
        raise UsageError("slack_config", "Slack's signing secret is empty, so anyone could sign requests", mend)
    if config.app_token is None and config.signing_secret is None:
        raise UsageError("slack_config", "Slack needs an app token (Socket Mode) or a signing secret (HTTP)", mend)
    if config.app_token is not None and not config.app_token.startswith("xapp-"):
        raise UsageError("slack_config", "Slack's app token is not valid (xapp-…)", mend)
