"""Assembles one streamed answer, whichever endpoint sends it: deadlines, size limits, and text that can be stored.

An adapter only turns each chunk of its endpoint into an `AnswerPiece`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from core.model.provenance import Usage
from core.strict_json import NotJsonError
from lanes.models.chat import ChatReply, ChatRequest, ToolCall, ToolSpec
from lanes.models.endpoint import Endpoint, ModelName
from lanes.models.faults import FaultOrigin, deadline_error, invalid_answer_error, truncated_answer_error

T = TypeVar("T")

_BYTES_PER_TOKEN: Final = 64
_SLACK_BYTES: Final = 65_536
_MAX_DEPTH: Final = 40
_MAX_INT: Final = 10**18


@dataclass(frozen=True, slots=True)
class AnswerPiece:
    """A piece of an answer.

    Attributes:
        text: Its text.
        calls: The tool calls that are complete with it.
        hidden_text: Other text, such as reasoning, which counts for the size limit only.
        finish_reason: The endpoint's finish reason; empty until the last piece.
        tokens: (prompt tokens, completion tokens), if this piece reports them.
        load_s: How long the model was loaded for this answer, if this piece reports it.
    """

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    hidden_text: str = ""
    finish_reason: str = ""
    tokens: tuple[int, int] | None = None
    load_s: float | None = None


def request_origin(endpoint: Endpoint, name: str, request: ChatRequest) -> FaultOrigin:
    """The origin of this request's errors; their messages never quote the request."""
    return FaultOrigin(endpoint, name, tuple(message.text for message in request.messages))


async def collect_answer(
    origin: FaultOrigin, request: ChatRequest, pieces: AsyncGenerator[AnswerPiece, None]
) -> ChatReply:
    """Collect the pieces into a reply.

    Exceptions from `request.on_text` propagate unchanged, because they are raised outside the adapter's error
    translation.

    Raises:
        TransientError: A deadline passed, or the last piece never came.
        PermanentError: The answer is too long.
    """
    meter = StreamMeter(origin, request.max_tokens)
    texts: list[str] = []
    calls: list[ToolCall] = []
    finish_reason, tokens, load_s = "", (0, 0), None
    async with aclosing(with_deadlines(origin, pieces)) as timed_pieces:
        async for piece in timed_pieces:
            texts.append(storable(piece.text))
            meter.add(texts[-1], piece.hidden_text)
            calls += (_storable_call(meter, call) for call in piece.calls)
            finish_reason, tokens = piece.finish_reason or finish_reason, piece.tokens or tokens
            load_s = piece.load_s if piece.load_s is not None else load_s
            if texts[-1] and request.on_text is not None:
                await request.on_text(texts[-1])
    if not finish_reason:
        raise truncated_answer_error(origin)
    model = str(ModelName(origin.endpoint.name, origin.name))
    usage = Usage(model, 1, *tokens)
    return ChatReply("".join(texts), tuple(calls), model, usage, finish_reason == "length", load_s)


def _storable_call(meter: StreamMeter, call: ToolCall) -> ToolCall:
    name = storable(call.name)
    try:
        arguments = storable_arguments(call.arguments)
    except NotJsonError as error:
        meter.add(name)
        return ToolCall(name, error=str(error))
    meter.add(name, str(arguments))
    return ToolCall(name, arguments, call.error)


def tool_definitions(tools: Sequence[ToolSpec]) -> list[dict[str, Any]]:
    """The tools in the format that Ollama and OpenAI share."""
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)},
        }
        for tool in tools
    ]


async def with_deadlines(origin: FaultOrigin, pieces: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """Yield the pieces of an answer within the endpoint's deadlines for the first piece, each next one, and the whole.

    When a deadline passes or the caller stops, the connection is closed so that the server stops too.

    Raises:
        TransientError: A deadline passed.
    """
    endpoint, loop = origin.endpoint, asyncio.get_running_loop()
    end, first = loop.time() + endpoint.total_s, True
    async with aclosing(pieces):
        while True:
            wait_s = endpoint.first_token_s if first else endpoint.between_tokens_s
            deadline = asyncio.timeout_at(min(loop.time() + wait_s, end))
            try:
                async with deadline:
                    piece = await anext(pieces)
            except StopAsyncIteration:
                return
            except TimeoutError:
                if not deadline.expired():
                    raise
                raise _deadline_error(origin, endpoint, first=first, total=loop.time() >= end) from None
            yield piece
            first = False


def _deadline_error(origin: FaultOrigin, endpoint: Endpoint, *, first: bool, total: bool) -> Exception:
    if total:
        return deadline_error(origin, "did not finish (total_s)", endpoint.total_s)
    if first:
        return deadline_error(origin, "sent nothing (first_token_s)", endpoint.first_token_s)
    return deadline_error(origin, "stopped sending (between_tokens_s)", endpoint.between_tokens_s)


class StreamMeter:
    """Counts the bytes of an answer; raises `PermanentError` when it is longer than `most_tokens` can be."""

    def __init__(self, origin: FaultOrigin, max_tokens: int) -> None:
        self._origin, self._max_bytes, self._bytes = origin, max_tokens * _BYTES_PER_TOKEN + _SLACK_BYTES, 0

    def add(self, *texts: str | None) -> None:
        """Add texts that arrived."""
        self._bytes += sum(len(text.encode("utf-8", "replace")) for text in texts if text)
        if self._bytes > self._max_bytes:
            raise invalid_answer_error(self._origin, f"the answer is longer than {self._max_bytes:,} bytes")


def storable(text: str) -> str:
    """The text with NUL and unpaired surrogates replaced, which databases and UTF-8 cannot store."""
    return text.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def storable_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as storable JSON; raises `NotJsonError` for NaN, integers over 64 bits, and deep nesting."""
    return {storable(str(name)): _storable(value, 1) for name, value in arguments.items()}


def _storable(value: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise NotJsonError(f"The arguments are nested deeper than {_MAX_DEPTH}.")
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {storable(str(name)): _storable(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(inner, depth + 1) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise NotJsonError("The arguments hold NaN or an infinite number.")
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _MAX_INT:
        raise NotJsonError("The arguments hold a number that does not fit into 64 bits.")
    return value
