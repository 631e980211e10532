"""Catching up: what was said while nothing could be delivered, read from the conversations once we are connected again.

Slack delivers an event a few times within minutes and then never again. So the time up to which everything was heard is
kept, and what was said since then is read and taken as if it came now; what was heard already is known by its name.
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
"""How far before the last known moment is read: deliveries under way, clocks that differ."""
MAX_AGE_S: Final = 3 * 24 * 3600.0
"""What is older is not taken up any more, as at GitHub."""
THREADS_S: Final = 7 * 24 * 3600.0
"""Threads are looked into that began within this time before that."""
EVERY_S: Final = 60.0
PAGE: Final = 200
_PAGES: Final = 20
"""Pages read of one conversation."""
_MAX_DIRECT: Final = 200
"""Direct messages that are remembered, those with the latest words."""

IsConnected = Callable[[], Awaitable[bool]]


class SlackCatchUp:
    """Reads what was missed into `Inbox`; `channels` are those listened to, direct messages are learnt by hearing."""

    def __init__(
        self,
        api: SlackApi,
        ours: Callable[[], Awaitable[payloads.OwnAccount]],
        channels: Collection[str],
        clock: Callable[[], float] = time.time,
        page: int = PAGE,
    ) -> None:
        self._api, self._ours, self._channels, self._clock, self._page = api, ours, channels, clock, page
        self._direct: dict[str, None] = {}
        self._opened, self._owed = asyncio.Event(), False

    def opened(self) -> None:
        """A connection is open (again): something may have been missed before it was."""
        self._owed = True
        self._opened.set()

    def heard(self, said: IncomingMessage) -> None:
        """Remember whose direct messages there are: Slack does not list them without a scope more."""
        if said.place.private and said.place.channel not in self._direct:
            self._direct[said.place.channel] = None
            while len(self._direct) > _MAX_DIRECT:
                self._direct.pop(next(iter(self._direct)))
            self._opened.set()

    async def run(self, ears: Inbox, connected: IsConnected) -> None:
        """Catch up after each `opened`, and keep the time up to which everything was heard, until cancelled."""
        wait_s = EVERY_S
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._opened.wait()
            self._opened.clear()
            wait_s = EVERY_S
            try:
                if self._owed:
                    await self._catch_up(ears)
                elif await connected():
                    await self._keep(ears, self._clock())
            except TransientError as error:
                wait_s = max(1.0, error.retry_after_s or 5.0)
                log.warning("slack_catch_up_put_off", problem=error.problem.message, wait_s=round(wait_s, 1))
            except Exception as error:  # noqa: BLE001 - what is heard now is heard all the same; tried again in a minute
                log.error("slack_catch_up_broke", **fault_of(error))

    async def _catch_up(self, ears: Inbox) -> None:
        """Read every conversation since the last known moment; raises `TransientError` to be asked again."""
        began, kept = self._clock(), await ears.recall(payloads.SURFACE)
        self._direct = {**dict.fromkeys(_strings(kept.get("direct"))), **self._direct}
        until = kept.get("until")
        if isinstance(until, int | float):
            since = max(until - OVERLAP_S, began - MAX_AGE_S)
            new = sum([await self._read(ears, channel, since) for channel in (*self._channels, *self._direct)])
            if new:
                log.info("slack_caught_up", messages=new)
        await self._keep(ears, began)  # at the very first start nothing was missed: nobody was there to hear it
        self._owed = False

    async def _keep(self, ears: Inbox, until: float) -> None:
        await ears.remember(payloads.SURFACE, {"until": until, "direct": list(self._direct)})

    async def _read(self, ears: Inbox, channel: str, since: float) -> int:
        """Take what was said in one conversation, the oldest first; how many messages were new."""
        ours, found = await self._ours(), list[Mapping[str, Any]]()
        try:
            async for message in self._messages("conversations.history", {"channel": channel}, since - THREADS_S):
                found.append(message)
                if _moment(message.get("latest_reply")) > since:
                    asked = {"channel": channel, "ts": str(message.get("ts"))}
                    found += [reply async for reply in self._messages("conversations.replies", asked, since)]
        except PermanentError as error:  # of one conversation, or the scope for its kind; the others are read
            log.warning("slack_conversation_not_read", channel=channel, code=error.problem.code)
            return 0
        new = 0
        for message in sorted(found, key=lambda one: _moment(one.get("ts"))):
            if max(_moment(message.get("ts")), _moment(_in(message, "edited", "ts"))) > since:
                new += await _take(ears, message, channel, ours)
        return new

    async def _messages(self, method: str, asked: Mapping[str, str], since: float) -> AsyncIterator[Mapping[str, Any]]:
        cursor = ""
        for _ in range(_PAGES):
            page = {"oldest": f"{since:.6f}", "limit": str(self._page), **({"cursor": cursor} if cursor else {})}
            data = (await self._api.ask(method, {**asked, **page})).data
            found = data.get("messages")
            for message in found if isinstance(found, list) else ():
                if isinstance(message, Mapping):
                    yield message
            cursor = str(_in(data, "response_metadata", "next_cursor") or "")
            if not cursor:
                return


async def _take(ears: Inbox, message: Mapping[str, Any], channel: str, ours: payloads.OwnAccount) -> bool:
    """Take a message as its event would have brought it; one that breaks us is passed over."""
    kind = "im" if channel.startswith("D") else "channel"
    event = {**message, "type": "message", "channel": channel, "channel_type": kind}
    try:
        said = payloads.event_message({"team_id": ours.team, "event": event}, ours)
        return said is not None and (await ears.take(said)).new
    except TransientError:
        raise
    except Exception as error:  # noqa: BLE001 - one message that breaks us must not keep all others away
        log.error("slack_message_broke", channel=channel, **fault_of(error))
        return False


def _in(of: Mapping[str, Any], outer: str, inner: str) -> object:
    found = of.get(outer)
    return found.get(inner) if isinstance(found, Mapping) else None


def _moment(ts: object) -> float:
    return float(ts) if isinstance(ts, str) and payloads.is_ts(ts) else 0.0


def _strings(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
