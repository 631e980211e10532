"""The broker: an HTTP server on a unix socket of the host, which passes a sandbox's questions to one model.

It trusts nothing that comes out of the sandbox: not keys, not headers, not the model's name. Each request is written
anew from what was read. The endpoint's key is added here and is in nothing that goes back.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
from aiohttp import web

from lanes.egress.log import EgressLog
from lanes.egress.routes import EgressRoute, address, authority, models_shown, outgoing, refusal, route_of
from lanes.egress.turns import in_a_row
from lanes.egress.usage_account import UsageAccount
from lanes.egress.usage_reader import UsageReader
from lanes.models import Endpoint
from lanes.sandbox.folders import SOCKET_PREFIX, locked_folder, remove_abandoned

_MIB: Final = 1024 * 1024
_MAX_REQUEST_BYTES: Final = 32 * _MIB
_MAX_ANSWER_BYTES: Final = 64 * _MIB
_MAX_ERROR_BYTES: Final = 64 * 1024
_AT_ONCE: Final = 16
_CONNECT_S: Final = 10.0
_PASSED_HEADERS: Final = ("accept", "anthropic-beta", "anthropic-version", "openai-beta")
_RETURNED_HEADERS: Final = ("content-type", "retry-after", "request-id", "x-request-id")
_KEY_REFUSED: Final = (401, 403)
_FINAL: Final = (*_KEY_REFUSED, 402, 404)
_TRY_AGAIN: Final = (408, 429)


@dataclass(slots=True)
class PassedRequest:
    """One answer on its way through: since when, how many bytes, how it broke off, and the words of its log line.

    `cut` is true for one that is longer than the budget has tokens left, `hung_up` when the program closed the
    connection.
    """

    usage: UsageReader
    began_s: float
    words: list[object]
    size_bytes: int = 0
    broke: str = ""
    cut: bool = False
    hung_up: bool = False


class EgressBroker:
    """Serves one run. `models` are the names of the lane's models at `endpoint`; the first replaces any other.

    Used as an async context. A `PortForward` leads to its `socket`, in a folder that nobody else may enter.
    """

    def __init__(
        self, endpoint: Endpoint, models: tuple[str, ...], account: UsageAccount, log: EgressLog | None = None
    ) -> None:
        self.endpoint, self.models, self.account = endpoint, models, account
        self.log = log or EgressLog()
        self._folder, self._stack = Path(), contextlib.ExitStack()
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self._slots = asyncio.Semaphore(_AT_ONCE)

    @property
    def socket(self) -> Path:
        """The socket it listens on."""
        return self._folder / "model.sock"

    async def __aenter__(self) -> Self:
        """Listen."""
        await asyncio.to_thread(remove_abandoned, None, SOCKET_PREFIX)
        self._folder = self._stack.enter_context(locked_folder(prefix=SOCKET_PREFIX))
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
            trust_env=False,
        )
        app = web.Application(client_max_size=_MAX_REQUEST_BYTES)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1)
        await self._runner.setup()
        await web.UnixSite(self._runner, str(self.socket)).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening; questions that are still open are dropped."""
        self.account.end()
        if self._session is not None:
            await self._session.close()
        if self._runner is not None:
            await self._runner.cleanup()
        await asyncio.to_thread(self._stack.close)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        began_s = time.monotonic()
        words: list[object] = []
        answer: web.StreamResponse | None = None
        try:
            async with self._slots:
                answer = await self._answer(request, words)
            return answer
        finally:
            status = answer.status if answer is not None else "cut"
            ms = int((time.monotonic() - began_s) * 1000)
            self.log.add(request.method, request.rel_url.raw_path, status, f"{ms}ms", *words)

    async def _answer(self, request: web.Request, words: list[object]) -> web.StreamResponse:
        query = tuple((name, value) for name, value in request.query.items())
        route = route_of(self.endpoint.kind, request.method, request.rel_url.raw_path, query, self.models[0])
        if route is None:
            words.append("REFUSED: this path is not passed on")
            return self._refuse(404, "The broker passes on nothing but questions to the lane's model")
        if route.own:
            words.append("answered here")
            return web.json_response(models_shown(self.models)) if request.method == "GET" else web.Response()
        body = await _body(request)
        if isinstance(body, str):
            words.append(f"REFUSED: {body}")
            return self._refuse(400, f"The broker refuses this question: {body}")
        body, other = outgoing(body, route, self.models)
        if other:
            words.append(f"asked for the model {other}, got {self.models[0]}")
        if route.thinks and (why := self.account.refusal(*in_a_row(body))):
            words.append(f"REFUSED: {why}")
            return self._refuse(429, why)
        self.account.asking += route.thinks
        try:
            return await self._pass_on(request, route, json.dumps(body).encode(), words)
        finally:
            self.account.asking -= route.thinks

    async def _pass_on(
        self, request: web.Request, route: EgressRoute, body: bytes, words: list[object]
    ) -> web.StreamResponse:
        """Ask the endpoint; the account learns of every way in which that fails."""
        assert self._session is not None
        headers = {name: request.headers[name] for name in _PASSED_HEADERS if name in request.headers}
        headers |= {"content-type": "application/json", "accept-encoding": "identity"}
        headers |= authority(self.endpoint.kind, self.endpoint.key)
        loop = asyncio.get_running_loop()
        began_s, first_s = loop.time(), self.endpoint.first_token_s
        url = address(self.endpoint.url, route.path)
        try:
            async with asyncio.timeout(first_s):
                answer = await self._session.post(
                    url, data=body, headers=headers, params=route.query, allow_redirects=False
                )
        except TimeoutError:
            return self._failed(route, f"did not answer within {first_s:g} s", 504, words)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return self._failed(route, f"cannot be reached ({type(error).__name__})", 502, words)
        async with answer:
            if answer.status != 200:
                return await self._not_good(answer, route, words)
            return await self._stream(request, answer, route, PassedRequest(UsageReader(len(body)), began_s, words))

    async def _stream(
        self, request: web.Request, answer: aiohttp.ClientResponse, route: EgressRoute, passing: PassedRequest
    ) -> web.StreamResponse:
        """Pass a good answer through as it comes, and count it."""
        out = web.StreamResponse(headers=_returned(answer))
        try:
            async for chunk in self._chunks(answer, passing):
                if not out.prepared:
                    await out.prepare(request)
                await out.write(chunk)
        except ConnectionResetError:
            passing.hung_up = True
            passing.words.append("the program hung up")
        finally:
            await self._count(route, passing)
        if not out.prepared and passing.broke:
            return self._refuse(502, f"The endpoint {passing.broke}")
        if not out.prepared:
            await out.prepare(request)
        if (passing.broke or passing.cut) and request.transport is not None:
            request.transport.abort()  # what was cut must not look whole
        return out

    async def _chunks(self, answer: aiohttp.ClientResponse, passing: PassedRequest) -> AsyncIterator[bytes]:
        """The pieces of an answer, each in time; `passing` says how it broke off."""
        loop, endpoint = asyncio.get_running_loop(), self.endpoint
        until = passing.began_s + endpoint.first_token_s
        try:
            while True:
                async with asyncio.timeout_at(min(until, passing.began_s + endpoint.total_s)):
                    chunk = await answer.content.readany()
                if not chunk:
                    break
                until = loop.time() + endpoint.between_tokens_s
                passing.size_bytes += len(chunk)
                passing.usage.feed(chunk)
                passing.cut = self.account.is_overdrawn(passing.usage.output_so_far)
                if passing.cut:
                    break
                yield chunk
                if passing.size_bytes > _MAX_ANSWER_BYTES:
                    passing.broke = "said too much"
                    break
        except TimeoutError:
            passing.broke = "fell silent" if loop.time() >= until else f"took longer than {endpoint.total_s:g} s"
        except (aiohttp.ClientError, OSError) as error:
            passing.broke = f"broke off ({type(error).__name__})"

    async def _count(self, route: EgressRoute, passing: PassedRequest) -> None:
        """Put into the account what an answer cost, and whether it was one."""
        usage, words, broke = passing.usage, passing.words, passing.broke
        usage.end()
        estimated = " (estimated)" if usage.is_estimate else ""
        broke = broke or usage.failed or ("" if usage.understood else "said nothing that can be understood")
        output_tokens = usage.output_so_far if passing.cut else usage.output_tokens
        words.append(f"{passing.size_bytes}B {usage.input_tokens}+{output_tokens} tokens{estimated}")
        if broke:
            words.append(f"FAILED: {broke}")
        if route.thinks and passing.size_bytes:
            await self.account.answered(usage.input_tokens, output_tokens, whole=not broke)
        if passing.cut:
            words.append(f"CUT: {self.account.refusal()}")
        if route.thinks and broke and not passing.hung_up:
            self.account.failed(f"{self.endpoint.name} {broke}")

    async def _not_good(
        self, answer: aiohttp.ClientResponse, route: EgressRoute, words: list[object]
    ) -> web.StreamResponse:
        """Pass an endpoint's refusal on, without anything that may be our key."""
        status, why = answer.status, f"{self.endpoint.name} answered {answer.status}"
        words.append(f"FAILED: {status}")
        if 200 < status < 400:
            if route.thinks:
                self.account.refuse(f"{why}, which leads elsewhere")
            return self._refuse(502, "The endpoint leads elsewhere, and the broker does not follow")
        body = (await answer.content.read(_MAX_ERROR_BYTES)).decode("utf-8", "replace")
        if self.endpoint.key:
            body = body.replace(self.endpoint.key, "[key]")
        if route.thinks:
            if status in _FINAL:
                self.account.refuse(why if status in _KEY_REFUSED else f"{why}: {_message(body)}")
            else:
                self.account.failed(f"{why}: {_message(body)}", rejected=status < 500 and status not in _TRY_AGAIN)
        if status in _KEY_REFUSED:
            return self._refuse(status, f"The endpoint refuses the lane's key ({status})")
        return web.Response(status=status, text=body, headers=_returned(answer))

    def _failed(self, route: EgressRoute, why: str, status: int, words: list[object]) -> web.Response:
        words.append(f"FAILED: {why}")
        if route.thinks:
            self.account.failed(f"{self.endpoint.name} {why}")
        return self._refuse(status, f"The endpoint {why}")

    def _refuse(self, status: int, message: str) -> web.Response:
        return web.json_response(refusal(self.endpoint.kind, message), status=status)


async def _body(request: web.Request) -> dict[str, Any] | str:
    """The question, or why it is not passed on."""
    if request.headers.get("content-encoding", "identity") != "identity":
        return "it is compressed"
    try:
        body = json.loads(await request.read())
    except web.HTTPRequestEntityTooLarge:
        return "it is too long"
    except (ValueError, RecursionError):
        return "it is not JSON"
    return body if isinstance(body, dict) else "it is not a JSON object"


def _returned(answer: aiohttp.ClientResponse) -> dict[str, str]:
    """The headers that go back."""
    return {name: answer.headers[name] for name in _RETURNED_HEADERS if name in answer.headers}


def _message(body: str) -> str:
    """What an error's body says, in one line."""
    try:
        error = json.loads(body)["error"]
        body = str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, RecursionError, KeyError, TypeError):
        pass
    return " ".join(body.split())[:200]
