"""The fake Telegram: an HTTP server on loopback that speaks the Bot API for one bot, and the stage for its people."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

from aiogram.types import Update
from aiohttp import ClientError, ClientSession, ClientTimeout, web
from pydantic import TypeAdapter

from tests import canary
from tests.fakes.telegram.api import Methods, Params, Refusal
from tests.fakes.telegram.documented import checked_params, class_of, params_of, strict
from tests.fakes.telegram.model import Chat, Click, Json, Shown, Upload
from tests.fakes.telegram.people import Person
from tests.fakes.telegram.queue import Updates

TOKEN: Final = "123456:AAF-abcdefghijklmnopqrstuvwxyz012345"
SECRET_HEADER: Final = "X-Telegram-Bot-Api-Secret-Token"
_PACED: Final = ("sendMessage", "sendDocument", "editMessageText", "editMessageReplyMarkup")


class FaultKind(StrEnum):
    """What goes wrong with one call."""

    FLOOD = "429"
    ERROR = "5xx"
    DROP = "connection lost, nothing was done"
    LOST_ANSWER = "it was done, and the connection was lost"
    HANG = "it was done, and no answer comes"
    GARBAGE = "200 with `text` instead of an answer"


@dataclass(frozen=True, slots=True)
class Fault:
    """One call's bad luck; `number` is the seconds of `FLOOD` and the status of `ERROR`."""

    kind: FaultKind
    number: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Flood:
    """How many messages a chat takes in how many seconds before 429; about what Telegram's FAQ says."""

    per_chat: tuple[int, float] = (3, 3.0)
    per_group: tuple[int, float] = (20, 60.0)


