"""Catching up: reads the messages that were sent while nothing could be delivered, once connected again.

Slack retries an event a few times within minutes and then drops it. So the time up to which everything was received is
stored, and later messages are read and accepted as if they arrived now; messages received before are deduplicated.
https://docs.slack.dev/reference/methods/conversations.history needs the scopes channels:, groups: and im:history.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from typing import Any, Final

from bot.surfaces.port import Inbox, IncomingMessage
from bot.surfaces.slack import payloads
from bot.surfaces.slack.api import SlackApi
from core.log import fault_of, log
from core.model.errors import PermanentError, TransientError

OVERLAP_S: Final = 600.0
"""How far before the stored time is read again: deliveries under way, clocks that differ."""
MAX_AGE_S: Final = 3 * 24 * 3600.0
"""Older messages are ignored, as on GitHub."""
THREADS_S: Final = 7 * 24 * 3600.0
"""Threads that began within this time before the start are read too."""
EVERY_S: Final = 60.0
PAGE: Final = 200
_PAGES: Final = 20
"""Maximum number of pages read per conversation."""
_MAX_DIRECT: Final = 200
"""Direct conversations that are remembered, the most recent ones."""

IsConnected = Callable[[], Awaitable[bool]]


class SlackCatchUp:
    """Reads missed messages into the `Inbox`; `channels` are configured, direct conversations are learnt."""

    def __init__(
        self,
        api: SlackApi,
        account: Callable[[], Awaitable[payloads.OwnAccount]],
        channels: Collection[str],
        clock: Callable[[], float] = time.time,
        page: int = PAGE,
    ) -> None:
        self._api, self._account, self._channels, self._clock, self._page = api, account, channels, clock, page
        self._direct: dict[str, None] = {}
        self._wake, self._is_due = asyncio.Event(), False

    def connection_opened(self) -> None:
        """A connection was opened: messages may have been missed before."""
        self._is_due = True
        self._wake.set()

    def note_direct_message(self, message: IncomingMessage) -> None:
        """Remember a direct conversation, because Slack lists them only with another scope."""
        if message.place.private and message.place.channel not in self._direct:
            self._direct[message.place.channel] = None
            while len(self._direct) > _MAX_DIRECT:
                self._direct.pop(next(iter(self._direct)))
            self._wake.set()

    async def run(self, inbox: Inbox, is_connected: IsConnected) -> None:
        """Catch up after each `connection_opened`, and store the time of the last check, until cancelled."""
        wait_s = EVERY_S
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            self._wake.clear()
            wait_s = EVERY_S
            try:
                if self._is_due:
                    await self._catch_up(inbox)
                elif await is_connected():
                    await self._save(inbox, self._clock())
            except TransientError as error:
                wait_s = max(1.0, error.retry_after_s or 5.0)
                log.warning("slack_catch_up_put_off", problem=error.problem.message, wait_s=round(wait_s, 1))
            except Exception as error:  # noqa: BLE001 - live messages still arrive; retried in a minute
                log.error("slack_catch_up_broke", **fault_of(error))

    async def _catch_up(self, inbox: Inbox) -> None:
        """Read every conversation since the stored time; raises `TransientError` to be retried."""
        began, state = self._clock(), await inbox.load_state(payloads.SURFACE)
        self._direct = {**dict.fromkeys(_strings(state.get("direct"))), **self._direct}
        until = state.get("until")
        if isinstance(until, int | float):
            since = max(until - OVERLAP_S, began - MAX_AGE_S)
            new = sum([await self._read(inbox, channel, since) for channel in (*self._channels, *self._direct)])
            if new:
                log.info("slack_caught_up", messages=new)
        await self._save(inbox, began)  # at the first start nothing was missed
        self._is_due = False

    async def _save(self, inbox: Inbox, until: float) -> None:
        await inbox.save_state(payloads.SURFACE, {"until": until, "direct": list(self._direct)})

    async def _read(self, inbox: Inbox, channel: str, since: float) -> int:
        """Accept the messages of one conversation, oldest first; returns how many were new."""
        account, messages = await self._account(), list[Mapping[str, Any]]()
        try:
            async for message in self._messages("conversations.history", {"channel": channel}, since - THREADS_S):
                messages.append(message)
                if _seconds(message.get("latest_reply")) > since:
                    arguments = {"channel": channel, "ts": str(message.get("ts"))}
                    messages += [reply async for reply in self._messages("conversations.replies", arguments, since)]
        except PermanentError as error:  # affects this conversation or its kind only; the others are read
            log.warning("slack_conversation_not_read", channel=channel, code=error.problem.code)
            return 0
        new = 0
        for message in sorted(messages, key=lambda each: _seconds(each.get("ts"))):
            if max(_seconds(message.get("ts")), _seconds(_nested(message, "edited", "ts"))) > since:
                new += await _accept(inbox, message, channel, account)
        return new

    async def _messages(
        self, method: str, arguments: Mapping[str, str], since: float
    ) -> AsyncIterator[Mapping[str, Any]]:
        cursor = ""
        for _ in range(_PAGES):
            page = {"oldest": f"{since:.6f}", "limit": str(self._page), **({"cursor": cursor} if cursor else {})}
            data = (await self._api.get(method, {**arguments, **page})).data
            messages = data.get("messages")
            for message in messages if isinstance(messages, list) else ():
                if isinstance(message, Mapping):
                    yield message
            cursor = str(_nested(data, "response_metadata", "next_cursor") or "")
            if not cursor:
                return


async def _accept(inbox: Inbox, message: Mapping[str, Any], channel: str, account: payloads.OwnAccount) -> bool:
    """Accept a message as its event would have delivered it; one that raises an error is skipped."""
    kind = "im" if channel.startswith("D") else "channel"
    event = {**message, "type": "message", "channel": channel, "channel_type": kind}
    try:
        parsed = payloads.event_message({"team_id": account.team, "event": event}, account)
        return parsed is not None and (await inbox.accept(parsed)).is_new
    except TransientError:
        raise
    except Exception as error:  # noqa: BLE001 - one message that fails must not block all others
        log.error("slack_message_broke", channel=channel, **fault_of(error))
        return False


def _nested(value: Mapping[str, Any], outer: str, inner: str) -> object:
    inner_value = value.get(outer)
    return inner_value.get(inner) if isinstance(inner_value, Mapping) else None


def _seconds(ts: object) -> float:
    return float(ts) if isinstance(ts, str) and payloads.is_ts(ts) else 0.0


def _strings(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
