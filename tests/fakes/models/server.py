"""A server of models that answers by a script, in every protocol that agent programs speak."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests import canary
from tests.fakes.models import anthropic, gemini, openai
from tests.fakes.models.script import Answer, Asked, Do, Fault, Say, Script, always

KEY = "sk-canary-0123456789abcdef"
"""The key that the server wants, and that no sandbox may ever see."""

Events = Callable[[Asked, Say | Do, int], list[dict[str, Any]]]
Whole = Callable[[Asked, Say | Do, int], dict[str, Any]]


@dataclass(frozen=True)
class Protocol:
    """How one protocol is read and written."""

    read: Callable[[Mapping[str, Any], Mapping[str, str]], Asked]
    events: Events
    whole: Whole | None
    error: Callable[[int, str], dict[str, Any]]
    named: bool = False


PROTOCOLS = {
    "/v1/messages": Protocol(anthropic.read, anthropic.events, anthropic.whole, anthropic.error, named=True),
    "/v1/chat/completions": Protocol(openai.read_chat, openai.chat_events, openai.chat_whole, openai.error),
    "/v1/responses": Protocol(openai.read_responses, openai.responses_events, None, openai.error, named=True),
    "gemini": Protocol(gemini.read, lambda *a: [gemini.whole(*a)], gemini.whole, gemini.error),
}


@dataclass
class Models:
    """The server: `script` answers, `asked` is what came, `violations` what no such server would have accepted."""

    script: Script = field(default_factory=lambda: always(Say("Hello.")))
    key: str | None = KEY
    asked: list[Asked] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def app(self) -> web.Application:
        """The server as an application."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._serve)
        return app

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path_qs, dict(request.headers)))
        canary.seen(f"the models' {request.path}", request.path_qs, request.headers, await request.read())
        shape = "gemini" if request.path.startswith("/v1beta/models/") else request.path
        protocol = PROTOCOLS.get(shape)
        if protocol is None or request.method != "POST":
            return web.json_response({"error": {"message": "no such path"}}, status=404)
        given = self._given(request, shape)
        if self.key not in (None, given):
            return web.json_response(protocol.error(401, f"a wrong key: {given}"), status=401)
        body = await request.json()
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            asked = protocol.read(body, headers)
        except (ValueError, KeyError, TypeError) as error:
            self.violations.append(f"{request.path}: {error}")
            return web.json_response(protocol.error(400, str(error)), status=400)
        self.asked.append(asked)
        return await self._answer(request, protocol, asked, self.script(asked))

    def _given(self, request: web.Request, shape: str) -> str:
        names = {"/v1/messages": "x-api-key", "gemini": "x-goog-api-key"}
        return request.headers.get(names.get(shape, "authorization"), "").removeprefix("Bearer ")

    async def _answer(
        self, request: web.Request, protocol: Protocol, asked: Asked, answer: Answer
    ) -> web.StreamResponse:
        n = len(self.asked)
        if isinstance(answer, Fault) and answer.kind not in ("cut", "silent", "endless"):
            return await self._fail(request, protocol, answer)
        said = Say("I began") if isinstance(answer, Fault) else answer
        streams = asked.body.get("stream") or "stream" in request.path or isinstance(answer, Fault)
        if not streams and protocol.whole is not None:
            return web.json_response(protocol.whole(asked, said, n))
        out = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await out.prepare(request)
        events = protocol.events(asked, said, n)
        named = "event: {}\n" if protocol.named else ""
        framed = [f"{named.format(event.get('type'))}data: {json.dumps(event)}\n\n" for event in events]
        begun = framed[: len(events) // 2] if isinstance(answer, Fault) else framed
        for line in begun:
            await out.write(line.encode())
        if isinstance(answer, Fault):
            if answer.kind == "silent":
                await asyncio.sleep(3600)
            if answer.kind == "endless":
                await _on_and_on(out, asked, begun[-1])
            assert request.transport is not None
            request.transport.abort()
        elif request.path == "/v1/chat/completions":
            await out.write(b"data: [DONE]\n\n")
        return out

    async def _fail(self, request: web.Request, protocol: Protocol, fault: Fault) -> web.StreamResponse:
        if fault.kind == "hang":
            await asyncio.sleep(3600)
        if fault.kind == "dead":
            assert request.transport is not None
            request.transport.abort()
        if fault.kind == "garbage":
            return web.Response(body=b"\x00\xffnot what you asked for" * 40, content_type="text/event-stream")
        if fault.kind == "redirect":
            return web.Response(status=307, headers={"location": "http://127.0.0.1:9/elsewhere"})
        return web.json_response(protocol.error(fault.status, fault.text), status=fault.status)


async def _on_and_on(out: web.StreamResponse, asked: Asked, last: str) -> None:
    """The last piece of an answer again and again, until the client hangs up."""
    if asked.protocol == "responses":
        more = {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0}
        last = f"event: {more['type']}\ndata: {json.dumps({**more, 'delta': 'and so on, '})}\n\n"
    with contextlib.suppress(ConnectionError):
        while True:
            await out.write(last.encode() * 50)
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def serving(script: Script | None = None, **others: Any) -> AsyncIterator[Models]:
    """The server in this event loop."""
    models = Models(script or always(Say("Hello.")), **others)
    runner = web.AppRunner(models.app(), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    models.port = runner.addresses[0][1]
    try:
        yield models
    finally:
        await runner.cleanup()


@contextlib.contextmanager
def serving_beside(script: Script | None = None, **others: Any) -> Iterator[Models]:
    """The server in a thread of its own, for tests of whole programs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    context = serving(script, **others)
    models = asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(30)
    try:
        yield models
    finally:
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()
