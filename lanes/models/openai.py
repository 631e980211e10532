"""Chat models behind OpenAI's chat completions API, which vLLM, llama.cpp's server, LM Studio and others offer.

See https://platform.openai.com/docs/api-reference/chat. An endpoint's `url` is what precedes ``/chat/completions``,
such as ``http://127.0.0.1:8000/v1``.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from core.model.errors import CountersignError
from core.strict_json import NotJsonError, read_object
from lanes.models.answer_stream import AnswerPiece, collect_answer, request_origin, tool_definitions
from lanes.models.chat import ChatMessage, ChatReply, ChatRequest, ToolCall
from lanes.models.endpoint import Endpoint
from lanes.models.endpoint_session import get_json, send_request
from lanes.models.faults import FaultOrigin, invalid_answer_error, status_error
from lanes.models.model_details import InstalledModel

_MAX_CALLS: Final = 128
_MAX_CHARS: Final = 8 * 1024 * 1024  # `StreamMeter` stops far below this
_MAX_DEPTH: Final = 40


@dataclass(frozen=True, slots=True)
class OpenAiModel:
    """One model of an endpoint of kind openai."""

    endpoint: Endpoint
    name: str

    async def ask(self, request: ChatRequest) -> ChatReply:
        """See `ChatModel.ask`."""
        origin = request_origin(self.endpoint, self.name, request)
        reply = await collect_answer(origin, request, self._pieces(origin, request))
        if request.tools and not reply.calls and await self._drops_tools():
            raise status_error(origin, 400, "its chat template does not support tools")
        return reply

    async def _drops_tools(self) -> bool:
        """True if the server is a llama.cpp whose chat template does not support tools: it silently drops them.

        See GET /props in https://github.com/ggml-org/llama.cpp/tree/master/tools/server; other servers do not have it.
        """
        root = replace(self.endpoint, url=self.endpoint.url.removesuffix("/v1"))
        try:
            properties = await get_json(FaultOrigin(root), "/props")
        except CountersignError:
            return False
        capabilities = properties.get("chat_template_caps") if isinstance(properties, dict) else None
        return isinstance(capabilities, dict) and capabilities.get("supports_tool_calls") is False

    async def _pieces(self, origin: FaultOrigin, request: ChatRequest) -> AsyncGenerator[AnswerPiece, None]:
        calls, finish_reason = _ToolCallParts(origin), ""
        async with send_request(origin, "POST", "/chat/completions", self._body(request)) as response:
            async for line in response.aiter_lines():
                event = line.removeprefix("data:").strip()
                if not line.startswith("data:") or not event:
                    continue  # comments and blank lines, which keep the connection alive
                if event == "[DONE]":
                    break
                chunk = json.loads(event)
                if not isinstance(chunk, dict):
                    raise invalid_answer_error(origin, "the server sent a chunk that is not a JSON object")
                if chunk.get("error"):
                    raise _stream_error(origin, chunk["error"])
                piece = _piece(chunk, calls)
                finish_reason = piece.finish_reason or finish_reason
                yield piece
            yield AnswerPiece(calls=calls.tool_calls(cut_off=finish_reason == "length"))

    def _body(self, request: ChatRequest) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.name,
            "messages": _messages(request.messages),
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": request.max_tokens,
        }
        if request.tools:
            body["tools"] = tool_definitions(request.tools)
        if request.schema is not None:
            schema = {"name": "answer", "schema": dict(request.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body


@dataclass(slots=True)
class _ToolCallParts:
    """Assembles tool calls, which arrive as parts: a name and pieces of JSON for each index."""

    origin: FaultOrigin
    parts: dict[int, list[str]] = field(default_factory=dict)

    def add(self, call: Mapping[str, Any]) -> str:
        """Add a part; returns its text."""
        parts = self.parts.setdefault(int(call.get("index", len(self.parts))), ["", ""])
        if len(self.parts) > _MAX_CALLS:
            raise invalid_answer_error(self.origin, f"the model calls more than {_MAX_CALLS} tools at once")
        function = call.get("function") or {}
        texts = (function.get("name") or "", _as_text(function.get("arguments")))
        for n, text in enumerate(texts):
            parts[n] += text
        return "".join(texts)

    def tool_calls(self, *, cut_off: bool) -> tuple[ToolCall, ...]:
        """The calls in the order of their index; if the answer was cut off, only those before the cut."""
        calls: list[ToolCall] = []
        for name, arguments_json in (self.parts[index] for index in sorted(self.parts)):
            try:
                arguments = read_object(arguments_json or "{}", max_chars=_MAX_CHARS, max_depth=_MAX_DEPTH)
            except NotJsonError as error:
                if cut_off:
                    break
                calls.append(ToolCall(name, error=str(error)))
                continue
            calls.append(ToolCall(name, arguments))
        return tuple(calls)


def _as_text(arguments: object) -> str:
    """A part of a call's arguments as text; some servers send an object instead of its JSON."""
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    return json.dumps(arguments)


