"""Chat models on Ollama, through its own client (https://github.com/ollama/ollama-python)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

from ollama import AsyncClient, ChatResponse, ResponseError
from pydantic import ValidationError

from lanes.models.answer_stream import AnswerPiece, collect_answer, request_origin, tool_definitions
from lanes.models.chat import ChatMessage, ChatReply, ChatRequest, ToolCall
from lanes.models.endpoint import Endpoint
from lanes.models.endpoint_session import translate_errors
from lanes.models.faults import FaultOrigin, status_error
from lanes.models.http_transport import HttpTransport


@dataclass(frozen=True, slots=True)
class OllamaModel:
    """One model of an endpoint of kind ollama."""

    endpoint: Endpoint
    name: str

    async def ask(self, request: ChatRequest) -> ChatReply:
        """See `ChatModel.ask`."""
        origin = request_origin(self.endpoint, self.name, request)
        return await collect_answer(origin, request, self._pieces(origin, request))

    async def _pieces(self, origin: FaultOrigin, request: ChatRequest) -> AsyncGenerator[AnswerPiece, None]:
        async with ollama_client(origin) as client:
            stream = await client.chat(
                self.name,
                [_message(message) for message in request.messages],
                tools=tool_definitions(request.tools) or None,
                stream=True,
                format=dict(request.schema) if request.schema is not None else None,
                options={
                    "num_ctx": request.context_tokens or self.endpoint.context_tokens,
                    "num_predict": request.max_tokens,
                },
                keep_alive=keep_alive(self.endpoint),
            )
            try:
                async for chunk in cast("AsyncGenerator[ChatResponse, None]", stream):
                    yield _piece(chunk)
                    if chunk.done:
                        return
            except ValidationError as error:
                if not all("tool_calls" in fault["loc"] for fault in error.errors()):
                    raise
                problem = "A tool call needs a name, and an object as its arguments."
                yield AnswerPiece(
                    calls=(ToolCall("unknown", error=problem),), finish_reason="stop"
                )  # the client stops reading here


@asynccontextmanager
async def ollama_client(origin: FaultOrigin) -> AsyncIterator[AsyncClient]:
    """An Ollama client whose exceptions are translated into our errors."""
    transport = HttpTransport(origin.endpoint)
    async with translate_errors(origin):
        try:
            async with AsyncClient(origin.endpoint.url, **transport.client_options()) as client:
                yield client
        except ResponseError as error:
            # -1 means an error inside a stream that began with status 200
            status = error.status_code if error.status_code > 0 else 500
            raise status_error(origin, status, str(error.error), transport.retry_after_s) from None


def keep_alive(endpoint: Endpoint) -> float | str:
    """How long the model stays loaded; Ollama accepts bare seconds only as a number, not as text."""
    with suppress(ValueError):
        return float(endpoint.keep_alive)
    return endpoint.keep_alive


def _piece(chunk: ChatResponse) -> AnswerPiece:
    message = chunk.message
    calls = tuple(ToolCall(call.function.name, call.function.arguments) for call in message.tool_calls or ())
    tokens = (max(chunk.prompt_eval_count or 0, 0), max(chunk.eval_count or 0, 0)) if chunk.done else None
    return AnswerPiece(
        message.content or "",
        calls,
        message.thinking or "",
        (chunk.done_reason or "stop") if chunk.done else "",
        tokens,
        max(chunk.load_duration or 0, 0) / 1e9 if chunk.done else None,
    )


def _message(message: ChatMessage) -> dict[str, Any]:
    converted: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.calls:
        converted["tool_calls"] = [
            {"function": {"name": call.name, "arguments": dict(call.arguments)}} for call in message.calls
        ]
    if message.role == "tool" and message.tool:
        converted["tool_name"] = message.tool
    return converted
