"""Slack as a surface: what is heard there goes to `Inbox`, what is to be shown there goes out."""

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
from bot.surfaces.slack import checks, http, payloads, socket
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
_MAX_WORDS: Final = 700
"""UTF-16 units said beside files; escaped they come to five times as many."""
_MEMBERS_ONLY: Final = "Only full members of this Slack workspace have a say here; guests and former members do not."
_VANISHED: Final = ("message_not_found", "cant_update_message", "edit_window_closed")
_QUIET: Final = {"unfurl_links": False, "unfurl_media": False, "link_names": False, "parse": "none", "mrkdwn": False}
"""Slack is to find nothing in our words: no previews, names, channels or formats.

https://docs.slack.dev/reference/methods/chat.postMessage
"""


class SlackSurface:
    """One app in one workspace, over Socket Mode, signed HTTP, or both.

    `waiting` tells what waits for an identity, for the Home tab; without it the tab says how to ask. Raises
    `UsageError` for a configuration under which nothing could be heard, or anything could be forged.
    """

    name = payloads.SURFACE
    answers_forms = True

    def __init__(self, config: SlackConfig, waiting: WaitingCards | None = None) -> None:
        _require(config)
        self._config, self._waiting = config, waiting
        self._api = SlackApi(config.bot_token, config.base_url)
        self._members = SlackMembers(self._api, config.team)
        self._us: payloads.OwnAccount | None = None
        self._reader = SlackCatchUp(self._api, self.ours, config.channels)
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, ears: Inbox) -> None:
        """Listen until cancelled. Raises when it cannot go on; whoever runs it starts it again later."""
        async with self._api.session():
            try:
                await self.ours()
                app = self._listening(ears).app()
                if self._config.app_token is not None:
                    connection = socket.SlackConnection(self._api, self._config.app_token, app, self._reader.opened)
                    await self._beside_reading(ears, connection.listen(), connection.is_connected)
                else:  # HTTP brings it all; answers go out by the connections kept here
                    self._reader.opened()
                    await self._beside_reading(ears, asyncio.Event().wait(), _always)
            finally:
                await self._end_tasks()

    async def _beside_reading(self, ears: Inbox, listening: Awaitable[object], connected: IsConnected) -> None:
        """Listen, and beside it read what was missed before; ends as the listening does."""
        reading = asyncio.create_task(self._reader.run(ears, connected))
        try:
            await listening
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    def routes(self, ears: Inbox) -> Sequence[BaseRoute]:
        """The addresses for signed requests; none without a signing secret."""
        if self._config.signing_secret is None:
            return ()
        return http.build_routes(self._listening(ears).app(), self._config.signing_secret)

    def draw(self, card: Card, diff: DiffView | None, buttons: Buttons, *, delivered: bool) -> RenderedCard:
        """The card as blocks; pure."""
        drawn = render_slack_card(card, diff, buttons.ids, delivered=delivered)
        return RenderedCard({"text": drawn.text, "blocks": list(drawn.blocks)}, drawn.hides)

    async def post(self, place: Place, drawn: RenderedCard, reply_to: str | None) -> str:
        """Post a card; the id (``ts``) of its message."""
        answer = await self._post(place, drawn.payload, reply_to)
        return str(answer["ts"])

    async def edit(self, place: Place, message_id: str, drawn: RenderedCard) -> str:
        """Change a card in place; where the message is gone a new one is posted, and its id returned."""
        arguments = {"channel": place.channel, "ts": message_id, "link_names": False, "parse": "none", **drawn.payload}
        try:
            await self._api.call("chat.update", arguments, lane=place.channel)
        except PermanentError as error:
            if error_code(error) not in _VANISHED:
                raise
            return await self.post(place, drawn, None)
        return message_id

    async def attach(
        self, place: Place, files: Sequence[Attachment], words: str, reply_to: str | None
    ) -> Sequence[str]:
        """Upload files into the conversation; returns when Slack has them all.

        Slack does not say which message shows a file. So outside of a thread the words come first, as a message whose
        id is returned, and the files lie in its thread, where what people answer is known to be about them.
        """
        uploads = [{"filename": file.name, "content": file.content} for file in files]
        said = escape(truncate(words, _MAX_WORDS)) if words else None
        thread = _thread(place, reply_to)
        if thread is not None or said is None:
            await self._api.upload(uploads, place.channel, thread, said)
            return ()
        root = str((await self._post(place, {"text": said}, reply_to))["ts"])
        await self._api.upload(uploads, place.channel, root, None)
        return [root]

    async def say(
        self, place: Place, text: str, reply_to: str | None, only_to: str | None, extras: Extras = NO_EXTRAS
    ) -> Sequence[str]:
        """Say it in plain words; to one person alone as an ephemeral message, which nobody else sees and nothing keeps.

        A direct message is to one person anyway. What three messages do not hold is attached.
        """
        parts = list(split_text(text))
        if len(parts) > _MAX_PARTS:
            whole = Attachment("message.txt", text.encode("utf-8", "backslashreplace"), "text/plain")
            return await self.attach(place, [whole], parts[0][:200].rstrip() + " …", reply_to)
        ids = []
        for n, part in enumerate(parts):
            payload = payloads.text_payload(part, extras if n == len(parts) - 1 else NO_EXTRAS)
            if only_to is not None and not place.private:
                await self._whisper(place, payload, reply_to, only_to)
            else:
                ids.append(str((await self._post(place, payload, reply_to))["ts"]))
        return ids

    async def acknowledge(self, place: Place, message_id: str) -> None:
        """Put eyes on the message; a command or a form has none to put them on."""
        if not payloads.is_ts(message_id):
            return
        arguments = {"channel": place.channel, "timestamp": message_id, "name": "eyes"}
        try:
            await self._api.call("reactions.add", arguments, lane=place.channel)
        except PermanentError as error:
            if error_code(error) not in ("already_reacted", "message_not_found", "too_many_reactions"):
                raise

    async def close(self) -> None:
        """Nothing: a call outside `run` closes its own connection."""

    async def check(self) -> Sequence[Mapping[str, Any]]:
        """What `doctor` asks; reaches Slack."""
        return await checks.check_slack(self._api, self._config)

    async def admits(self, said: IncomingMessage | ButtonPress) -> str | None:
        """Nothing against full members of our workspace; who was let go since, or is a guest, has no say."""
        return None if await self._members.ok(said.identity) else _MEMBERS_ONLY

    async def in_full(self, said: IncomingMessage) -> IncomingMessage | None:
        """`said`, with the message that began its thread, where somebody else's words did."""
        thread = said.place.thread
        if not said.addressed or said.place.private or thread in (None, said.message_id):
            return said
        asked = {"channel": said.place.channel, "ts": thread or "", "limit": "1", "inclusive": "true"}
        try:
            found = (await self._api.ask("conversations.replies", asked)).data.get("messages")
        except PermanentError as error:  # the request stands without it
            log.warning("slack_thread_not_read", code=error.problem.code)
            return said
        return replace(said, quoted=payloads.quoted_message(found, thread or "", await self.ours()))

    async def ours(self) -> payloads.OwnAccount:
        """Who we are there, asked once. Raises `PermanentError` when the token is of another workspace."""
        if self._us is None:
            answer = (await self._api.ask("auth.test", {}, timeout_s=5)).data
            if answer.get("team_id") != self._config.team:
                told = f"The Slack token is for workspace {answer.get('team_id')}, not for {self._config.team}"
                raise PermanentError("slack_team", told, "Set the team to the workspace in which the app is installed.")
            self._us = payloads.OwnAccount(self._config.team, str(answer["user_id"]), frozenset(self._config.channels))
        return self._us

    def _listening(self, ears: Inbox) -> SlackListener:
        return SlackListener(
            self._api, self._members, self.ours, ears, self._tell, self._waiting, self._tasks, self._reader.heard
        )

    async def _end_tasks(self) -> None:
        """End the answers under way; the words they answer are kept."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell(self, clicked: ButtonPress, text: str) -> None:
        await self.say(clicked.place, text, None, clicked.identity)

    async def _post(self, place: Place, payload: Mapping[str, Any], reply_to: str | None) -> Mapping[str, Any]:
        thread = _thread(place, reply_to)
        arguments = {"channel": place.channel, **_QUIET, **payload, **({"thread_ts": thread} if thread else {})}
        return await self._api.call("chat.postMessage", arguments, lane=place.channel)

    async def _whisper(self, place: Place, payload: Mapping[str, Any], reply_to: str | None, only_to: str) -> None:
        thread = _thread(place, reply_to)
        arguments: dict[str, Any] = {"channel": place.channel, "user": payloads.user_id_of(only_to), **payload}
        arguments |= {"link_names": False, "parse": "none", **({"thread_ts": thread} if thread else {})}
        await self._api.call("chat.postEphemeral", arguments, lane=place.channel)


async def _always() -> bool:
    return True


def _thread(place: Place, reply_to: str | None) -> str | None:
    """The thread to write into: the conversation's, else below what is answered; a direct message stays flat."""
    if place.thread is not None or place.private:
        return place.thread
    return reply_to if payloads.is_ts(reply_to) else None


def _require(config: SlackConfig) -> None:
    mend = "See docs/surfaces/slack.md."
    if not config.bot_token.startswith("xoxb-"):
        raise UsageError("slack_config", "Slack's bot token is missing, or is none (xoxb-…)", mend)
    if not config.team:
        raise UsageError("slack_config", "Slack's team id is missing", mend)
    if config.signing_secret is not None and not config.signing_secret.strip():
        raise UsageError("slack_config", "Slack's signing secret is empty: anybody could sign with it", mend)
    if config.app_token is None and config.signing_secret is None:
        raise UsageError("slack_config", "Slack needs an app token (Socket Mode) or a signing secret (HTTP)", mend)
    if config.app_token is not None and not config.app_token.startswith("xapp-"):
        raise UsageError("slack_config", "Slack's app token is none (xapp-…)", mend)
