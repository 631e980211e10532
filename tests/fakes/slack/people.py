"""People on the fake Slack, and what they see there: `Slack` is what tests hold."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

from bot.surfaces.port import SlackConfig
from tests.fakes.slack.program import ANA, APP, APP_TOKEN, BOT, BOT_TOKEN, DEV, SECRET, STRANGERS, TEAM
from tests.fakes.slack.proxy import Proxy

ASK = "countersign_ask"
FIELD = "words"


class Slack(Proxy):
    """The proxy, and people who write, click and look."""

    def config(self, **changes: Any) -> SlackConfig:
        """How to reach it: Socket Mode, listening in `DEV`; `changes` as for `SlackConfig`."""
        settings: dict[str, Any] = {
            "bot_token": BOT_TOKEN,
            "app_token": APP_TOKEN,
            "team": TEAM,
            "channels": {DEV: ()},
            "base_url": self.url,
            **changes,
        }
        return SlackConfig(**settings)

    def config_http(self, **changes: Any) -> SlackConfig:
        """The same over signed HTTP (`tests.fakes.slack.signing.Signer` signs)."""
        return self.config(app_token=None, signing_secret=SECRET, **changes)

    async def says(self, text: str, user: str = ANA, channel: str = DEV, thread: str | None = None) -> str:
        """Write a message; its ``ts``. A mention of us is ``<@U0BOT>`` (see `mentions`)."""
        said = {"channel": channel, "user": user, "text": text, **({"thread_ts": thread} if thread else {})}
        # The program answers when each event was acknowledged; a person does not wait for that.
        answer = asyncio.create_task(self.to_program("POST", "/_control/message", json=said))
        self._posting.add(answer)
        answer.add_done_callback(self._posting.discard)
        found = await self.until(lambda: self._message_of(text, user) or (answer.done() and answer.result()))
        return str(found["ts"] if "ts" in found else found["message"]["ts"])

    async def mentions(self, text: str, user: str = ANA, channel: str = DEV, thread: str | None = None) -> str:
        """Write ``@countersign text``."""
        return await self.says(f"<@{BOT}> {text}", user, channel, thread)

    async def direct(self, text: str, user: str = ANA, thread: str | None = None) -> tuple[str, str]:
        """Write to us directly; (channel, ts)."""
        channel = await self.direct_channel(user)
        return channel, await self.says(text, user, channel, thread)

    async def direct_channel(self, user: str = ANA) -> str:
        """The direct message between a person and us."""
        answer = await self.to_program("POST", "/api/conversations.open", json={"users": user, "token": BOT_TOKEN})
        return str(answer["channel"]["id"])

    async def edits(self, ts: str, text: str, user: str = ANA, channel: str = DEV) -> None:
        """Change one's own message."""
        said = {"channel": channel, "ts": ts, "user": user, "text": text}
        await self.to_program("POST", "/_control/edit-message", json=said)

    async def commands(self, text: str, user: str = ANA, channel: str = DEV) -> Any:
        """Type ``/countersign text``; what it was answered with at once, if anything."""
        payload = {
            "token": "legacy",
            "team_id": TEAM,
            "team_domain": "ours",
            "channel_id": channel,
            "channel_name": "dev",
            "user_id": user,
            "user_name": "somebody",
            "command": "/countersign",
            "text": text,
            "api_app_id": APP,
            "is_enterprise_install": "false",
            "trigger_id": self.new_trigger(user),
        }
        return await self.acknowledged(await self.deliver("slash_commands", payload))

    async def clicks(self, message: Mapping[str, Any], label: str, user: str = ANA) -> None:
        """Press the button whose label contains `label`, on a message as `messages` gives it; waits for the program."""
        button = self.button(message, label)
        action = {key: button[key] for key in ("type", "action_id", "value", "text") if key in button}
        said = {"channel": message["channel"], "messageTs": message["ts"], "user": user, "action": action}
        await self.to_program("POST", "/_control/interact", json=said)

    def button(self, message: Mapping[str, Any], label: str) -> dict[str, Any]:
        """The button of a message whose label contains `label`."""
        for block in message.get("blocks") or ():
            for element in block.get("elements", ()) if block["type"] == "actions" else ():
                if label in element["text"]["text"]:
                    return dict(element)
        raise AssertionError(f"no button {label!r} on {[b['type'] for b in message.get('blocks') or ()]}")

    async def form(self, user: str = ANA) -> dict[str, Any]:
        """The form that was opened for a person, once it is there."""
        return dict(await self.until(lambda: self.views.get(user)))

    async def submits(self, text: str, user: str = ANA, view: dict[str, Any] | None = None) -> Any:
        """Fill the open form in and send it; what Slack was told, None when it closed."""
        view = view or await self.form(user)
        values = {FIELD: {FIELD: {"type": "plain_text_input", "value": text}}}
        payload = {**self._person(user), "type": "view_submission", "view": {**view, "state": {"values": values}}}
        return await self.acknowledged(await self.deliver("interactive", payload))

    async def shortcuts(self, ts: str, text: str, user: str = ANA, channel: str = DEV) -> str:
        """Use "Ask Countersign" on a message; the envelope's id."""
        payload = {
            **self._person(user),
            "type": "message_action",
            "callback_id": ASK,
            "message_ts": ts,
            "trigger_id": self.new_trigger(user),
            "channel": {"id": channel, "name": "somewhere"},
            "message": {"type": "message", "user": user, "ts": ts, "text": text},
            "response_url": "http://127.0.0.1:9",
        }
        return await self.deliver("interactive", payload)

    async def opens_home(self, user: str = ANA) -> None:
        """Look at our Home tab."""
        await self.to_program("POST", "/_control/open-home", json={"user": user})

    async def delivers_again(self, envelope: dict[str, Any], retry: int) -> str:
        """What Slack does with an event no one acknowledged: the same payload in a new envelope."""
        return await self.deliver(envelope["type"], envelope["payload"], retry=retry)

    async def messages(self, channel: str = DEV, *, of_bot: bool = True) -> list[dict[str, Any]]:
        """The messages of a channel, oldest first; `of_bot`: only ours. Ephemeral ones have ``ephemeral_to``."""
        found = (await self.to_program("GET", f"/_control/messages/{channel}"))["messages"]
        return [message for message in found if not of_bot or message.get("user") == BOT]

    async def message(self, channel: str = DEV, containing: str = "", within_s: float = 60) -> dict[str, Any]:
        """The newest message of ours in which `containing` stands, once it is there."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            found = [m for m in await self.messages(channel) if containing in words_of(m)]
            if found:
                return found[-1]
            await asyncio.sleep(0.02)
        raise AssertionError(f"no message with {containing!r}: {[words_of(m) for m in await self.messages(channel)]}")

    async def file(self, found: Mapping[str, Any]) -> bytes:
        """The bytes of a file of a message."""
        assert self._client is not None
        headers = {"authorization": f"Bearer {BOT_TOKEN}"}
        async with self._client.get(found["url_private_download"], headers=headers) as answer:
            return await answer.read()

    async def hangs_up(self) -> None:
        """Close the sockets, as Slack does when it moves a connection."""
        for socket in list(self._sockets):
            await socket.close()

    async def moves_us(self) -> None:
        """Ask for a new connection and close the old one, as Slack does every few hours."""
        for socket in list(self._sockets):
            await socket.send_str(json.dumps({"type": "disconnect", "reason": "refresh_requested"}))

    def connected(self) -> bool:
        return bool(self._sockets)

    async def done(self) -> None:
        """Everything that people began is over; broken rules are told."""
        for task in list(self._posting):
            task.cancel()
        await asyncio.gather(*self._posting, return_exceptions=True)
        assert not self.violations, f"Slack would refuse: {self.violations}"
        assert not self.pings, f"these would ping or link: {self.pings}"

    def _person(self, user: str) -> dict[str, Any]:
        of = self.outsiders.get(user, {}).get("team_id", TEAM)
        name = "stranger" if of == STRANGERS else "somebody"
        person = {"id": user, "username": name, "name": name, "team_id": of}
        return {"user": person, "team": {"id": TEAM, "domain": "ours"}, "api_app_id": APP, "token": "legacy"}

    def _message_of(self, text: str, user: str) -> dict[str, Any] | None:
        for envelope in reversed(self.delivered):
            event = envelope["payload"].get("event")
            if isinstance(event, dict) and event.get("text") == text and event.get("user") == user:
                return dict(event)
        return None

    @property
    def _posting(self) -> set[asyncio.Task[Any]]:
        found: set[asyncio.Task[Any]] = self.__dict__.setdefault("posting", set())
        return found


def words_of(message: Mapping[str, Any]) -> str:
    """Every word that a message shows, blocks and text."""
    found: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, Mapping):
            found.extend(value[key] for key in ("text", "url") if isinstance(value.get(key), str))
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list | tuple):
            for inner in value:
                walk(inner)

    walk(message)
    return " ".join(found)


@contextlib.asynccontextmanager
async def slack_before(program: str) -> AsyncIterator[Slack]:
    """A fresh workspace on a running program."""
    made = Slack(program)
    await made.start()
    try:
        await made.to_program("POST", "/_control/reset", json={})
        yield made
        await made.done()
    finally:
        await made.stop()


def fresh() -> str:
    """A text that no other message has."""
    return uuid.uuid4().hex[:8]
