"""A model behind OpenAI's chat completions, which vLLM, llama.cpp's server, LM Studio and many more speak.

https://platform.openai.com/docs/api-reference/chat; an endpoint's `url` is what stands before ``/chat/completions``,
such as ``http://127.0.0.1:8000/v1``.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from core.production import Usage
from lanes.models.chat import Ask, Message, Reply, Tool, ToolCall
from lanes.models.endpoint import Endpoint, ModelName
from lanes.models.faults import Whose, babbled, cut_short, of_status
from lanes.models.kept import Kept
from lanes.models.line import got, sent
from lanes.models.reading import Meter, in_time, storable, storable_arguments

_MOST_CALLS: Final = 128


@dataclass(frozen=True, slots=True)
class OpenAiModel:
    """One model of an endpoint of kind openai."""

    endpoint: Endpoint
    name: str

    async def ask(self, ask: Ask) -> Reply:
        """The answer to `ask`, as `Model.ask` promises it.

        Raises `PermanentError` ``model_no_tools`` where the model knows none, ``model_babbled`` for what is no answer.
        """
        whose = Whose(self.endpoint, self.name, tuple(message.text for message in ask.messages))
        heard = _Heard(whose, Meter(whose, ask.most_tokens))
        async with aclosing(in_time(whose, self._chunks(whose, ask))) as chunks:
            async for chunk in chunks:
                text = heard.chunk(chunk)
                if text and ask.heard is not None:
                    await ask.heard(text)
        return heard.reply(str(ModelName(self.endpoint.name, self.name)))

    async def _chunks(self, whose: Whose, ask: Ask) -> AsyncGenerator[Mapping[str, Any], None]:
        """The chunks of the stream; the caller's own faults pass by the translation in `sent`."""
        async with sent(whose, "POST", "/chat/completions", self._body(ask)) as response:
            async for line in response.aiter_lines():
                said = line.removeprefix("data:").strip()
                if not line.startswith("data:") or not said:
                    continue  # comments and the like, which keep the line open
                if said == "[DONE]":
                    return
                chunk = json.loads(said)
                if not isinstance(chunk, dict):
                    raise babbled(whose, "a chunk of it is no object")
                if chunk.get("error"):
                    raise of_status(whose, 500, str(chunk["error"]))
                yield chunk

    def _body(self, ask: Ask) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.name,
            "messages": _messages(ask.messages),
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": ask.most_tokens,
        }
        if ask.tools:
            body["tools"] = [_tool(tool) for tool in ask.tools]
        if ask.schema is not None:
            shape = {"name": "answer", "schema": dict(ask.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": shape}
        return body


@dataclass(slots=True)
class _Called:
    """A call whose arguments come in pieces."""

    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class _Heard:
    """What came of an answer so far."""

    whose: Whose
    meter: Meter
    texts: list[str] = field(default_factory=list)
    calls: dict[int, _Called] = field(default_factory=dict)
    finish: str = ""
    usage: Mapping[str, Any] = field(default_factory=dict)

    def chunk(self, chunk: Mapping[str, Any]) -> str:
        """Take one chunk in; its text."""
        try:
            return self._take(chunk)
        except (TypeError, AttributeError, KeyError, ValueError, IndexError):
            raise babbled(self.whose, "a chunk of it has another shape") from None

    def _take(self, chunk: Mapping[str, Any]) -> str:
        self.usage = chunk.get("usage") or self.usage
        if not chunk.get("choices"):
            return ""
        choice = chunk["choices"][0]
        said = choice.get("delta") or {}
        text = storable(said.get("content") or "")
        self.meter.count(text, said.get("reasoning_content"))
        self.texts.append(text)
        for call in said.get("tool_calls") or ():
            self._call(call)
        self.finish = choice.get("finish_reason") or self.finish
        return text

    def _call(self, call: Mapping[str, Any]) -> None:
        called = self.calls.setdefault(int(call.get("index", len(self.calls))), _Called())
        if len(self.calls) > _MOST_CALLS:
            raise babbled(self.whose, f"it wants more than {_MOST_CALLS} tools called at once")
        said = call.get("function") or {}
        name, arguments = said.get("name") or "", said.get("arguments") or ""
        self.meter.count(name, arguments)
        called.name += name
        called.arguments += arguments

    def reply(self, model: str) -> Reply:
        """The whole answer; raises `TransientError` when its end never came."""
        if not self.finish:
            raise cut_short(self.whose)
        calls = tuple(self._made(call) for _, call in sorted(self.calls.items()))
        counts = [self.usage.get(key) for key in ("prompt_tokens", "completion_tokens")]
        told = [count if isinstance(count, int) and count > 0 else 0 for count in counts]
        return Reply("".join(self.texts), calls, model, Usage(model, 1, *told), self.finish == "length")

    def _made(self, call: _Called) -> ToolCall:
        try:
            arguments = json.loads(call.arguments or "{}")
        except (ValueError, RecursionError):
            raise babbled(self.whose, "a call's arguments are no JSON") from None
        if not isinstance(arguments, dict):
            raise babbled(self.whose, "a call's arguments are no object")
        return ToolCall(storable(call.name), storable_arguments(self.whose, arguments))


@dataclass(frozen=True, slots=True)
class OpenAiStock:
    """The models of such an endpoint, as far as it tells."""

    endpoint: Endpoint

    async def version(self) -> str:
        """That it answers; it tells no version."""
        await self.kept()
        return "OpenAI's protocol"

    async def kept(self) -> tuple[Kept, ...]:
        """The models that it serves, by name."""
        whose = Whose(self.endpoint)
        said = await got(whose, "/models")
        try:
            models = [Kept(str(model["id"]), changed=_time(model.get("created"))) for model in said["data"]]
        except (TypeError, KeyError, AttributeError):
            raise babbled(whose, "it lists no models") from None
        return tuple(sorted(models, key=lambda model: model.name))


def _time(seconds: object) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) else None
    except (OverflowError, OSError, ValueError):
        return None


def _messages(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """The conversation. A call has an id there, by which its answer names it: they are numbered in their order."""
    said: list[dict[str, Any]] = []
    waiting: list[str] = []
    number = 0
    for message in messages:
        one: dict[str, Any] = {"role": message.role, "content": message.text}
        if message.calls:
            waiting = [f"call_{number + n}" for n in range(len(message.calls))]
            number += len(message.calls)
            one["tool_calls"] = [_call(*pair) for pair in zip(waiting, message.calls, strict=True)]
        elif message.role == "tool":
            one = _answer(message, waiting)
        said.append(one)
    return said


def _answer(message: Message, waiting: list[str]) -> dict[str, Any]:
    """A tool's answer; one whose call was left out to save room is told as the user's words."""
    if not waiting:
        return {"role": "user", "content": f"{message.tool or 'A tool'} answered:\n{message.text}"}
    return {"role": "tool", "tool_call_id": waiting.pop(0), "content": message.text}


def _call(number: str, call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": json.dumps(dict(call.arguments))}
    return {"id": number, "type": "function", "function": function}


def _tool(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.describe, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}