def _piece(chunk: Mapping[str, Any], calls: _ToolCallParts) -> AnswerPiece:
    """Convert a chunk; a chunk of another shape raises an exception that `send_request` translates."""
    tokens = _token_counts(chunk["usage"]) if chunk.get("usage") else None
    if not chunk.get("choices"):
        return AnswerPiece(tokens=tokens)
    choice = chunk["choices"][0]
    delta = choice.get("delta") or {}
    call_text = "".join([calls.add(call) for call in delta.get("tool_calls") or ()])
    text, reasoning = _text(delta, "content"), _text(delta, "reasoning_content")
    return AnswerPiece(
        text, hidden_text=reasoning + call_text, finish_reason=_text(choice, "finish_reason"), tokens=tokens
    )


def _text(delta: Mapping[str, Any], key: str) -> str:
    value = delta.get(key) or ""
    if not isinstance(value, str):
        raise TypeError(key)
    return value


def _token_counts(usage: Mapping[str, Any]) -> tuple[int, int]:
    prompt, completion = (
        count if isinstance(count, int) and count > 0 else 0
        for count in (usage.get("prompt_tokens"), usage.get("completion_tokens"))
    )
    return prompt, completion


def _stream_error(origin: FaultOrigin, error: object) -> CountersignError:
    """The error for a failure reported inside a stream that began with status 200."""
    details = error if isinstance(error, dict) else {"message": str(error)}
    code = details.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else 500
    return status_error(origin, status, str(details.get("message") or details))


@dataclass(frozen=True, slots=True)
class OpenAiCatalog:
    """The models of an OpenAI-compatible endpoint."""

    endpoint: Endpoint

    async def version(self) -> str:
        """Check that the endpoint answers; the protocol has no version request."""
        await self.installed_models()
        return "OpenAI's protocol"

    async def installed_models(self) -> tuple[InstalledModel, ...]:
        """The models that it serves, sorted by name."""
        origin = FaultOrigin(self.endpoint)
        listed = await get_json(origin, "/models")
        try:
            models = [InstalledModel(str(model["id"]), changed=_time(model.get("created"))) for model in listed["data"]]
        except (TypeError, KeyError, AttributeError):
            raise invalid_answer_error(origin, "the server sent something that is not a list of models") from None
        return tuple(sorted(models, key=lambda model: model.name))


def _time(seconds: object) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) else None
    except (OverflowError, OSError, ValueError):
        return None


def _messages(messages: tuple[ChatMessage, ...]) -> list[dict[str, Any]]:
    """The messages in OpenAI's format, where a tool message names its call by id; ids number the calls in order."""
    converted: list[dict[str, Any]] = []
    call_ids: list[str] = []
    number = 0
    for message in messages:
        entry: dict[str, Any] = {"role": message.role, "content": message.text}
        if message.calls:
            call_ids = [f"call_{number + n}" for n in range(len(message.calls))]
            number += len(message.calls)
            entry["tool_calls"] = [_tool_call(*pair) for pair in zip(call_ids, message.calls, strict=True)]
        elif message.role == "tool":
            entry = _tool_message(message, call_ids)
        converted.append(entry)
    return converted


def _tool_message(message: ChatMessage, call_ids: list[str]) -> dict[str, Any]:
    """A tool message; if its call was dropped to save room, the text is sent as the user's."""
    if not call_ids:
        return {"role": "user", "content": f"{message.tool or 'A tool'} answered:\n{message.text}"}
    return {"role": "tool", "tool_call_id": call_ids.pop(0), "content": message.text}


def _tool_call(call_id: str, call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": json.dumps(dict(call.arguments))}
    return {"id": call_id, "type": "function", "function": function}
