"""A model at an Ollama, asked through its own client (https://github.com/ollama/ollama-python)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

from ollama import AsyncClient, ChatResponse, ResponseError
from pydantic import ValidationError

from lanes.models.answering import AnswerPiece, answer, tools_on_offer, whose_is
from lanes.models.chat import ChatMessage, ChatReply, ChatRequest, ToolCall
from lanes.models.endpoint import Endpoint
from lanes.models.endpoint_session import translated
from lanes.models.faults import FaultOrigin, of_status
from lanes.models.http_transport import HttpTransport


@dataclass(frozen=True, slots=True)
class OllamaModel:
    """One model of an endpoint of kind ollama."""

    endpoint: Endpoint
    name: str

    async def ask(self, ask: ChatRequest) -> ChatReply:
        """The answer to `ask`, as `Model.ask` promises it."""
        whose = whose_is(self.endpoint, self.name, ask)
        return await answer(whose, ask, self._pieces(whose, ask))

    async def _pieces(self, whose: FaultOrigin, ask: ChatRequest) -> AsyncGenerator[AnswerPiece, None]:
        async with speaking(whose) as client:
            said = await client.chat(
                self.name,
                [_message(message) for message in ask.messages],
                tools=tools_on_offer(ask.tools) or None,
                stream=True,
                format=dict(ask.schema) if ask.schema is not None else None,
                options={"num_ctx": self.endpoint.context_tokens, "num_predict": ask.most_tokens},
                keep_alive=keep_alive(self.endpoint),
            )
            try:
                async for line in cast("AsyncGenerator[ChatResponse, None]", said):
                    yield _piece(line)
                    if line.done:
                        return
            except ValidationError as error:
                if not all("tool_calls" in fault["loc"] for fault in error.errors()):
                    raise
                wrong = "A tool call needs a name, and an object as its arguments."
                yield AnswerPiece(
                    calls=(ToolCall("unknown", wrong=wrong),), ended="stop"
                )  # the client reads no further


@asynccontextmanager
async def speaking(whose: FaultOrigin) -> AsyncIterator[AsyncClient]:
    """A client for one conversation, whose faults come out translated."""
    wire = HttpTransport(whose.endpoint)
    async with translated(whose):
        try:
            async with AsyncClient(whose.endpoint.url, **wire.options()) as client:
                yield client
        except ResponseError as error:
            # -1: an error in the middle of a stream, which began with 200
            status = error.status_code if error.status_code > 0 else 500
            raise of_status(whose, status, str(error.error), wire.retry_after_s) from None


def keep_alive(endpoint: Endpoint) -> float | str:
    """How long the model stays loaded; a bare number is seconds, which Ollama takes only as a number."""
    with suppress(ValueError):
        return float(endpoint.keep_alive)
    return endpoint.keep_alive


def _piece(line: ChatResponse) -> AnswerPiece:
    said = line.message
    calls = tuple(ToolCall(call.function.name, call.function.arguments) for call in said.tool_calls or ())
    spent = (max(line.prompt_eval_count or 0, 0), max(line.eval_count or 0, 0)) if line.done else None
    return AnswerPiece(
        said.content or "", calls, said.thinking or "", (line.done_reason or "stop") if line.done else "", spent
    )


def _message(message: ChatMessage) -> dict[str, Any]:
    said: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.calls:
        said["tool_calls"] = [
            {"function": {"name": call.name, "arguments": dict(call.arguments)}} for call in message.calls
        ]
    if message.role == "tool" and message.tool:
        said["tool_name"] = message.tool
    return said
