"""A model behind OpenAI's chat completions, which vLLM, llama.cpp's server, LM Studio and many more speak.

https://platform.openai.com/docs/api-reference/chat; an endpoint's `url` is what stands before ``/chat/completions``,
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
from lanes.models.answering import AnswerPiece, answer, tools_on_offer, whose_is
from lanes.models.chat import ChatMessage, ChatReply, ChatRequest, ToolCall
from lanes.models.endpoint import Endpoint
from lanes.models.endpoint_session import got, sent
from lanes.models.faults import FaultOrigin, babbled, of_status
from lanes.models.recorded import InstalledModel

_MOST_CALLS: Final = 128
_MOST_CHARS: Final = 8 * 1024 * 1024  # the meter of an answer stops far below
_DEEPEST: Final = 40


@dataclass(frozen=True, slots=True)
class OpenAiModel:
    """One model of an endpoint of kind openai."""

    endpoint: Endpoint
    name: str

    async def ask(self, ask: ChatRequest) -> ChatReply:
        """The answer to `ask`, as `Model.ask` promises it."""
        whose = whose_is(self.endpoint, self.name, ask)
        reply = await answer(whose, ask, self._pieces(whose, ask))
        if ask.tools and not reply.calls and await self._leaves_out_tools():
            raise of_status(whose, 400, "its chat template does not support tools")
        return reply

    async def _leaves_out_tools(self) -> bool:
        """Whether it is a llama.cpp whose chat template knows no tools: it leaves them out without a word.

        https://github.com/ggml-org/llama.cpp/tree/master/tools/server, GET /props; no other server has that.
        """
        root = replace(self.endpoint, url=self.endpoint.url.removesuffix("/v1"))
        try:
            said = await got(FaultOrigin(root), "/props")
        except CountersignError:
            return False
        can = said.get("chat_template_caps") if isinstance(said, dict) else None
        return isinstance(can, dict) and can.get("supports_tool_calls") is False

    async def _pieces(self, whose: FaultOrigin, ask: ChatRequest) -> AsyncGenerator[AnswerPiece, None]:
        calls, ended = _Calls(whose), ""
        async with sent(whose, "POST", "/chat/completions", self._body(ask)) as response:
            async for line in response.aiter_lines():
                said = line.removeprefix("data:").strip()
                if not line.startswith("data:") or not said:
                    continue  # comments and the like, which keep the line open
                if said == "[DONE]":
                    break
                chunk = json.loads(said)
                if not isinstance(chunk, dict):
                    raise babbled(whose, "the server sent a chunk that is not a JSON object")
                if chunk.get("error"):
                    raise _broken_off(whose, chunk["error"])
                piece = _piece(chunk, calls)
                ended = piece.ended or ended
                yield piece
            yield AnswerPiece(calls=calls.whole(cut_off=ended == "length"))

    def _body(self, ask: ChatRequest) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.name,
            "messages": _messages(ask.messages),
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": ask.most_tokens,
        }
        if ask.tools:
            body["tools"] = tools_on_offer(ask.tools)
        if ask.schema is not None:
            shape = {"name": "answer", "schema": dict(ask.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": shape}
        return body


@dataclass(slots=True)
class _Calls:
    """Calls come in parts, a name and pieces of JSON by an index; they are whole when the answer is."""

    whose: FaultOrigin
    parts: dict[int, list[str]] = field(default_factory=dict)

    def take(self, call: Mapping[str, Any]) -> str:
        """Take a part in; its letters."""
        parts = self.parts.setdefault(int(call.get("index", len(self.parts))), ["", ""])
        if len(self.parts) > _MOST_CALLS:
            raise babbled(self.whose, f"it wants more than {_MOST_CALLS} tools called at once")
        said = call.get("function") or {}
        taken = (said.get("name") or "", _as_text(said.get("arguments")))
        for n, text in enumerate(taken):
            parts[n] += text
        return "".join(taken)

    def whole(self, *, cut_off: bool) -> tuple[ToolCall, ...]:
        """The calls, in the order of their index; of an answer that was cut off, those before the cut."""
        made: list[ToolCall] = []
        for name, said in (self.parts[index] for index in sorted(self.parts)):
            try:
                arguments = read_object(said or "{}", max_chars=_MOST_CHARS, max_depth=_DEEPEST)
            except NotJsonError as error:
                if cut_off:
                    break
                made.append(ToolCall(name, wrong=str(error)))
                continue
            made.append(ToolCall(name, arguments))
        return tuple(made)


def _as_text(arguments: object) -> str:
    """A part of a call's arguments; some servers send the object itself where its JSON belongs."""
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    return json.dumps(arguments)


def _piece(chunk: Mapping[str, Any], calls: _Calls) -> AnswerPiece:
    """A chunk as a piece; what has another shape raises what `sent` translates."""
    spent = _spent(chunk["usage"]) if chunk.get("usage") else None
    if not chunk.get("choices"):
        return AnswerPiece(spent=spent)
    choice = chunk["choices"][0]
    said = choice.get("delta") or {}
    taken = "".join([calls.take(call) for call in said.get("tool_calls") or ()])
    text, thought = _text(said, "content"), _text(said, "reasoning_content")
    return AnswerPiece(text, besides=thought + taken, ended=_text(choice, "finish_reason"), spent=spent)


def _text(said: Mapping[str, Any], key: str) -> str:
    found = said.get(key) or ""
    if not isinstance(found, str):
        raise TypeError(key)
    return found


def _spent(usage: Mapping[str, Any]) -> tuple[int, int]:
    prompt, completion = (
        count if isinstance(count, int) and count > 0 else 0
        for count in (usage.get("prompt_tokens"), usage.get("completion_tokens"))
    )
    return prompt, completion


def _broken_off(whose: FaultOrigin, error: object) -> CountersignError:
    """The fault that is told in the middle of an answer, where the line's own status was good."""
    said = error if isinstance(error, dict) else {"message": str(error)}
    code = said.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else 500
    return of_status(whose, status, str(said.get("message") or said))


@dataclass(frozen=True, slots=True)
class OpenAiCatalog:
    """The models of such an endpoint, as far as it tells."""

    endpoint: Endpoint

    async def version(self) -> str:
        """That it answers; it tells no version."""
        await self.kept()
        return "OpenAI's protocol"

    async def kept(self) -> tuple[InstalledModel, ...]:
        """The models that it serves, by name."""
        whose = FaultOrigin(self.endpoint)
        said = await got(whose, "/models")
        try:
            models = [InstalledModel(str(model["id"]), changed=_time(model.get("created"))) for model in said["data"]]
        except (TypeError, KeyError, AttributeError):
            raise babbled(whose, "the server sent something that is not a list of models") from None
        return tuple(sorted(models, key=lambda model: model.name))


def _time(seconds: object) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) else None
    except (OverflowError, OSError, ValueError):
        return None


def _messages(messages: tuple[ChatMessage, ...]) -> list[dict[str, Any]]:
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


def _answer(message: ChatMessage, waiting: list[str]) -> dict[str, Any]:
    """A tool's answer; one whose call was left out to save room is told as the user's words."""
    if not waiting:
        return {"role": "user", "content": f"{message.tool or 'A tool'} answered:\n{message.text}"}
    return {"role": "tool", "tool_call_id": waiting.pop(0), "content": message.text}


def _call(number: str, call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": json.dumps(dict(call.arguments))}
    return {"id": number, "type": "function", "function": function}