class FakeTelegram:
    """One bot's Telegram; `async with` starts and stops the server.

    `violations` lists what the bot sent against the documentation: unknown or mistyped parameters, limits. The fixture
    fails on them unless the test takes them with `expected_violations`. `calls` counts the requests by method.
    """

    def __init__(self, token: str = TOKEN) -> None:
        self.token = token
        self.bot: Json = {
            "id": int(token.split(":", maxsplit=1)[0]),
            "is_bot": True,
            "first_name": "Ours",
            "username": "ourbot",
        }
        self.privacy, self.revoked, self.other_poller, self.refuse_entities = True, False, False, False
        self.flood: Flood | None = None
        self.chats: dict[int, Chat] = {}
        self.clicks: dict[str, Click] = {}
        self.files: dict[str, Upload] = {}
        self.commands: dict[str, str] = {}
        self.calls: dict[str, int] = defaultdict(int)
        self.violations: list[str] = []
        self.queue = Updates()
        self.poller: asyncio.Event | None = None
        self.webhook: Json = {}
        self.webhook_error = ""
        self.reach: Callable[[str], str] = lambda url: url
        self.odd = False
        self.odd_chat: Json = {}
        self._faults: dict[str, deque[Fault]] = defaultdict(deque)
        self._sent: dict[int, deque[float]] = defaultdict(deque)
        self._numbers: dict[int, itertools.count[int]] = defaultdict(lambda: itertools.count(1))
        self._ids, self._seconds = itertools.count(1000), 1_790_000_000
        self._methods = Methods(self)
        self._changed = asyncio.Event()
        self._pusher: asyncio.Task[None] | None = None
        self._runner: web.AppRunner | None = None
        self.port = 0

    # The stage

    def person(self, name: str, *, id: int | None = None, username: str | None = None) -> Person:  # noqa: A002
        """Someone who has opened the bot's private chat."""
        person = Person(self, id or next(self._ids), name, username)
        self.private(person)
        return person

    def private(self, person: Person) -> Chat:
        """The chat of the bot and one person."""
        if person.id not in self.chats:
            self.chats[person.id] = Chat(person.id, "private", member=person.to_json())
        return self.chats[person.id]

    def group(self, title: str = "Team", *, kind: str = "supergroup", topics: Mapping[int, str] | None = None) -> Chat:
        """A group with the bot in it; with `topics` it is a forum."""
        number = next(self._ids)
        chat_id = -1_000_000_000_000 - number if kind == "supergroup" else -number
        chat = Chat(chat_id, kind, title, bool(topics), dict(topics or {}))
        self.chats[chat_id] = chat
        return chat

    def kick(self, chat: Chat) -> None:
        """Take the bot out of a group."""
        chat.gone = f"Forbidden: bot was kicked from the {chat.kind} chat"

    def delete(self, message: Shown) -> None:
        """Someone deletes a message."""
        del message.chat.messages[message.id]

    def migrate(self, group: Chat) -> Chat:
        """A group becomes a supergroup: another id, and a service message on both sides."""
        new = self.group(group.title)
        for chat, word, other in ((group, "migrate_to_chat_id", new), (new, "migrate_from_chat_id", group)):
            about = {"message_id": self.next_id(chat), "chat": chat.to_json(), "date": self.now()}
            author = {"id": 1087968824, "is_bot": True, "first_name": "Group", "username": "GroupAnonymousBot"}
            self.arrives({"message": {**about, "from": author, "sender_chat": chat.to_json(), word: other.id}})
        group.moved_to = new
        return new

    def next(self, method: str, *faults: Fault) -> None:
        """What becomes of the next calls of a method, one fault each."""
        self._faults[method].extend(faults)

    def revoke(self) -> None:
        """The bot's token is taken back: 401 from now on."""
        self.revoked = True

    def lose_offset(self) -> None:
        """Every confirmed update comes again."""
        self.queue.again()

    def expected_violations(self) -> list[str]:
        """The violations so far, taken: the fixture does not fail on them."""
        taken, self.violations = self.violations, []
        return taken

    async def until(self, true: Callable[[], Any], within_s: float = 60) -> Any:
        """Wait until `true()` is truthy; its value. Looks again after everything the bot does."""
        async with asyncio.timeout(within_s):
            while not (found := true()):
                self._changed.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), 0.05)
        return found

    async def confirmed(self, within_s: float = 60) -> None:
        """Wait until the bot has taken all updates."""
        await self.until(lambda: not self.queue.pending, within_s)

    # What the parts of the fake ask

    def now(self, *, tick: bool = False) -> int:
        """Telegram's clock, in whole seconds; `tick` moves it on."""
        self._seconds += int(tick)
        return self._seconds

    def next_id(self, chat: Chat) -> int:
        """The number of the chat's next message."""
        return next(number for number in self._numbers[chat.id] if number not in chat.topics)

    def next_file(self) -> int:
        """The number of the next file."""
        return next(self._ids)

    def click(self) -> Click:
        """A new press of a button."""
        click = Click(str(4_000_000_000_000_000_000 + next(self._ids)))
        self.clicks[click.id] = click
        return click

    def changed(self) -> None:
        """Something can be seen that could not be seen before."""
        self._changed.set()

    def arrives(self, update: Json) -> None:
        """Something happened that the bot is told; what the fake tells is held against aiogram's types first."""
        strict(Update.model_validate({"update_id": 1, **update}))
        self.queue.put(update)
        self.changed()

    def arrives_odd(self, update: Json) -> None:
        """Something arrives that is not as the documentation says: a newer Bot API, a fault of Telegram's."""
        self.odd = True
        self.queue.put(update)
        self.changed()

    # The server

    @property
    def base_url(self) -> str:
        """What stands for https://api.telegram.org."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=60 * 1000 * 1000)
        app.router.add_route("*", "/bot{token}/{method}", self._serve)
        app.router.add_get("/file/bot{token}/documents/{number}", self._download)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self.set_webhook({})
        assert self._runner is not None
        await self._runner.cleanup()

    async def _download(self, request: web.Request) -> web.StreamResponse:
        upload = self.files.get(request.match_info["number"])
        if upload is None or request.match_info["token"] != self.token:
            return web.Response(status=404)
        return web.Response(body=upload.content)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["method"]
        self.calls[name] += 1
        fault = self._faults[name].popleft() if self._faults[name] else None
        if fault is not None and fault.kind is FaultKind.DROP:
            return await _lose(request, fault)
        if fault is not None and fault.kind is FaultKind.GARBAGE:
            return web.Response(text=fault.text, content_type="application/json")
        try:
            result = await self._call(request, name, fault)
        except Refusal as refusal:
            if refusal.ours:
                self.violations.append(f"{name}: {refusal.description}")
            answer: Json = {"ok": False, "error_code": refusal.status, "description": refusal.description}
            if refusal.parameters:
                answer["parameters"] = refusal.parameters
            return web.json_response(answer, status=refusal.status)
        except Exception as error:  # a fault of the fake's must not look like one of Telegram's
            self.violations.append(f"{name}: the fake failed: {error!r}")
            raise
        self.changed()
        if fault is not None:
            return await _lose(request, fault)
        return web.json_response({"ok": True, "result": result})

    async def _call(self, request: web.Request, name: str, fault: Fault | None) -> Any:
        params = await params_of(request)
        canary.seen(f"Telegram's {name}", request.path_qs, request.headers, params)
        if request.match_info["token"] != self.token or self.revoked:
            raise Refusal(401, "Unauthorized")
        if fault is not None and fault.kind is FaultKind.FLOOD:
            raise Refusal(429, f"Too Many Requests: retry after {fault.number}", retry_after=fault.number)
        if fault is not None and fault.kind is FaultKind.ERROR:
            raise Refusal(fault.number, "Internal Server Error")
        method = getattr(self._methods, name, None)
        if method is None or name.startswith("_"):
            raise Refusal(404, "Not Found")
        checked = checked_params(name, params)
        if name in _PACED:
            self._pace(checked)
        result = await method(checked)
        if name == "getUpdates" and self.odd:
            return result  # updates that are odd on purpose; all others were checked when they arrived
        shape: Any = class_of(name).__returning__
        strict(TypeAdapter(shape).validate_python(result))
        return {**result, **self.odd_chat} if name == "getChat" else result

    def _pace(self, params: Params) -> None:
        """429 for a chat that gets too much at once, when the test wants it."""
        if self.flood is None:
            return
        now, chat_id = asyncio.get_running_loop().time(), int(params["chat_id"])
        sent = self._sent[chat_id]
        rules = [self.flood.per_chat, *([self.flood.per_group] if chat_id < 0 else [])]
        for count, window_s in rules:
            recent = [at for at in sent if at > now - window_s]
            if len(recent) >= count:
                wait = max(1, round(recent[-count] + window_s - now + 0.5))
                raise Refusal(429, f"Too Many Requests: retry after {wait}", retry_after=wait)
        sent.append(now)

    # The webhook

    def set_webhook(self, hook: Json) -> None:
        """Where updates are sent from now on; an empty one: nowhere."""
        if self._pusher is not None:
            self._pusher.cancel()
            self._pusher = None
        self.webhook = hook
        if hook.get("url"):
            self._pusher = asyncio.create_task(self._push(hook))

    async def _push(self, hook: Json) -> None:
        """Send one update after the other until each is taken with a 2xx; `reach` says where an address really is."""
        headers = {SECRET_HEADER: hook["secret_token"]} if hook.get("secret_token") else {}
        async with ClientSession(timeout=ClientTimeout(total=10)) as session:
            while True:
                found = self.queue.waiting(1)
                if not found:
                    await self.queue.change(5, asyncio.Event())
                    continue
                try:
                    async with session.post(self.reach(hook["url"]), json=found[0], headers=headers) as response:
                        taken, said = response.ok, f"Wrong response from the webhook: {response.status}"
                except (ClientError, TimeoutError) as error:
                    taken, said = False, f"Connection failed: {type(error).__name__}"
                self.webhook_error = "" if taken else said
                if taken:
                    self.queue.confirm(int(found[0]["update_id"]) + 1)
                else:
                    await asyncio.sleep(0.05)
                self.changed()


async def _lose(request: web.Request, fault: Fault) -> web.StreamResponse:
    """The connection ends without an answer; what is returned goes nowhere."""
    if fault.kind is FaultKind.HANG:
        await asyncio.sleep(60)
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
