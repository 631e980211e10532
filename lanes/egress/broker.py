"""The broker: an HTTP server on a unix socket of the host that forwards a sandbox's requests to the lane's models.

It does not trust the sandbox's keys, headers or model names: it builds each request from the parsed body. It adds
the endpoint's key, which no answer contains.
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

from core.ports.leases import LeaseRefusedError, ModelLeases
from lanes.egress.log import EgressLog
from lanes.egress.model_turns import ClientGoneError, ModelTurns
from lanes.egress.repeated_calls import last_call_repeats
from lanes.egress.routes import (
    EgressRoute,
    authorization_headers,
    endpoint_url,
    error_message,
    find_route,
    model_list,
    refusal_body,
    rewrite_body,
    with_loaded_options,
)
from lanes.egress.usage_account import UsageAccount
from lanes.egress.usage_reader import UsageReader
from lanes.models import Endpoint
from lanes.sandbox.folders import SOCKET_PREFIX, locked_folder, remove_abandoned

_MIB: Final = 1024 * 1024
_MAX_REQUEST_BYTES: Final = 32 * _MIB
_MAX_ANSWER_BYTES: Final = 64 * _MIB
_MAX_ERROR_BYTES: Final = 64 * 1024
_MAX_REQUESTS: Final = 16
_CONNECT_S: Final = 10.0
_FORWARDED_HEADERS: Final = ("accept", "anthropic-beta", "anthropic-version", "openai-beta")
_RETURNED_HEADERS: Final = ("content-type", "retry-after", "request-id", "x-request-id")
_KEY_REFUSED: Final = (401, 403)
_FINAL: Final = (*_KEY_REFUSED, 402, 404)
_RETRYABLE: Final = (408, 429)


@dataclass(slots=True)
class ForwardedAnswer:
    """An answer that is being forwarded: its start, size, failure and log fields.

    `is_cut` is True once it exceeds the budget's remaining tokens, `client_closed` once the program closed the
    connection.
    """

    usage: UsageReader
    started_s: float
    log_fields: list[object]
    size_bytes: int = 0
    failure: str = ""
    is_cut: bool = False
    client_closed: bool = False


class EgressBroker:
    """The broker of one run, an async context manager.

    `models` are the names of the lane's models at `endpoint`; the first replaces any other model. A `PortForward` leads
    to the `socket`, whose folder is closed to other users. If there are `leases`, each request to a model is forwarded
    under one, for the work in which the broker was created.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        models: tuple[str, ...],
        account: UsageAccount,
        log: EgressLog | None = None,
        leases: ModelLeases | None = None,
    ) -> None:
        self.endpoint, self.models, self.account = endpoint, models, account
        self.log = log or EgressLog()
        self._turns = ModelTurns(endpoint, leases)
        self._folder, self._stack = Path(), contextlib.ExitStack()
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self._slots = asyncio.Semaphore(_MAX_REQUESTS)

    @property
    def socket(self) -> Path:
        """The unix socket of the broker."""
        return self._folder / "model.sock"

    async def __aenter__(self) -> Self:
        """Start listening."""
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
        """Stop listening, and drop open requests."""
        self.account.end()
        if self._session is not None:
            await self._session.close()
        if self._runner is not None:
            await self._runner.cleanup()
        await asyncio.to_thread(self._stack.close)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        started_s = time.monotonic()
        log_fields: list[object] = []
        answer: web.StreamResponse | None = None
        try:
            async with self._slots:
                answer = await self._answer(request, log_fields)
            return answer
        finally:
            status = answer.status if answer is not None else "cut"
            ms = int((time.monotonic() - started_s) * 1000)
            self.log.add(request.method, request.rel_url.raw_path, status, f"{ms}ms", *log_fields)

    async def _answer(self, request: web.Request, log_fields: list[object]) -> web.StreamResponse:
        query = tuple((name, value) for name, value in request.query.items())
        route = find_route(self.endpoint.kind, request.method, request.rel_url.raw_path, query, self.models[0])
        if route is None:
            log_fields.append("REFUSED: this path is not forwarded")
            return self._refuse(404, "The broker forwards only requests to the lane's model")
        if route.is_local:
            log_fields.append("answered by the broker")
            return web.json_response(model_list(self.models)) if request.method == "GET" else web.Response()
        body = await _body(request)
        if isinstance(body, str):
            log_fields.append(f"REFUSED: {body}")
            return self._refuse(400, f"The broker refuses this request: {body}")
        body, replaced_model = rewrite_body(body, route, self.models)
        if replaced_model:
            log_fields.append(f"asked for the model {replaced_model}, got {self.models[0]}")
        if route.is_inference and (reason := self.account.refusal(*last_call_repeats(body))):
            log_fields.append(f"REFUSED: {reason}")
            return self._refuse(429, reason)
        if not route.is_inference:
            return await self._forward(request, route, json.dumps(body).encode(), log_fields)
        self.account.pending += 1
        try:
            async with self._turns.lease(request, str(body.get("model", self.models[0])), log_fields) as place:
                body = with_loaded_options(body, route, place)
                return await self._forward(request, route, json.dumps(body).encode(), log_fields)
        except LeaseRefusedError as error:
            return self._failed(route, f"gives no work now: {error.problem.message}", 503, log_fields)
        except ClientGoneError:
            log_fields.append("the program closed the connection while it waited for the model")
            return web.Response(status=499)
        finally:
            self.account.pending -= 1

    async def _forward(
        self, request: web.Request, route: EgressRoute, body: bytes, log_fields: list[object]
    ) -> web.StreamResponse:
        """Send the request to the endpoint, and report every failure to the account."""
        assert self._session is not None
        headers = {name: request.headers[name] for name in _FORWARDED_HEADERS if name in request.headers}
        headers |= {"content-type": "application/json", "accept-encoding": "identity"}
        headers |= authorization_headers(self.endpoint.kind, self.endpoint.key)
        loop = asyncio.get_running_loop()
        started_s, first_s = loop.time(), self.endpoint.first_token_s
        url = endpoint_url(self.endpoint.url, route.path)
        try:
            async with asyncio.timeout(first_s):
                answer = await self._session.post(
                    url, data=body, headers=headers, params=route.query, allow_redirects=False
                )
        except TimeoutError:
            return self._failed(route, f"did not answer within {first_s:g} s", 504, log_fields)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return self._failed(route, f"cannot be reached ({type(error).__name__})", 502, log_fields)
        async with answer:
            if answer.status != 200:
                return await self._forward_error(answer, route, log_fields)
            return await self._stream(
                request, answer, route, ForwardedAnswer(UsageReader(len(body)), started_s, log_fields)
            )

    async def _stream(
        self, request: web.Request, answer: aiohttp.ClientResponse, route: EgressRoute, forwarded: ForwardedAnswer
    ) -> web.StreamResponse:
        """Forward a successful answer as it arrives, and count its usage."""
        out = web.StreamResponse(headers=_returned_headers(answer))
        try:
            async for chunk in self._chunks(answer, forwarded):
                if not out.prepared:
                    await out.prepare(request)
                await out.write(chunk)
        except ConnectionResetError:
            forwarded.client_closed = True
            forwarded.log_fields.append("the program closed the connection")
        finally:
            await self._count(route, forwarded)
        if not out.prepared and forwarded.failure:
            return self._refuse(502, f"The endpoint {forwarded.failure}")
        if not out.prepared:
            await out.prepare(request)
        if (forwarded.failure or forwarded.is_cut) and request.transport is not None:
            request.transport.abort()  # the program must not take an incomplete answer for a complete one
        return out

    async def _chunks(self, answer: aiohttp.ClientResponse, forwarded: ForwardedAnswer) -> AsyncIterator[bytes]:
        """The chunks of an answer, within the endpoint's deadlines; sets `forwarded.failure` if it breaks off."""
        loop, endpoint = asyncio.get_running_loop(), self.endpoint
        deadline = forwarded.started_s + endpoint.first_token_s
        try:
            while True:
                async with asyncio.timeout_at(min(deadline, forwarded.started_s + endpoint.total_s)):
                    chunk = await answer.content.readany()
                if not chunk:
                    break
                deadline = loop.time() + endpoint.between_tokens_s
                forwarded.size_bytes += len(chunk)
                forwarded.usage.feed(chunk)
                forwarded.is_cut = self.account.is_overdrawn(forwarded.usage.output_so_far)
                if forwarded.is_cut:
                    break
                yield chunk
                if forwarded.size_bytes > _MAX_ANSWER_BYTES:
                    forwarded.failure = "sent too long an answer"
                    break
        except TimeoutError:
            forwarded.failure = (
                "stopped sending" if loop.time() >= deadline else f"took longer than {endpoint.total_s:g} s"
            )
        except (aiohttp.ClientError, OSError) as error:
            forwarded.failure = f"broke off ({type(error).__name__})"

    async def _count(self, route: EgressRoute, forwarded: ForwardedAnswer) -> None:
        """Report an answer's usage, or its failure, to the account."""
        usage, log_fields, failure = forwarded.usage, forwarded.log_fields, forwarded.failure
        usage.end()
        estimated = " (estimated)" if usage.is_estimate else ""
        failure = failure or usage.error or ("" if usage.is_answer else "sent an answer that cannot be parsed")
        output_tokens = usage.output_so_far if forwarded.is_cut else usage.output_tokens
        log_fields.append(f"{forwarded.size_bytes}B {usage.input_tokens}+{output_tokens} tokens{estimated}")
        if failure:
            log_fields.append(f"FAILED: {failure}")
        if route.is_inference and forwarded.size_bytes:
            await self.account.add_answer(usage.input_tokens, output_tokens, complete=not failure)
        if forwarded.is_cut:
            log_fields.append(f"CUT: {self.account.refusal()}")
        if route.is_inference and failure and not forwarded.client_closed:
            self.account.add_failure(f"{self.endpoint.name} {failure}")

    async def _forward_error(
        self, answer: aiohttp.ClientResponse, route: EgressRoute, log_fields: list[object]
    ) -> web.StreamResponse:
        """Forward an error of the endpoint, without our key."""
        status, reason = answer.status, f"{self.endpoint.name} answered {answer.status}"
        log_fields.append(f"FAILED: {status}")
        if 200 < status < 400:
            if route.is_inference:
                self.account.refuse(f"{reason}, which redirects")
            return self._refuse(502, "The endpoint redirects, and the broker follows no redirects")
        body = (await answer.content.read(_MAX_ERROR_BYTES)).decode("utf-8", "replace")
        if self.endpoint.key:
            body = body.replace(self.endpoint.key, "[key]")
        if route.is_inference:
            if status in _FINAL:
                self.account.refuse(reason if status in _KEY_REFUSED else f"{reason}: {error_message(body)}")
            else:
                self.account.add_failure(
                    f"{reason}: {error_message(body)}", rejected=status < 500 and status not in _RETRYABLE
                )
        if status in _KEY_REFUSED:
            return self._refuse(status, f"The endpoint refuses the lane's key ({status})")
        return web.Response(status=status, text=body, headers=_returned_headers(answer))

    def _failed(self, route: EgressRoute, reason: str, status: int, log_fields: list[object]) -> web.Response:
        log_fields.append(f"FAILED: {reason}")
        if route.is_inference:
            self.account.add_failure(f"{self.endpoint.name} {reason}")
        return self._refuse(status, f"The endpoint {reason}")

    def _refuse(self, status: int, message: str) -> web.Response:
        return web.json_response(refusal_body(self.endpoint.kind, message), status=status)


async def _body(request: web.Request) -> dict[str, Any] | str:
    """The request's JSON object, or why it is refused."""
    if request.headers.get("content-encoding", "identity") != "identity":
        return "it is compressed"
    try:
        body = json.loads(await request.read())
    except web.HTTPRequestEntityTooLarge:
        return "it is too long"
    except (ValueError, RecursionError):
        return "it is not JSON"
    return body if isinstance(body, dict) else "it is not a JSON object"


def _returned_headers(answer: aiohttp.ClientResponse) -> dict[str, str]:
    """The headers of an answer that are forwarded to the program."""
    return {name: answer.headers[name] for name in _RETURNED_HEADERS if name in answer.headers}
