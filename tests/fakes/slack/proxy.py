"""The strict proxy before the program: tokens, rules, limits and faults of the Web API, and the socket's envelopes."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from tests import canary
from tests.fakes.slack import rules
from tests.fakes.slack.program import (
    APP_TOKEN,
    BOT,
    BOT_TOKEN,
    DEV,
    GONE,
    GUEST,
    OTHER,
    PEOPLE,
    STRANGER,
    STRANGERS,
    TEAM,
)

SCOPES = (
    "app_mentions:read,channels:history,channels:read,chat:write,commands,files:write,"
    "groups:history,groups:read,im:history,im:write,reactions:write,users:read"
)
WRITES = ("chat.postMessage", "chat.update", "chat.postEphemeral", "files.completeUploadExternal", "reactions.add")
FORM_ONLY = (
    "users.info",
    "conversations.info",
    "conversations.replies",
    "conversations.history",
    "auth.test",
    "files.getUploadURLExternal",
)
"""Methods that do not read JSON bodies (https://docs.slack.dev/apis/web-api/#post-bodies); auth.test does, unused."""
TRIGGER_S = 3.0
"""How long a trigger lives (https://docs.slack.dev/interactivity/handling-user-interaction)."""


def _paged(method: str, arguments: dict[str, Any], answer: dict[str, Any]) -> None:
    """One page of a conversation, as Slack pages it: history the newest first and without replies in threads.

    https://docs.slack.dev/reference/methods/conversations.history
    """
    messages = sorted(answer["messages"], key=lambda one: one["ts"])
    if method == "conversations.history":
        replies = [one for one in messages if one.get("thread_ts") not in (None, one["ts"])]
        messages = [one for one in reversed(messages) if one not in replies]
        latest = {one["thread_ts"]: one["ts"] for one in replies}
        messages = [one | ({"latest_reply": latest[one["ts"]]} if one["ts"] in latest else {}) for one in messages]
    oldest, root = float(arguments.get("oldest") or 0), arguments.get("ts")
    messages = [one for one in messages if float(one["ts"]) > oldest or (one["ts"] == root and not oldest)]
    start, most = int(arguments.get("cursor") or 0), int(arguments.get("limit") or 100)
    answer["messages"] = messages[start : start + most]
    answer["has_more"] = len(messages) > start + most
    answer["response_metadata"] = {"next_cursor": str(start + most) if answer["has_more"] else ""}


@dataclass(frozen=True, slots=True)
class Call:
    """One call of ours that reached Slack."""

    method: str
    arguments: dict[str, Any]
    at: float


@dataclass(slots=True)
class Fault:
    """What happens instead of an answer: see `Proxy.fail`."""

    kind: str
    times: int
    retry_after_s: float
    channel: str | None
    delay_s: float


@dataclass(slots=True)
class Proxy:
    """The Slack that our code talks to; `url` is for `SlackConfig.base_url`."""

    program: str
    tokens: dict[str, str | None] = field(default_factory=lambda: {BOT_TOKEN: None, APP_TOKEN: None})
    scopes: str = SCOPES
    channels: dict[str, str | None] = field(default_factory=dict)
    outsiders: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    pings: list[str] = field(default_factory=list)
    views: dict[str, dict[str, Any]] = field(default_factory=dict)
    acks: dict[str, Any] = field(default_factory=dict)
    ack_s: list[float] = field(default_factory=list)
    delivered: list[dict[str, Any]] = field(default_factory=list)
    posted: set[str] = field(default_factory=set)
    url: str = ""
    refuse_sockets: bool = False
    _faults: dict[str, deque[Fault]] = field(default_factory=dict)
    _triggers: dict[str, tuple[float, str]] = field(default_factory=dict)
    _expected: set[str] = field(default_factory=set)
    _sockets: set[web.WebSocketResponse] = field(default_factory=set)
    _sent: dict[str, float] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _runner: web.AppRunner | None = None
    _client: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self.outsiders = {
            GUEST: {"is_restricted": True},
            GONE: {"deleted": True},
            STRANGER: {"team_id": STRANGERS, "is_stranger": True},
        }
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/api/{method}", self._api)
        app.router.add_post("/upload/v1/{token}", self._upload)
        app.router.add_get("/socket/{key}", self._socket)
        self._runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}/api/"
        self._client = aiohttp.ClientSession()

    async def stop(self) -> None:
        for socket in list(self._sockets):
            await socket.close()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._client is not None:
            await self._client.close()

    def fail(
        self,
        method: str,
        kind: str,
        *,
        times: int = 1,
        retry_after_s: float = 1,
        channel: str | None = None,
        delay_s: float = 0.0,
    ) -> None:
        """Let the next `times` calls of `method` (in `channel`) fail.

        Kinds: ``limit`` (429), ``down`` (503), ``garbage`` (200, no JSON), ``drop`` (no answer, no effect), ``lost``
        (the effect, but no answer), ``slow`` (`delay_s` late), or any of Slack's own errors such as ``fatal_error``.
        """
        self._faults.setdefault(method, deque()).append(Fault(kind, times, retry_after_s, channel, delay_s))

    def expect(self, *errors: str) -> None:
        """Refusals for broken rules that this test is about."""
        self._expected.update(errors)

    def revoke(self, token: str, error: str = "token_revoked") -> None:
        self.tokens[token] = error

    def called(self, method: str) -> list[dict[str, Any]]:
        return [call.arguments for call in self.calls if call.method == method]

    async def until(self, met: Any, within_s: float = 60) -> Any:
        """Wait until `met()` is true; what it gave."""
        deadline = time.monotonic() + within_s
        while not (found := met()):
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {within_s} s; calls: {[call.method for call in self.calls]}")
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.25):
                    await self._changed.wait()
        return found

    async def deliver(self, kind: str, payload: dict[str, Any], *, retry: int | None = None) -> str:
        """Send an envelope over the open sockets, as Slack would; its id."""
        envelope: dict[str, Any] = {
            "envelope_id": str(uuid.uuid4()),
            "type": kind,
            "payload": payload,
            "accepts_response_payload": kind != "events_api",
        }
        if retry is not None:
            envelope |= {"retry_attempt": retry, "retry_reason": "timeout"}
        await self.until(lambda: self._sockets)
        self._note(envelope)
        for socket in list(self._sockets)[:1]:
            await socket.send_str(json.dumps(envelope))
        return str(envelope["envelope_id"])

    async def acknowledged(self, envelope_id: str, within_s: float = 60) -> Any:
        """The payload of an envelope's acknowledgement, once it is there."""
        await self.until(lambda: envelope_id in self.acks, within_s)
        return self.acks[envelope_id]

    def new_trigger(self, user: str) -> str:
        """A trigger, valid for `TRIGGER_S`."""
        trigger = f"{time.monotonic_ns()}.{uuid.uuid4().hex}"
        self._triggers[trigger] = (time.monotonic(), user)
        return trigger

    async def to_program(self, method: str, path: str, **arguments: Any) -> Any:
        """Speak to the program itself."""
        assert self._client is not None
        async with self._client.request(method, f"{self.program}{path}", **arguments) as answer:
            return await answer.json()

    async def _api(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        arguments = await _arguments(request)
        canary.seen(f"Slack's {method}", request.path_qs, request.headers, arguments)
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        self.calls.append(Call(method, arguments, time.monotonic()))
        try:
            self._token(method, token)
            fault = self._fault(method, arguments)
            if fault is not None:
                return await self._failed(fault, request, method, arguments, token)
            return await self._answered(request, method, arguments, token)
        except rules.RefusedBySlackError as refused:
            return _json({"ok": False, "error": refused.error, "needed": refused.detail})
        finally:
            self._changed.set()

    async def _answered(
        self, request: web.Request, method: str, arguments: dict[str, Any], token: str
    ) -> web.StreamResponse:
        try:
            self._rules(request, method, arguments)
        except rules.RefusedBySlackError as refused:
            if refused.error not in self._expected:
                self.violations.append(f"{method}: {refused}")
            raise
        self._state(method, arguments)
        if method in ("views.open", "views.push"):
            return _json({"ok": True, "view": self._opened(arguments)})
        answer = await self._forwarded(method, arguments, token)
        return _json(self._as_slack_says(method, arguments, answer), {"x-oauth-scopes": self.scopes})

    async def _failed(
        self, fault: Fault, request: web.Request, method: str, arguments: dict[str, Any], token: str
    ) -> web.StreamResponse:
        if fault.kind == "limit":
            return _json({"ok": False, "error": "ratelimited"}, {"Retry-After": f"{fault.retry_after_s:g}"}, status=429)
        if fault.kind == "down":
            return web.Response(status=503, text="<html>upstream</html>", content_type="text/html")
        if fault.kind == "garbage":
            return web.Response(text="{not json", content_type="application/json")
        if fault.kind == "slow":
            await asyncio.sleep(fault.delay_s)
            return await self._answered(request, method, arguments, token)
        if fault.kind in ("drop", "lost"):
            if fault.kind == "lost":
                await self._answered(request, method, arguments, token)
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        raise rules.RefusedBySlackError(fault.kind, "asked for by the test")

    def _fault(self, method: str, arguments: dict[str, Any]) -> Fault | None:
        for fault in self._faults.get(method, ()):
            if fault.times > 0 and fault.channel in (None, arguments.get("channel")):
                fault.times -= 1
                return fault
        return None

    def _token(self, method: str, token: str) -> None:
        wanted = APP_TOKEN if method == "apps.connections.open" else BOT_TOKEN
        if token not in self.tokens:
            raise rules.RefusedBySlackError("invalid_auth" if token else "not_authed", "")
        if self.tokens[token] is not None:
            raise rules.RefusedBySlackError(str(self.tokens[token]), "")
        if token != wanted:
            raise rules.RefusedBySlackError("not_allowed_token_type", "")

    def _rules(self, request: web.Request, method: str, arguments: dict[str, Any]) -> None:
        if method in FORM_ONLY and request.content_type == "application/json" and method != "auth.test":
            raise rules.RefusedBySlackError("invalid_arguments", f"{method} does not read JSON")
        if method in WRITES[:3]:
            rules.check_message(arguments)
        if method in ("views.open", "views.publish", "views.push"):
            rules.check_view(arguments.get("view"))
        wanted = {"chat.update": ("ts",), "chat.postEphemeral": ("user",), "reactions.add": ("timestamp", "name")}
        for key in wanted.get(method, ()):
            if not isinstance(arguments.get(key), str):
                raise rules.RefusedBySlackError("invalid_arguments", key)
        self.pings += [f"{method}: {found}" for found in rules.pings_in(arguments)] if method in WRITES else []

    def _state(self, method: str, arguments: dict[str, Any]) -> None:
        """What the state of a conversation or person makes of a call; no rule of ours is broken by it."""
        channel = str(arguments.get("channel") or arguments.get("channel_id") or "")
        if method in WRITES and self.channels.get(channel):
            raise rules.RefusedBySlackError(str(self.channels[channel]), channel)
        if method == "chat.postEphemeral" and channel in (DEV, OTHER) and arguments["user"] not in PEOPLE:
            raise rules.RefusedBySlackError("user_not_in_channel", channel)

    def _opened(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """A form opened: Slack gives a trigger three seconds and takes it once; the program would take any."""
        at, user = self._triggers.pop(str(arguments.get("trigger_id")), (None, ""))
        if at is None:
            raise rules.RefusedBySlackError("invalid_trigger_id", str(arguments.get("trigger_id")))
        if time.monotonic() - at > TRIGGER_S:
            raise rules.RefusedBySlackError("expired_trigger_id", "")
        view = {**arguments["view"], "id": f"V{uuid.uuid4().hex[:10].upper()}", "team_id": TEAM}
        self.views[user] = view
        return view

    async def _forwarded(self, method: str, arguments: dict[str, Any], token: str) -> Any:
        headers = {"authorization": f"Bearer {token}"}
        return await self.to_program("POST", f"/api/{method}", json=arguments, headers=headers)

    def _as_slack_says(self, method: str, arguments: dict[str, Any], answer: Any) -> Any:
        """The program's answer with what it leaves out, and its own address in ours."""
        base = self.url.removesuffix("/api/")
        if method == "apps.connections.open" and "url" in answer:
            answer["url"] = f"{base.replace('http', 'ws', 1)}/socket/{answer['url'].rpartition('/')[2]}"
        if method == "files.getUploadURLExternal" and "upload_url" in answer:
            answer["upload_url"] = answer["upload_url"].replace(self.program, base)
        if method == "chat.postMessage" and answer.get("ok"):
            self.posted.add(answer["ts"])
        if method in ("conversations.history", "conversations.replies") and answer.get("ok"):
            _paged(method, arguments, answer)
        if method == "users.info" and answer.get("ok"):
            flags = {"is_restricted": False, "is_ultra_restricted": False, "is_stranger": False}
            answer["user"] |= {**flags, **self.outsiders.get(arguments.get("user", ""), {})}
        return answer

    async def _upload(self, request: web.Request) -> web.Response:
        assert self._client is not None
        target = f"{self.program}/upload/v1/{request.match_info['token']}"
        content = await request.read()
        canary.seen("Slack's upload", request.headers, content)
        async with self._client.post(target, data=content) as answer:
            return web.Response(status=answer.status, text=await answer.text())

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        assert self._client is not None
        if self.refuse_sockets:
            raise web.HTTPServiceUnavailable
        ours = web.WebSocketResponse()
        await ours.prepare(request)
        target = f"{self.program.replace('http', 'ws', 1)}/socket/{request.match_info['key']}"
        async with self._client.ws_connect(target) as theirs:
            self._sockets.add(ours)
            self._changed.set()
            down = asyncio.create_task(self._down(theirs, ours))
            try:
                async for message in ours:
                    if message.type is aiohttp.WSMsgType.TEXT:
                        canary.seen("Slack's socket", message.data)
                        await self._up(json.loads(message.data), theirs)
            finally:
                self._sockets.discard(ours)
                down.cancel()
                await asyncio.gather(down, return_exceptions=True)
        return ours

    async def _down(self, theirs: aiohttp.ClientWebSocketResponse, ours: web.WebSocketResponse) -> None:
        async for message in theirs:
            if message.type is aiohttp.WSMsgType.TEXT:
                envelope = json.loads(message.data)
                self._note(envelope)
                await ours.send_str(json.dumps(envelope))

    async def _up(self, ack: dict[str, Any], theirs: aiohttp.ClientWebSocketResponse) -> None:
        found = str(ack.get("envelope_id"))
        self.acks[found] = ack.get("payload")
        if found in self._sent:
            self.ack_s.append(time.monotonic() - self._sent[found])
        self._changed.set()
        await theirs.send_str(json.dumps(ack))

    def _note(self, envelope: dict[str, Any]) -> None:
        """Complete an envelope as Slack has it, and remember its trigger and when it was sent."""
        payload = envelope.get("payload")
        if not isinstance(payload, dict):
            return
        user = payload.get("user")
        who = user.get("id") if isinstance(user, dict) else payload.get("user_id")
        who = who if isinstance(who, str) else ""
        if who in self.outsiders and isinstance(user, dict):
            user["team_id"] = self.outsiders[who].get("team_id", TEAM)
        event = payload.get("event")
        inner = event if isinstance(event, dict) else {}
        for said in (event, inner.get("message"), inner.get("previous_message")):
            if isinstance(said, dict) and isinstance(said.get("user"), str):
                said.setdefault("team", self.outsiders.get(said["user"], {}).get("team_id", TEAM))
                if str(said.get("thread_ts")) in self.posted:
                    said.setdefault("parent_user_id", BOT)
        if isinstance(payload.get("trigger_id"), str):
            self._triggers.setdefault(payload["trigger_id"], (time.monotonic(), str(who)))
        self._sent[envelope["envelope_id"]] = time.monotonic()
        self.delivered.append(envelope)
        self._changed.set()


async def _arguments(request: web.Request) -> dict[str, Any]:
    if request.content_type == "application/json":
        return dict(await request.json())
    arguments: dict[str, Any] = {**request.query, **await request.post()}
    for key in ("blocks", "files", "view", "metadata"):
        if isinstance(arguments.get(key), str):
            arguments[key] = json.loads(arguments[key])
    return arguments


def _json(body: Any, headers: dict[str, str] | None = None, status: int = 200) -> web.Response:
    return web.json_response(body, status=status, headers=headers)
