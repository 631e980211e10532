"""How an answer goes over the line: whole or streamed, and how it breaks."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.fakes.ollama.script import (
    Answer,
    Babble,
    Broken,
    Calls,
    Endless,
    Hang,
    Json,
    Request,
    Reset,
    Say,
    Slow,
    words_of,
)
from tests.fakes.ollama.shapes import ANSWERS, faults_of_answer

if TYPE_CHECKING:
    from tests.fakes.ollama.server import OllamaShim

_LONG_S = 3600.0


class Line:
    """One response; what it sends is held against Ollama's types first."""

    def __init__(self, shim: OllamaShim, path: str, request: web.Request) -> None:
        self._shim, self._path, self._request = shim, path, request
        self._response: web.StreamResponse | None = None

    def whole(self, body: Json, status: int = 200) -> web.Response:
        """An answer in one piece."""
        self._check(body)
        return web.json_response(body, status=status)

    async def begin(self) -> None:
        """The beginning of a stream."""
        self._response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await self._response.prepare(self._request)

    async def send(self, body: Json) -> None:
        """One line of the stream."""
        self._check(body)
        await self.raw(json.dumps(body, ensure_ascii=False).encode() + b"\n")

    async def raw(self, line: bytes) -> None:
        """Bytes, unchecked."""
        if self._response is None:
            await self.begin()
        assert self._response is not None
        await self._response.write(line)
        self._shim.sent_bytes += len(line)

    async def end(self) -> web.StreamResponse:
        """The end of the stream."""
        assert self._response is not None
        await self._response.write_eof()
        self._shim.answered += 1
        return self._response

    def reset(self) -> web.StreamResponse:
        """The connection is reset rather than closed."""
        transport = self._request.transport
        if transport is not None:
            wire: Any = transport.get_extra_info("socket")
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        return self._response or web.Response()

    def opening(self, model: str) -> Json:
        """What every line of an answer begins with."""
        return {"model": model, "created_at": datetime.now(UTC).isoformat().replace("+00:00", "Z")}

    def _check(self, body: Json) -> None:
        if self._path in ANSWERS:
            self._shim.violations += [f"{self._path} answers: {fault}" for fault in faults_of_answer(self._path, body)]


async def speak(line: Line, request: Request, answer: Answer) -> web.StreamResponse:
    """Answer a request as its script has it."""
    match answer:
        case Say() | Calls():
            return await _say(line, request, answer)
        case Slow(text, per_token_s):
            return await _say(line, request, Say(text, per_token_s=per_token_s))
        case Endless(word, per_token_s):
            while True:
                await line.send(_piece(line, request, word))
                await asyncio.sleep(per_token_s)
        case Hang(text):
            await _begun(line, request, text)
            await asyncio.sleep(_LONG_S)
        case Reset(text):
            await _begun(line, request, text)
            return line.reset()
        case Babble(garbage, text):
            await _begun(line, request, text)
            await line.raw(garbage)
        case Broken(error, text):
            await _begun(line, request, text)
            await line.send({"error": error})
    return await line.end()


async def _begun(line: Line, request: Request, text: str) -> None:
    for word in words_of(text):
        await line.send(_piece(line, request, word))


async def _say(line: Line, request: Request, answer: Say | Calls) -> web.StreamResponse:
    words, most = words_of(answer.text), int(request.options.get("num_predict", -1))
    reason = answer.done_reason if isinstance(answer, Say) else "stop"
    if 0 <= most < len(words):
        words, reason = words[:most], "length"
    pause_s = answer.per_token_s
    calls = [{"function": {"name": name, "arguments": dict(said)}} for name, said in getattr(answer, "calls", ())]
    told = answer.tokens if isinstance(answer, Say) and answer.tokens else (request.prompt_tokens, len(words) or 1)
    closing = {
        "done": True,
        "done_reason": reason,
        "total_duration": 174_560_334,
        "load_duration": round((answer.load_s if isinstance(answer, Say) else 0.1) * 1e9),
        "prompt_eval_count": told[0],
        "prompt_eval_duration": 13_074_791,
        "eval_count": told[1],
        "eval_duration": 52_479_709,
    }
    if request.body.get("stream") is False:
        await asyncio.sleep(pause_s * len(words))
        return line.whole({**_piece(line, request, "".join(words), answer.thinking, calls), **closing})
    if answer.thinking:
        await line.send(_piece(line, request, "", answer.thinking))
    for word in words:
        await line.send(_piece(line, request, word))
        if pause_s:
            await asyncio.sleep(pause_s)
    if calls:
        await line.send(_piece(line, request, "", calls=calls))
    await line.send({**_piece(line, request, ""), **closing})
    return await line.end()


def _piece(line: Line, request: Request, text: str, thinking: str = "", calls: list[Json] | None = None) -> Json:
    if request.path == "/api/generate":
        return {**line.opening(request.model), "response": text, "done": False}
    message: Json = {"role": "assistant", "content": text}
    if thinking:
        message["thinking"] = thinking
    if calls:
        message["tool_calls"] = calls
    return {**line.opening(request.model), "message": message, "done": False}
