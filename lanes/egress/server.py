"""The broker: an HTTP server on a unix socket of the host, which passes a sandbox's questions to one model.

It takes nothing for granted that comes out of the sandbox: neither keys, nor headers, nor the model's name. What goes
on is written anew from what was read; the endpoint's key is put in here and is in nothing that goes back.
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
from lanes.egress.routes import EgressRoute, address, authority, models_shown, refusal, route, settled
from lanes.egress.turns import in_a_row
from lanes.egress.usage_account import UsageAccount
from lanes.egress.usage_reader import UsageReader
from lanes.models import Endpoint
from lanes.sandbox.folders import SOCKET_PREFIX, locked_folder, remove_abandoned

_MIB: Final = 1024 * 1024
_MOST_ASKED: Final = 32 * _MIB
_MOST_ANSWERED: Final = 64 * _MIB
_MOST_ERROR: Final = 64 * 1024
_AT_ONCE: Final = 16
_CONNECT_S: Final = 10.0
_PASSED: Final = ("accept", "anthropic-beta", "anthropic-version", "openai-beta")
_RETURNED: Final = ("content-type", "retry-after", "request-id", "x-request-id")
_ABOUT_KEYS: Final = (401, 403)
_HOPELESS: Final = (*_ABOUT_KEYS, 402, 404)
_MAYBE_LATER: Final = (408, 429)


@dataclass(slots=True)
class PassedRequest:
    """One answer on its way through: since when, how much of it, how it broke off, and what the log is told.

    `cut` is true for one that is longer than the budget has tokens left, `hung_up` when the program left.
    """

    tally: UsageReader
    began: float
    told: list[object]
    heard: int = 0
    broke: str = ""
    cut: bool = False
    hung_up: bool = False


class EgressBroker:
    """Serves one run: `models` are the names of the lane's models at `endpoint`, its first stands in for any other.

    Used as an async context; `socket` is what a `Door` leads to, in a folder that nobody else may enter.
    """

    def __init__(
        self, endpoint: Endpoint, models: tuple[str, ...], account: UsageAccount, log: EgressLog | None = None
    ) -> None:
        self.endpoint, self.models, self.account = endpoint, models, account
        self.log = log or EgressLog()
        self._folder, self._stack = Path(), contextlib.ExitStack()
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self._room = asyncio.Semaphore(_AT_ONCE)

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
        app = web.Application(client_max_size=_MOST_ASKED)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1)
        await self._runner.setup()
        await web.UnixSite(self._runner, str(self.socket)).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening; what was still asked is dropped."""
        self.account.end()
        if self._session is not None:
            await self._session.close()
        if self._runner is not None:
            await self._runner.cleanup()
        await asyncio.to_thread(self._stack.close)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        began = time.monotonic()
        told: list[object] = []
        answer: web.StreamResponse | None = None
        try:
            async with self._room:
                answer = await self._answer(request, told)
            return answer
        finally:
            status = answer.status if answer is not None else "cut"
            ms = int((time.monotonic() - began) * 1000)
            self.log.add(request.method, request.rel_url.raw_path, status, f"{ms}ms", *told)

    async def _answer(self, request: web.Request, told: list[object]) -> web.StreamResponse:
        query = tuple((name, value) for name, value in request.query.items())
        found = route(self.endpoint.kind, request.method, request.rel_url.raw_path, query, self.models[0])
        if found is None:
            told.append("REFUSED: this way leads nowhere")
            return self._refuse(404, "The broker passes on nothing but questions to the lane's model")
        if found.own:
            told.append("answered here")
            return web.json_response(models_shown(self.models)) if request.method == "GET" else web.Response()
        body = await _body(request)
        if isinstance(body, str):
            told.append(f"REFUSED: {body}")
            return self._refuse(400, f"The broker refuses this question: {body}")
        body, strange = settled(body, found, self.models)
        if strange:
            told.append(f"asked for the model {strange}, got {self.models[0]}")
        if found.thinks and (why := self.account.may_ask(*in_a_row(body))):
            told.append(f"REFUSED: {why}")
            return self._refuse(429, why)
        self.account.asking += found.thinks
        try:
            return await self._pass_on(request, found, json.dumps(body).encode(), told)
        finally:
            self.account.asking -= found.thinks

    async def _pass_on(
        self, request: web.Request, found: EgressRoute, body: bytes, told: list[object]
    ) -> web.StreamResponse:
        """Ask the endpoint; every way in which it may fail is told to the account."""
        assert self._session is not None
        headers = {name: request.headers[name] for name in _PASSED if name in request.headers}
        headers |= {"content-type": "application/json", "accept-encoding": "identity"}
        headers |= authority(self.endpoint.kind, self.endpoint.key)
        loop = asyncio.get_running_loop()
        began, first_s = loop.time(), self.endpoint.first_token_s
        url = address(self.endpoint.url, found.path)
        try:
            async with asyncio.timeout(first_s):
                answer = await self._session.post(
                    url, data=body, headers=headers, params=found.query, allow_redirects=False
                )
        except TimeoutError:
            return self._failed(found, f"did not answer within {first_s:g} s", 504, told)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return self._failed(found, f"cannot be reached ({type(error).__name__})", 502, told)
        async with answer:
            if answer.status != 200:
                return await self._not_good(answer, found, told)
            return await self._stream(request, answer, found, PassedRequest(UsageReader(len(body)), began, told))

    async def _stream(
        self, request: web.Request, answer: aiohttp.ClientResponse, found: EgressRoute, passing: PassedRequest
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
            passing.told.append("the program hung up")
        finally:
            await self._count(found, passing)
        if not out.prepared and passing.broke:
            return self._refuse(502, f"The endpoint {passing.broke}")
        if not out.prepared:
            await out.prepare(request)
        if (passing.broke or passing.cut) and request.transport is not None:
            request.transport.abort()  # what was cut must not look whole
        return out

    async def _chunks(self, answer: aiohttp.ClientResponse, passing: PassedRequest) -> AsyncIterator[bytes]:
        """The pieces of an answer, each in time; how it broke off is left in `passing`."""
        loop, endpoint = asyncio.get_running_loop(), self.endpoint
        until = passing.began + endpoint.first_token_s
        try:
            while True:
                async with asyncio.timeout_at(min(until, passing.began + endpoint.total_s)):
                    chunk = await answer.content.readany()
                if not chunk:
                    break
                until = loop.time() + endpoint.between_tokens_s
                passing.heard += len(chunk)
                passing.tally.hear(chunk)
                passing.cut = self.account.overdrawn(passing.tally.so_far)
                if passing.cut:
                    break
                yield chunk
                if passing.heard > _MOST_ANSWERED:
                    passing.broke = "said too much"
                    break
        except TimeoutError:
            passing.broke = "fell silent" if loop.time() >= until else f"took longer than {endpoint.total_s:g} s"
        except (aiohttp.ClientError, OSError) as error:
            passing.broke = f"broke off ({type(error).__name__})"

    async def _count(self, found: EgressRoute, passing: PassedRequest) -> None:
        """Tell the account what an answer cost, and whether it was one."""
        tally, broke = passing.tally, passing.broke
        tally.end()
        about = " (estimated)" if tally.estimated else ""
        broke = broke or tally.failed or ("" if tally.understood else "said nothing that can be understood")
        output_tokens = tally.so_far if passing.cut else tally.output_tokens
        passing.told.append(f"{passing.heard}B {tally.input_tokens}+{output_tokens} tokens{about}")
        if broke:
            passing.told.append(f"FAILED: {broke}")
        if found.thinks and passing.heard:
            await self.account.answered(tally.input_tokens, output_tokens, whole=not broke)
        if passing.cut:
            passing.told.append(f"CUT: {self.account.may_ask()}")
        if found.thinks and broke and not passing.hung_up:
            self.account.failed(f"{self.endpoint.name} {broke}")

    async def _not_good(
        self, answer: aiohttp.ClientResponse, found: EgressRoute, told: list[object]
    ) -> web.StreamResponse:
        """Tell an endpoint's refusal on, without anything that may be our key."""
        status, why = answer.status, f"{self.endpoint.name} answered {answer.status}"
        told.append(f"FAILED: {status}")
        if 200 < status < 400:
            if found.thinks:
                self.account.refuses(f"{why}, which leads elsewhere")
            return self._refuse(502, "The endpoint leads elsewhere, and the broker does not follow")
        said = (await answer.content.read(_MOST_ERROR)).decode("utf-8", "replace")
        if self.endpoint.key:
            said = said.replace(self.endpoint.key, "[key]")
        if found.thinks:
            if status in _HOPELESS:
                self.account.refuses(why if status in _ABOUT_KEYS else f"{why}: {_gist(said)}")
            else:
                self.account.failed(f"{why}: {_gist(said)}", rejected=status < 500 and status not in _MAYBE_LATER)
        if status in _ABOUT_KEYS:
            return self._refuse(status, f"The endpoint refuses the lane's key ({status})")
        return web.Response(status=status, text=said, headers=_returned(answer))

    def _failed(self, found: EgressRoute, why: str, status: int, told: list[object]) -> web.Response:
        told.append(f"FAILED: {why}")
        if found.thinks:
            self.account.failed(f"{self.endpoint.name} {why}")
        return self._refuse(status, f"The endpoint {why}")

    def _refuse(self, status: int, message: str) -> web.Response:
        return web.json_response(refusal(self.endpoint.kind, message), status=status)


async def _body(request: web.Request) -> dict[str, Any] | str:
    """What was asked, or why it is not passed on."""
    if request.headers.get("content-encoding", "identity") != "identity":
        return "it is packed"
    try:
        body = json.loads(await request.read())
    except web.HTTPRequestEntityTooLarge:
        return "it is too long"
    except (ValueError, RecursionError):
        return "it is not JSON"
    return body if isinstance(body, dict) else "it is not a JSON object"


def _returned(answer: aiohttp.ClientResponse) -> dict[str, str]:
    """The headers that go back."""
    return {name: answer.headers[name] for name in _RETURNED if name in answer.headers}


def _gist(said: str) -> str:
    """What an error's body says, in one line."""
    try:
        error = json.loads(said)["error"]
        said = str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, RecursionError, KeyError, TypeError):
        pass
    return " ".join(said.split())[:200]
