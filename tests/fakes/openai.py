"""A server of OpenAI's chat completions for tests: it streams the chunks it is given, and holds requests to the rules.

The rules are those of https://platform.openai.com/docs/api-reference/chat that our requests touch; there is no
vendor's package among the tests' to check them with, so they are written out here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final, Self

from aiohttp import web

from tests import canary

Json = dict[str, Any]
MODEL: Final = "Qwen/Qwen3-8B"
_KEYS: Final = {"model", "messages", "stream", "stream_options", "max_tokens", "tools", "response_format"}
_MESSAGE_KEYS: Final = {"role", "content", "tool_calls", "tool_call_id"}
_ROLES: Final = ("system", "user", "assistant", "tool")

Turn = list[Json] | bytes | tuple[int, Json]
"""Chunks to stream, bytes to send as they are, or a status with its body."""


class FakeOpenAi:
    """One server; each request takes the next of `turns`. Fails at its end for requests against the rules."""

    def __init__(self, *turns: Turn, key: str | None = None, hang_after: bool = False) -> None:
        self._turns, self._key, self._hang_after = list(turns), key, hang_after
        self.requests: list[Json] = []
        self.violations: list[str] = []
        self.hung_up = 0
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """What an endpoint's `url` is."""
        return f"http://127.0.0.1:{self._port}/v1"

    async def until(self, true: Callable[[], Any]) -> None:
        """Wait until `true()` is truthy."""
        async with asyncio.timeout(30):
            while not true():  # noqa: ASYNC110 - a test waits for anything
                await asyncio.sleep(0.01)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._complete)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()
        assert kind is not None or not self.violations, f"OpenAI's rules were broken: {self.violations}"

    def _stranger(self, request: web.Request) -> web.Response | None:
        if self._key is None or request.headers.get("Authorization") == f"Bearer {self._key}":
            return None
        error = {"message": "Incorrect API key provided.", "type": "invalid_request_error", "code": "invalid_api_key"}
        return web.json_response({"error": error}, status=401)

    async def _models(self, request: web.Request) -> web.Response:
        model = {"id": MODEL, "object": "model", "created": 1_750_000_000, "owned_by": "vllm"}
        return self._stranger(request) or web.json_response({"object": "list", "data": [model]})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        if (stranger := self._stranger(request)) is not None:
            return stranger
        canary.seen("OpenAI's chat", request.path_qs, request.headers, await request.read())
        body = await request.json()
        self.requests.append(body)
        self.violations += _faults(body)
        turn = self._turns.pop(0)
        if isinstance(turn, tuple):
            return web.json_response(turn[1], status=turn[0])
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            if isinstance(turn, bytes):
                await response.write(turn)
            else:
                for chunk in turn:
                    await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
            if self._hang_after:
                await asyncio.sleep(3600)
            if not isinstance(turn, bytes):
                await response.write(b"data: [DONE]\n\n")
        except asyncio.CancelledError:
            self.hung_up += 1
            raise
        return response


def chunk(finish: str | None = None, **delta: Any) -> Json:
    """One chunk of an answer."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": [choice]}


def cost(prompt: int, answer: int) -> Json:
    """The last chunk, which has no choices but the usage."""
    usage = {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}
    return {**chunk(), "choices": [], "usage": usage}


def _faults(body: Json) -> list[str]:
    found = [f"{key}: unknown" for key in body.keys() - _KEYS]
    waiting: set[str] = set()
    for n, message in enumerate(body.get("messages", ())):
        found += [f"messages.{n}.{key}: unknown" for key in message.keys() - _MESSAGE_KEYS]
        if message.get("role") not in _ROLES or not isinstance(message.get("content"), str):
            found.append(f"messages.{n}: no role or no content")
        if message.get("role") == "tool":
            if message.get("tool_call_id") not in waiting:
                found.append(f"messages.{n}: answers no call")
            waiting.discard(message.get("tool_call_id"))
        elif waiting:
            found.append(f"messages.{n}: the calls {sorted(waiting)} have no answer")
        for call in message.get("tool_calls", ()):
            if call.get("type") != "function" or not isinstance(json.loads(call["function"]["arguments"]), dict):
                found.append(f"messages.{n}: a call is no function with arguments as text")
            waiting.add(call["id"])
    return found
