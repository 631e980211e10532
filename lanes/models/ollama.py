"""A model at an Ollama, asked through its own client (https://github.com/ollama/ollama-python)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, cast

from ollama import AsyncClient, ChatResponse, ResponseError

from core.production import Usage
from lanes.models.chat import Ask, Message, Reply, Tool, ToolCall
from lanes.models.endpoint import Endpoint, ModelName
from lanes.models.faults import Whose, cut_short, of_status
from lanes.models.line import translated
from lanes.models.reading import Meter, in_time, storable, storable_arguments
from lanes.models.wire import Wire


@dataclass(frozen=True, slots=True)
class OllamaModel:
    """One model of an endpoint of kind ollama."""

    endpoint: Endpoint
    name: str

    async def ask(self, ask: Ask) -> Reply:
        """The answer to `ask`, as `Model.ask` promises it.

        Raises `PermanentError` ``model_no_tools`` where the model knows none, ``model_babbled`` for what is no answer.
        """
        whose = Whose(self.endpoint, self.name, tuple(message.text for message in ask.messages))
        heard = _Heard(whose, Meter(whose, ask.most_tokens))
        async with aclosing(self._pieces(whose, ask)) as pieces:
            async for piece in pieces:
                text = heard.piece(piece)
                if text and ask.heard is not None:
                    await ask.heard(text)
                if piece.done:
                    break
        return heard.reply(str(ModelName(self.endpoint.name, self.name)))

    async def _pieces(self, whose: Whose, ask: Ask) -> AsyncGenerator[ChatResponse, None]:
        """The answer as it comes. What the caller does with a piece raises past the translation in here."""
        async with speaking(whose) as client:
            said = await client.chat(
                self.name,
                [_message(message) for message in ask.messages],
                tools=[_tool(tool) for tool in ask.tools] or None,
                stream=True,
                format=dict(ask.schema) if ask.schema is not None else None,
                options={"num_ctx": self.endpoint.context_tokens, "num_predict": ask.most_tokens},
                keep_alive=keep_alive(self.endpoint),
            )
            async for piece in in_time(whose, cast("AsyncGenerator[ChatResponse, None]", said)):
                yield piece


@asynccontextmanager
async def speaking(whose: Whose) -> AsyncIterator[AsyncClient]:
    """A client for one conversation, whose faults come out translated."""
    wire = Wire(whose.endpoint)
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


@dataclass(slots=True)
class _Heard:
    """What came of an answer so far."""

    whose: Whose
    meter: Meter
    texts: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    last: ChatResponse | None = None

    def piece(self, piece: ChatResponse) -> str:
        """Take one piece in; its text."""
        text = storable(piece.message.content or "")
        self.meter.count(text, piece.message.thinking)
        self.texts.append(text)
        for call in piece.message.tool_calls or ():
            arguments = storable_arguments(self.whose, call.function.arguments)
            self.meter.count(call.function.name, str(arguments))
            self.calls.append(ToolCall(storable(call.function.name), arguments))
        self.last = piece
        return text

    def reply(self, model: str) -> Reply:
        """The whole answer; raises `TransientError` when its end never came."""
        if self.last is None or not self.last.done:
            raise cut_short(self.whose)
        spent = Usage(model, 1, max(self.last.prompt_eval_count or 0, 0), max(self.last.eval_count or 0, 0))
        return Reply("".join(self.texts), tuple(self.calls), model, spent, self.last.done_reason == "length")


def _message(message: Message) -> dict[str, Any]:
    said: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.calls:
        said["tool_calls"] = [
            {"function": {"name": call.name, "arguments": dict(call.arguments)}} for call in message.calls
        ]
    if message.role == "tool" and message.tool:
        said["tool_name"] = message.tool
    return said


def _tool(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.describe, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}
